/**
 * The fields of a request as an authorizer is told them: those that are forwarded, with what this proxy adds, and tokens in headers that
 * end here: Istio asks before it takes them out. Names are in lower case.
 */
import type { Exchange } from '../exchange.ts';
import type { RequestHead } from '#wire/h1/head.ts';
import { FIELD } from '#wire/h1/head.ts';
import { TAKEN } from '../authn/tokens/found-tokens.ts';
import type { FieldPair } from './authorizer.ts';

/** Every field but Host, in their order. */
export function toldFields({ bytes, fields }: RequestHead, exchange: Exchange): readonly FieldPair[] {
  const told: FieldPair[] = [];
  const { count, dropped, ids, ranges } = fields;
  for (let index = 0; index < count; index++) {
    if ((dropped[index] !== 0 && dropped[index] !== TAKEN) || ids[index] === FIELD.host) continue;
    const at = 4 * index;
    const name = bytes.toString('latin1', ranges[at] ?? 0, ranges[at + 1] ?? 0).toLowerCase();
    told.push([name, bytes.toString('latin1', ranges[at + 2] ?? 0, ranges[at + 3] ?? 0)]);
  }
  return [...told, ...ownFields(exchange)];
}

/** The fields that this proxy adds to the request. */
export function ownFields({ addedFields, connection }: Exchange): readonly FieldPair[] {
  return [...pairsOf(connection.forwardedFields.toString('latin1')), ...pairsOf(addedFields)];
}

/** Values of one name joined by a comma without a blank, as Envoy's map of headers has them. */
export function joinedFields(pairs: readonly FieldPair[]): ReadonlyMap<string, string> {
  const joined = new Map<string, string>();
  for (const [name, value] of pairs) {
    const before = joined.get(name);
    joined.set(name, before === undefined ? value : `${before},${value}`);
  }
  return joined;
}

/** The target that is forwarded: path and query. */
export function targetOf(head: RequestHead, { rewrittenTarget }: Exchange): string {
  return rewrittenTarget === '' ? head.bytes.toString('latin1', head.targetStart, head.targetEnd) : rewrittenTarget;
}

/** Host as it was sent. */
export function hostOf({ bytes, fields, hostIndex }: RequestHead, { authority }: Exchange): string {
  if (hostIndex < 0) return authority;
  const at = 4 * hostIndex;
  return bytes.toString('latin1', fields.ranges[at + 2] ?? 0, fields.ranges[at + 3] ?? 0);
}

/** Bytes that are no UTF-8 become `!`, as in Envoy: a reader of texts would refuse the whole message. */
export function utf8Of(value: string): string {
  // oxlint-disable-next-line no-control-regex -- bytes above ASCII are what is looked for
  if (!/[\u0080-\u00ff]/u.test(value)) return value;
  return Buffer.from(value, 'latin1').toString('utf8').replaceAll('\ufffd', '!');
}

/** Lines that we wrote ourselves. */
function pairsOf(lines: string): readonly FieldPair[] {
  return lines
    .split('\r\n')
    .filter((line) => line !== '')
    .map((line): FieldPair => {
      const colon = line.indexOf(': ');
      return [line.slice(0, colon), line.slice(colon + 2)];
    });
}
