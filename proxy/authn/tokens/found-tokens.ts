/**
 * Finds the tokens of a request in the places that its rules name, and takes them out again. Nothing is believed here: a place that is
 * written in another spelling (case of a scheme, escapes in a parameter's name, quotes of a cookie) is the same place.
 *
 * Hot path.
 */
import { HTAB, LOWER, SP } from '#wire/h1/characters.ts';
import { equalsName, nameBytes } from '#wire/h1/field-names.ts';
import { FIELD, type RequestHead } from '#wire/h1/head.ts';
import type { TokenPlace, TokenPlan } from './token-plan.ts';

/** A field that we write: its name in lower case and its value, one character a byte. */
export type WrittenField = readonly [name: string, value: string];

export class FoundTokens {
  count = 0;
  /** By index: the text of the token, and the index of its place. */
  readonly texts: string[] = [];
  readonly places: number[] = [];

  /** Looks everywhere. Stops once there are more than `MAX_TOKENS`. */
  find(head: RequestHead, plan: TokenPlan): void {
    this.count = 0;
    const { places } = plan;
    for (let index = 0; index < places.length; index++) {
      const place = places[index];
      if (place !== undefined && place.kind === 'header') this.#findHeader(head, place, index);
    }
    if (plan.hasParameters) this.#findParameters(head, places);
    if (plan.hasCookies) this.#findCookies(head, places);
  }

  #findHeader(head: RequestHead, place: TokenPlace, index: number): void {
    const { bytes, fields } = head;
    for (let field = 0; field < fields.count; field++) {
      const start = tokenStart(head, field, place);
      if (start >= 0) this.#add(bytes.toString('latin1', start, fields.ranges[4 * field + 3] ?? 0), index);
    }
  }

  #findParameters(head: RequestHead, places: readonly TokenPlace[]): void {
    const query = queryOf(head);
    let start = 0;
    while (start < query.length) {
      const end = partEnd(query, '&', start);
      const nameEnd = Math.min(partEnd(query, '=', start), end);
      const place = placeNamed(places, 'parameter', decoded(query.slice(start, nameEnd)));
      if (place >= 0 && nameEnd + 1 < end) this.#add(decoded(query.slice(nameEnd + 1, end)), place);
      start = end + 1;
    }
  }

  #findCookies(head: RequestHead, places: readonly TokenPlace[]): void {
    const { count, dropped, ids } = head.fields;
    for (let field = 0; field < count; field++) {
      if (ids[field] !== FIELD.cookie || dropped[field] !== 0) continue;
      const line = valueOf(head, field);
      let start = 0;
      while (start < line.length) {
        const end = partEnd(line, ';', start);
        const nameEnd = Math.min(partEnd(line, '=', start), end);
        const place = placeNamed(places, 'cookie', line.slice(start, nameEnd).trim());
        if (place >= 0) {
          const value = unquoted(line.slice(nameEnd + 1, end).trim());
          if (value !== '') this.#add(value, place);
        }
        start = end + 1;
      }
    }
  }

  #add(text: string, place: number): void {
    if (this.count > MAX_TOKENS) return;
    this.texts[this.count] = text;
    this.places[this.count] = place;
    this.count++;
  }
}

/** Marks the fields in which `place` holds a token as not to be forwarded. */
export function dropHeaderTokens(head: RequestHead, place: TokenPlace): void {
  const { count, dropped } = head.fields;
  for (let field = 0; field < count; field++) if (tokenStart(head, field, place) >= 0) dropped[field] = TAKEN;
}

/** Drops every cookie line that holds one of the places, and returns what is left of them; null when no line does. */
export function withoutCookies(head: RequestHead, places: readonly TokenPlace[], isTaken: Uint8Array): string | null {
  const { count, dropped, ids } = head.fields;
  let rest: string | null = null;
  for (let field = 0; field < count; field++) {
    if (ids[field] !== FIELD.cookie || dropped[field] !== 0) continue;
    const line = valueOf(head, field);
    const left = without(line, ';', 'cookie', places, isTaken);
    if (left === line) continue;
    dropped[field] = 1;
    rest = rest === null || rest === '' ? left.trim() : left === '' ? rest : `${rest}; ${left.trim()}`;
  }
  return rest;
}

/** The query without the places, its question mark included; '' when nothing is left of it. */
export function queryWithout(head: RequestHead, places: readonly TokenPlace[], isTaken: Uint8Array): string {
  const left = without(queryOf(head), '&', 'parameter', places, isTaken);
  return left === '' ? '' : `?${left}`;
}

/** As Envoy has it: OPTIONS with `Origin` and `Access-Control-Request-Method`, neither of them empty. It bears no credentials. */
export function isPreflight(head: RequestHead): boolean {
  return head.method === 'OPTIONS' && hasField(head, ORIGIN) && hasField(head, REQUEST_METHOD);
}

function hasField({ bytes, fields }: RequestHead, name: Uint8Array): boolean {
  const { count, dropped, ranges } = fields;
  for (let field = 0; field < count; field++) {
    const at = 4 * field;
    if (dropped[field] !== 0 || (ranges[at + 2] ?? 0) >= (ranges[at + 3] ?? 0)) continue;
    if (equalsName(bytes, ranges[at] ?? 0, ranges[at + 1] ?? 0, name)) return true;
  }
  return false;
}

/** Where in the field's value the token begins, -1 when the field is not of that place or holds none. */
function tokenStart({ bytes, fields }: RequestHead, field: number, place: TokenPlace): number {
  const { dropped, ids, ranges } = fields;
  const at = 4 * field;
  if (dropped[field] !== 0 || ids[field] !== place.id) return -1;
  if (place.id === FIELD.unknown && !equalsName(bytes, ranges[at] ?? 0, ranges[at + 1] ?? 0, place.bytes)) return -1;
  const { prefix } = place;
  let start = ranges[at + 2] ?? 0;
  const end = ranges[at + 3] ?? 0;
  if (end - start <= prefix.length) return -1;
  for (let index = 0; index < prefix.length; index++) {
    if (LOWER[bytes[start + index] ?? 0] !== prefix.charCodeAt(index)) return -1;
  }
  start += prefix.length;
  while (start < end && (bytes[start] === SP || bytes[start] === HTAB)) start++;
  return start;
}

function without(
  text: string,
  separator: string,
  kind: TokenPlace['kind'],
  places: readonly TokenPlace[],
  isTaken: Uint8Array,
): string {
  let left = '';
  let start = 0;
  while (start < text.length) {
    const end = partEnd(text, separator, start);
    const name = text.slice(start, Math.min(partEnd(text, '=', start), end));
    const place = placeNamed(places, kind, kind === 'cookie' ? name.trim() : decoded(name));
    if (place < 0 || isTaken[place] !== 1) left += left === '' ? text.slice(start, end) : separator + text.slice(start, end);
    start = end + 1;
  }
  return left;
}

function partEnd(text: string, separator: string, start: number): number {
  const end = text.indexOf(separator, start);
  return end < 0 ? text.length : end;
}

function placeNamed(places: readonly TokenPlace[], kind: TokenPlace['kind'], name: string): number {
  for (let index = 0; index < places.length; index++) {
    const place = places[index];
    if (place !== undefined && place.kind === kind && place.name === name) return index;
  }
  return -1;
}

/** What stands behind the question mark, '' without one. */
function queryOf({ bytes, targetEnd, targetStart }: RequestHead): string {
  let at = targetStart;
  while (at < targetEnd && bytes[at] !== QUESTION) at++;
  return at < targetEnd ? bytes.toString('latin1', at + 1, targetEnd) : '';
}

function valueOf({ bytes, fields: { ranges } }: RequestHead, field: number): string {
  return bytes.toString('latin1', ranges[4 * field + 2] ?? 0, ranges[4 * field + 3] ?? 0);
}

/** What cannot be decoded stays as it is: it is no token, and no name of a place. */
function decoded(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function unquoted(text: string): string {
  return text.length >= 2 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text;
}

/** One more is a refusal: each costs a verification. */
export const MAX_TOKENS = 8;
/** In `dropped`: a token that ends here, and that an external authorizer is told all the same. */
export const TAKEN = 2;

const QUESTION = 63;
const ORIGIN = nameBytes('origin');
const REQUEST_METHOD = nameBytes('access-control-request-method');
