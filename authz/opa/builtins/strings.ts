/** Builtins of strings. Positions and lengths count code points, as Rego's do. */
import { trimBoth } from '../trim.ts';
import { RegoObject, isNumber } from '../value.ts';
import type { RegoValue } from '../value.ts';
import { elementsOf, ofText, ofTexts, ofTwoTexts, oneOrMoreTexts, smallInteger, textsOf } from './builtin.ts';
import type { BuiltinContext, BuiltinTable } from './builtin.ts';
import { formatText } from './format.ts';

export const STRING_BUILTINS: BuiltinTable = {
  concat: ([separator, collection], { meter }) => {
    const texts = textsOf(collection);
    if (typeof separator !== 'string' || texts === null) return undefined;
    meter.hold(2 * texts.reduce((sum, text) => sum + text.length + separator.length, 0));
    return texts.join(separator);
  },
  contains: ofTwoTexts((text, part) => text.includes(part)),
  startswith: ofTwoTexts((text, part) => text.startsWith(part)),
  endswith: ofTwoTexts((text, part) => text.endsWith(part)),
  indexof: ofTwoTexts((text, part) => {
    if (part === '') return undefined;
    const at = text.indexOf(part);
    return at < 0 ? -1 : codePoints(text.slice(0, at));
  }),
  indexof_n: ofTwoTexts((text, part) => {
    if (part === '') return undefined;
    const found: number[] = [];
    let [from, points] = [0, 0];
    for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + 1)) {
      points += codePoints(text.slice(from, at));
      from = at;
      found.push(points);
    }
    return found;
  }),
  lower: ofText((text) => mapCase(text, (point) => (point === '\u0130' ? 'i' : point.toLowerCase()))),
  upper: ofText((text) => mapCase(text, (point) => point.toUpperCase())),
  replace: ofTexts(([text = '', old = '', next = ''], context) => replaceAll(text, old, next, context)),
  split: ofTwoTexts((text, separator) => (separator === '' ? [...text] : text.split(separator))),
  sprintf: ([format, values], { meter }) => {
    const list = elementsOf(values);
    return typeof format === 'string' && Array.isArray(values) && list !== null ? formatText(format, list, meter) : undefined;
  },
  substring: ([text, start, length]) => {
    const [from, count] = [smallInteger(start), smallInteger(length)];
    if (typeof text !== 'string' || from === null || count === null || from < 0) return undefined;
    const points = isAscii(text) ? text : [...text];
    const cut = points.slice(from, count < 0 ? undefined : from + count);
    return typeof cut === 'string' ? cut : cut.join('');
  },
  trim: ofTwoTexts((text, cutset) => trimmed(text, cutset, true, true)),
  trim_left: ofTwoTexts((text, cutset) => trimmed(text, cutset, true, false)),
  trim_right: ofTwoTexts((text, cutset) => trimmed(text, cutset, false, true)),
  trim_prefix: ofTwoTexts((text, prefix) => (text.startsWith(prefix) ? text.slice(prefix.length) : text)),
  trim_suffix: ofTwoTexts((text, suffix) =>
    suffix !== '' && text.endsWith(suffix) ? text.slice(0, text.length - suffix.length) : text,
  ),
  // U+FEFF is white space to JavaScript and not to Unicode; U+0085 the other way round.
  trim_space: ofText((text) => trimBoth(text, (sign) => SPACE.test(sign))),

  'strings.any_prefix_match': ([texts, prefixes], context) =>
    anyMatch(texts, prefixes, (text, part) => text.startsWith(part), context),
  'strings.any_suffix_match': ([texts, suffixes], context) =>
    anyMatch(texts, suffixes, (text, part) => text.endsWith(part), context),
  'strings.count': ofTwoTexts((text, part) => (part === '' ? codePoints(text) + 1 : text.split(part).length - 1)),
  'strings.reverse': ofText((text) => [...text].toReversed().join('')),
  'strings.replace_n': ([patterns, text], context) => {
    if (!(patterns instanceof RegoObject) || typeof text !== 'string') return undefined;
    return replaceEach(text, patterns, context);
  },
  'strings.split_n': ([text, separator, count]) => {
    if (typeof text !== 'string' || typeof separator !== 'string' || !isNumber(count)) return undefined;
    return splitN(text, separator, Number(count));
  },
};

function replaceAll(text: string, old: string, next: string, { meter }: BuiltinContext): string {
  let hits = old === '' ? text.length + 1 : 0;
  for (let at = text.indexOf(old); old !== '' && at >= 0; at = text.indexOf(old, at + old.length)) {
    meter.hold(32 + 2 * next.length);
    hits++;
  }
  meter.hold(2 * text.length + (old === '' ? hits * (32 + 2 * next.length) : 0));
  if (hits === 0) return text;
  if (old !== '') return text.split(old).join(next);
  return `${next}${[...text].map((point) => `${point}${next}`).join('')}`;
}

/** At each place the first pattern, in the order of the keys, that fits. */
function replaceEach(text: string, patterns: RegoObject, { meter }: BuiltinContext): string | undefined {
  const pairs: (readonly [string, string])[] = [];
  for (const [key, value] of patterns.entries()) {
    if (typeof key !== 'string' || typeof value !== 'string' || key === '') return undefined;
    pairs.push([key, value]);
  }
  meter.spend(text.length * (pairs.length + 1));
  const parts: string[] = [];
  let from = 0;
  for (let at = 0; at < text.length;) {
    const hit = pairs.find(([key]) => text.startsWith(key, at));
    if (hit === undefined) {
      at++;
      continue;
    }
    meter.hold(2 * hit[1].length);
    parts.push(text.slice(from, at), hit[1]);
    at += hit[0].length;
    from = at;
  }
  parts.push(text.slice(from));
  return parts.join('');
}

function splitN(text: string, separator: string, count: number): RegoValue {
  const parts = separator === '' ? [...text] : text.split(separator);
  if (count < 0 || parts.length <= count) return parts;
  if (count === 0) return [];
  return [...parts.slice(0, count - 1), parts.slice(count - 1).join(separator)];
}

function anyMatch(
  texts: RegoValue | undefined,
  parts: RegoValue | undefined,
  matches: (text: string, part: string) => boolean,
  { meter }: BuiltinContext,
): boolean | undefined {
  const [left, right] = [oneOrMoreTexts(texts), oneOrMoreTexts(parts)];
  if (left === null || right === null) return undefined;
  meter.spend(left.length * right.length);
  return left.some((text) => right.some((part) => matches(text, part)));
}

function trimmed(text: string, cutset: string, atStart: boolean, atEnd: boolean): string {
  const points = [...text];
  const cut = new Set(cutset);
  let [start, end] = [0, points.length];
  while (atStart && start < end && cut.has(points[start] ?? '')) start++;
  while (atEnd && end > start && cut.has(points[end - 1] ?? '')) end--;
  return points.slice(start, end).join('');
}

/** Point by point: Go maps one code point to one. */
function mapCase(text: string, map: (point: string) => string): string {
  let mapped = '';
  for (const point of text) {
    const other = map(point);
    mapped += codePoints(other) === 1 ? other : point;
  }
  return mapped;
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

function isAscii(text: string): boolean {
  return !NOT_ASCII.test(text);
}

const NOT_ASCII = /[^\0-\x7f]/u;
const SPACE = /^\p{White_Space}$/u;
