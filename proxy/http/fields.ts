/**
 * Which fields pass: hop-by-hop and framing fields end here (RFC 9110, section 7.6.1), identity is what we say and never what a
 * caller says, and a name that could be taken for one of ours in another spelling is refused. Filters only set `dropped`; what
 * decides and what forwards both skip those fields, so that what is judged is what is sent on.
 *
 * Hot path: no allocation.
 */

import type { Trailers } from '#wire/h1/chunked.ts';
import { equalsName, nameBytes } from '#wire/h1/field-names.ts';
import { FIELD, FRAMING } from '#wire/h1/head.ts';
import type { FieldTable, RequestHead, ResponseHead } from '#wire/h1/head.ts';
import { CONNECTION_RESULT, dropConnectionNamed } from './connection-options.ts';
import { FIELD_RULE, prefixRule, ruleOf } from './field-rules.ts';
import { foldedRule, isFoldedOneOf } from './folded-name.ts';

/** What to do with a name that holds an underscore and shadows nothing. */
export type UnderscorePolicy = 'allow' | 'drop' | 'reject';

/** What one policy snapshot wants of fields; made once by `fieldPolicy`. */
export interface FieldPolicy {
  readonly underscores: UnderscorePolicy;
  /** Names that a policy reads, in lower case, besides those that are protected anyway. */
  readonly policyNames: readonly Uint8Array[];
}

/** Why `filterRequestFields` refuses; 0 is that it does not. */
export const FIELD_REFUSAL = {
  none: 0,
  /** `Connection` names an identity, routing, framing, credential or policy-read field. */
  connectionNamesProtected: 1,
  /** A name with `_` whose `-` form is such a field. */
  shadowsProtected: 2,
  /** A name with `_` where the listener allows none. */
  underscore: 3,
  /** Two of a field that can only be there once. */
  repeated: 4,
  /** More options in Connection than anyone needs. */
  tooManyOptions: 5,
} as const;

/** The `FIELD_REFUSAL` as a code for the log. */
export function fieldRefusalCode(refusal: number): string {
  return REFUSAL_CODES[refusal] ?? '';
}

/** Prepares what the filters need of a snapshot. */
export function fieldPolicy(underscores: UnderscorePolicy, policyFieldNames: Iterable<string>): FieldPolicy {
  return { underscores, policyNames: Array.from(policyFieldNames, nameBytes) };
}

/**
 * Marks the fields of a request that are not to be forwarded. `te` is kept only when it says `trailers`, which we do pass on, even
 * when Connection names it, as it must. `x-forwarded-for` and `x-forwarded-client-cert` are always dropped, because we write
 * them; for a trusted peer their ranges can still be read to be continued.
 *
 * @param isTrusted  the peer is a trusted forwarder: its forwarding fields and request id are believed
 * @returns a `FIELD_REFUSAL`
 */
export function filterRequestFields(head: RequestHead, policy: FieldPolicy, isTrusted: boolean): number {
  const { bytes, fields } = head;
  const { count, dropped, ids, ranges } = fields;
  const drops = isTrusted ? FIELD_RULE.dropped : FIELD_RULE.dropped | FIELD_RULE.untrusted;
  let singletons = 0;
  for (let index = 0; index < count; index++) {
    const id = ids[index] ?? 0;
    const entry = index << 2;
    const rule = id === FIELD.unknown ? prefixRule(bytes, ranges[entry] ?? 0, ranges[entry + 1] ?? 0) : ruleOf(id);
    if (rule === 0) continue;
    if ((rule & drops) !== 0) dropped[index] = 1;
    if ((rule & FIELD_RULE.singleton) !== 0) {
      const bit = 1 << (id & 31);
      if ((singletons & bit) !== 0) return FIELD_REFUSAL.repeated;
      singletons |= bit;
    }
    if (id === FIELD.te && !equalsName(bytes, ranges[entry + 2] ?? 0, ranges[entry + 3] ?? 0, TRAILERS)) dropped[index] = 1;
  }
  if (fields.hasUnderscore) {
    const refusal = filterUnderscores(bytes, fields, policy);
    if (refusal !== FIELD_REFUSAL.none) return refusal;
  }
  if (!head.hasConnectionOptions) return FIELD_REFUSAL.none;
  switch (dropConnectionNamed(bytes, fields, policy.policyNames, true)) {
    case CONNECTION_RESULT.namesProtected:
      return FIELD_REFUSAL.connectionNamesProtected;
    case CONNECTION_RESULT.tooMany:
      return FIELD_REFUSAL.tooManyOptions;
    default:
      return FIELD_REFUSAL.none;
  }
}

/**
 * Marks the fields of a response that are not to be forwarded. Content-Length goes, except where it is only told and frames
 * nothing: in a response to HEAD and in a 304.
 *
 * @param isFromSidecar  the upstream is another sidecar of ours, whose `x-postern-*` fields pass; an app's do not
 * @returns false when Connection is not to be believed
 */
export function filterResponseFields(head: ResponseHead, isFromSidecar: boolean): boolean {
  const { bytes, fields, status } = head;
  const { count, dropped, ids, ranges } = fields;
  const isLengthTold = head.framing === FRAMING.none && status >= 200 && status !== 204;
  const drops = isFromSidecar ? FIELD_RULE.response : FIELD_RULE.response | FIELD_RULE.ours;
  for (let index = 0; index < count; index++) {
    const id = ids[index] ?? 0;
    const entry = index << 2;
    const rule = id === FIELD.unknown ? prefixRule(bytes, ranges[entry] ?? 0, ranges[entry + 1] ?? 0) : ruleOf(id);
    if ((rule & drops) === 0) continue;
    if (id === FIELD.contentLength && isLengthTold) continue;
    dropped[index] = 1;
  }
  if (!head.hasConnectionOptions) return true;
  return dropConnectionNamed(bytes, fields, NO_NAMES, false) === CONNECTION_RESULT.done;
}

/**
 * Marks the trailers that are not to be forwarded: those that name framing, routing, identity or authorization, in any spelling,
 * and those that a policy reads, which was judged without them.
 *
 * @returns how many are left
 */
export function filterTrailers(trailers: Trailers, policy: FieldPolicy): number {
  const { bytes, fields } = trailers;
  const { count, dropped, ids, ranges } = fields;
  let kept = 0;
  for (let index = 0; index < count; index++) {
    const start = ranges[index << 2] ?? 0;
    const end = ranges[(index << 2) + 1] ?? 0;
    const id = ids[index] ?? 0;
    let rule = id === FIELD.unknown ? prefixRule(bytes, start, end) : ruleOf(id);
    if (id === FIELD.unknown && fields.hasUnderscore) rule |= foldedRule(bytes, start, end);
    const isDropped =
      (rule & (FIELD_RULE.protected | FIELD_RULE.trailer)) !== 0 ||
      (policy.policyNames.length !== 0 && isFoldedOneOf(bytes, start, end, policy.policyNames));
    dropped[index] = isDropped ? 1 : 0;
    if (!isDropped) kept++;
  }
  return kept;
}

function filterUnderscores(bytes: Buffer, fields: FieldTable, policy: FieldPolicy): number {
  const { count, dropped, ranges } = fields;
  for (let index = 0; index < count; index++) {
    const start = ranges[index << 2] ?? 0;
    const end = ranges[(index << 2) + 1] ?? 0;
    if (!holdsUnderscore(bytes, start, end)) continue;
    if ((foldedRule(bytes, start, end) & FIELD_RULE.protected) !== 0) return FIELD_REFUSAL.shadowsProtected;
    if (shadowsPolicyName(bytes, start, end, policy.policyNames)) return FIELD_REFUSAL.shadowsProtected;
    if (policy.underscores === 'reject') return FIELD_REFUSAL.underscore;
    if (policy.underscores === 'drop') dropped[index] = 1;
  }
  return FIELD_REFUSAL.none;
}

/** A name that a policy itself writes with an underscore is not a shadow of it. */
function shadowsPolicyName(bytes: Buffer, start: number, end: number, names: readonly Uint8Array[]): boolean {
  return isFoldedOneOf(bytes, start, end, names) && !isPolicyName(bytes, start, end, names);
}

function isPolicyName(bytes: Buffer, start: number, end: number, names: readonly Uint8Array[]): boolean {
  for (let index = 0; index < names.length; index++) {
    const name = names[index];
    if (name !== undefined && equalsName(bytes, start, end, name)) return true;
  }
  return false;
}

function holdsUnderscore(bytes: Buffer, start: number, end: number): boolean {
  for (let index = start; index < end; index++) {
    if (bytes[index] === UNDERSCORE) return true;
  }
  return false;
}

const UNDERSCORE = 95;
const TRAILERS = nameBytes('trailers');
const NO_NAMES: readonly Uint8Array[] = [];
const REFUSAL_CODES = ['', 'connection_names_protected', 'shadows_protected', 'underscore', 'repeated', 'too_many_options'];
