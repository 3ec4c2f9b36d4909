/**
 * What an authorizer's answer may change, and how it is done: the head is written anew, so that what is judged afterwards is what is
 * forwarded. INVARIANT: no answer changes what frames or routes a message or says who calls; and what an answer sets or removes is
 * gone from the caller's own fields in every spelling.
 */
import { fieldId, nameBytes } from '#wire/h1/field-names.ts';
import { FIELD, RequestHead, ResponseHead, type HeadLimits, type MessageHead } from '#wire/h1/head.ts';
import { parseRequestHead } from '#wire/h1/request.ts';
import { parseResponseHead } from '#wire/h1/response.ts';
import type { Exchange } from '../exchange.ts';
import { FIELD_RULE, ruleOf } from '../http/field-rules.ts';
import type { FieldPolicy } from '../http/fields.ts';
import { foldedRule, isFoldedOneOf } from '../http/folded-name.ts';
import type { Changes, Denial, FieldPair } from './authorizer.ts';
import { changedQuery } from './query.ts';
import { ownFields, targetOf } from './told-fields.ts';

/** Whether an answer may set or remove a field of the request. */
export function mayChange(name: string): boolean {
  const bytes = nameBytes(name);
  const id = fieldId(bytes, 0, bytes.length);
  // Credentials that an authorizer exchanges for others.
  if (id === FIELD.authorization || id === FIELD.cookie) return true;
  return TOKEN.test(name) && ((ruleOf(id) | foldedRule(bytes, 0, bytes.length)) & UNCHANGEABLE) === 0;
}

/** Whether an answer may put a field into a response. */
export function mayRespond(name: string): boolean {
  const bytes = nameBytes(name);
  const id = fieldId(bytes, 0, bytes.length);
  return TOKEN.test(name) && ((ruleOf(id) | foldedRule(bytes, 0, bytes.length)) & UNTELLABLE) === 0;
}

/** Whether a value can stand in a field line; longer ones than any head are refused with the head. */
export function isFieldValue(value: string): boolean {
  return VALUE.test(value);
}

/** The field lines of what may be put into a response. */
export function responseLines(pairs: readonly FieldPair[]): string {
  return pairs
    .filter(([name, value]) => mayRespond(name) && isFieldValue(value))
    .map(([name, value]) => `${name.toLowerCase()}: ${value}\r\n`)
    .join('');
}

/** A denial in an authorizer's words; a body without a type is plain text, as in Envoy. */
export function denialWith(status: number, pairs: readonly FieldPair[], body: Buffer): Denial {
  const fields = responseLines(pairs);
  const isTyped = body.length === 0 || fields.startsWith('content-type:') || fields.includes('\ncontent-type:');
  return { status, fields: isTyped ? fields : `${fields}content-type: text/plain\r\n`, body };
}

/**
 * The head with the changes made, and the exchange's target with them; null when they are not to be made. `head` is filtered, and so
 * is what comes of it.
 */
export function changedHead(head: RequestHead, exchange: Exchange, changes: Changes): RequestHead | null {
  const { append, remove, removeQuery, set, setQuery } = changes;
  const touched = [...set.map(([name]) => name), ...append.map(([name]) => name), ...remove];
  if (!touched.every(mayChange) || ![...set, ...append].every(([, value]) => isFieldValue(value))) return null;
  // What a proved token says of the user is nobody else's to say, and there would be two of the name.
  if (touched.length > 0 && areAnyOf(touched, ownFields(exchange))) return null;
  if (setQuery.length + removeQuery.length > 0) {
    const target = changedQuery(targetOf(head, exchange), setQuery, removeQuery);
    if (target === null) return null;
    exchange.rewrittenTarget = target;
  }
  if (touched.length === 0) return head;
  const replaced = namesOf([...set.map(([name]) => name), ...remove]);
  const lines = keptLines(head, replaced, append);
  for (const [name, value] of set) lines.push(`${name.toLowerCase()}: ${value}\r\n`);
  const startLine = head.bytes.toString('latin1', head.start, head.fieldsStart);
  const bytes = Buffer.from(`${startLine}${lines.join('')}\r\n`, 'latin1');
  const changed = new RequestHead();
  if (parseRequestHead(bytes, 0, bytes.length, changed, LIMITS) !== bytes.length) return null;
  keepFraming(head, changed);
  changed.expectsContinue = head.expectsContinue;
  return changed;
}

/** The filter's view of an exchange whose fields an answer has changed: its trailers may not bring them either. */
export function fieldPolicyWith(policy: FieldPolicy, { append, remove, set }: Changes): FieldPolicy {
  const names = [...set.map(([name]) => name), ...append.map(([name]) => name), ...remove];
  return names.length === 0 ? policy : { ...policy, policyNames: [...policy.policyNames, ...namesOf(names)] };
}

/** A response's head with lines more; the head itself without any, or when it would be too large for them. */
export function respondedHead(head: ResponseHead, lines: string): ResponseHead {
  if (lines === '') return head;
  const bytes = Buffer.concat([head.bytes.subarray(head.start, head.end - 2), Buffer.from(`${lines}\r\n`, 'latin1')]);
  const changed = new ResponseHead();
  if (parseResponseHead(bytes, 0, bytes.length, changed, LIMITS, '') !== bytes.length) return head;
  keepFraming(head, changed);
  changed.status = head.status;
  changed.fields.dropped.set(head.fields.dropped.subarray(0, head.fields.count));
  return changed;
}

/** Lines of the fields that stay, dropped ones and those of `replaced` left out. */
function keptLines({ bytes, fields }: RequestHead, replaced: readonly Uint8Array[], append: readonly FieldPair[]): string[] {
  const { count, dropped, ranges } = fields;
  const kept: FieldPair[] = [];
  for (let index = 0; index < count; index++) {
    const at = 4 * index;
    const [start = 0, end = 0, valueStart = 0, valueEnd = 0] = ranges.subarray(at, at + 4);
    if (dropped[index] !== 0 || isFoldedOneOf(bytes, start, end, replaced)) continue;
    kept.push([bytes.toString('latin1', start, end), bytes.toString('latin1', valueStart, valueEnd)]);
  }
  return [...appended(kept, append)].map(([name, value]) => `${name}: ${value}\r\n`);
}

/** The values of an appended name become one line, what is appended behind them; other spellings of the name go. */
function* appended(fields: readonly FieldPair[], append: readonly FieldPair[]): Generator<FieldPair> {
  const folded = (name: string): string => name.toLowerCase().replaceAll('_', '-');
  const more = Map.groupBy(append, ([name]) => folded(name));
  const told = new Set<string>();
  for (const [name, value] of fields) {
    const key = folded(name);
    const values = more.get(key);
    if (values === undefined) yield [name, value];
    else if (!told.has(key)) {
      told.add(key);
      const own = fields.filter(([other]) => other.toLowerCase() === values[0]?.[0].toLowerCase()).map(([, one]) => one);
      if (own.length > 0) yield [values[0]?.[0].toLowerCase() ?? name, [...own, ...values.map(([, one]) => one)].join(',')];
    }
  }
}

function areAnyOf(names: readonly string[], fields: readonly FieldPair[]): boolean {
  const taken = namesOf(fields.map(([name]) => name));
  return namesOf(names).some((name) => isFoldedOneOf(name, 0, name.length, taken));
}

function keepFraming(from: MessageHead, to: MessageHead): void {
  to.framing = from.framing;
  to.contentLength = from.contentLength;
  to.isPersistent = from.isPersistent;
  to.hasConnectionOptions = from.hasConnectionOptions;
  to.hasUpgrade = from.hasUpgrade;
}

function namesOf(names: readonly string[]): readonly Uint8Array[] {
  return names.map(nameBytes);
}

const UNCHANGEABLE = FIELD_RULE.dropped | FIELD_RULE.untrusted | FIELD_RULE.protected;
const UNTELLABLE = FIELD_RULE.response | FIELD_RULE.ours;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/u;
/** Visible bytes and blanks; none at the ends, where they would be lost. */
// oxlint-disable-next-line no-control-regex -- what may not stand there
const VALUE = /^(?:[^\u0000-\u0020\u007f](?:[^\u0000-\u0008\u000a-\u001f\u007f]*[^\u0000-\u0020\u007f])?)?$/u;
/** With what was added; what goes on is bounded by the upstream as well. */
const LIMITS: HeadLimits = { headBytes: 131_072, fields: 512 };
