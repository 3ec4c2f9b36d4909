/** Asks whose tokens a request bears, where the policy in force wants to know, and writes down what was found. Hot path. */
import type { Token } from '#authz/engine/input.ts';
import { nameBytes } from '#wire/h1/field-names.ts';
import { FIELD, type RequestHead } from '#wire/h1/head.ts';
import type { Exchange } from '../exchange.ts';
import type { Failure } from '../failure.ts';
import { isFoldedOneOf } from '../http/folded-name.ts';
import type { WrittenField } from './tokens/found-tokens.ts';
import type { TokenAuthenticator } from './tokens/token-authenticator.ts';

/** Proves the user of a request whose target is canonical and whose fields are filtered, and has the app told of it. */
export function authenticateUser(
  users: TokenAuthenticator,
  exchange: Exchange,
  head: RequestHead,
  nowMs: number,
): Failure | null {
  const refused = users.authenticate(head, nowMs);
  if (refused !== null) {
    exchange.decision = users.refusal;
    return refused;
  }
  noteUser(users, exchange);
  const { fields, query } = users;
  if (fields.length > 0) exchange.addedFields += linesOf(fields);
  if (query !== null) exchange.rewrittenTarget = exchange.path + query;
  return null;
}

/** The same for a request that is open already: `head` is what it came with, filtered anew, and the app has been told. */
export function authenticateAgain(
  users: TokenAuthenticator,
  exchange: Exchange,
  head: RequestHead,
  nowMs: number,
): Failure | null {
  const refused = users.authenticate(head, nowMs);
  if (refused === null) noteUser(users, exchange);
  return refused;
}

/**
 * Undoes what `authenticateUser` did to a request that nothing was forwarded of yet, so that other rules or keys may judge it. `head` is
 * to be filtered again. Not for the hot path.
 */
export function forgetUser(users: TokenAuthenticator, exchange: Exchange, head: RequestHead): void {
  const lines = linesOf(exchange.writtenFields);
  const at = exchange.addedFields.lastIndexOf(lines);
  exchange.addedFields = exchange.addedFields.slice(0, at) + exchange.addedFields.slice(at + lines.length);
  exchange.tokens = NO_TOKENS;
  exchange.writtenFields = NO_FIELDS;
  exchange.validUntilMs = Infinity;
  const { bytes, fields, targetEnd, targetStart } = head;
  if (exchange.rewrittenTarget !== '') {
    const target = bytes.toString('latin1', targetStart, targetEnd);
    const mark = target.indexOf('?');
    exchange.rewrittenTarget = mark < 0 ? exchange.path : exchange.path + target.slice(mark);
  }
  const names = users.plan.fieldNames.map(nameBytes);
  const { count, dropped, ids, ranges } = fields;
  for (let index = 0; index < count; index++) {
    const isOurs = isFoldedOneOf(bytes, ranges[4 * index] ?? 0, ranges[4 * index + 1] ?? 0, names);
    if (isOurs || ids[index] === FIELD.cookie) dropped[index] = 0;
  }
}

function linesOf(fields: readonly WrittenField[]): string {
  let lines = '';
  for (let index = 0; index < fields.length; index++) {
    const field = fields[index];
    if (field !== undefined) lines += `${field[0]}: ${field[1]}\r\n`;
  }
  return lines;
}

function noteUser(users: TokenAuthenticator, exchange: Exchange): void {
  exchange.tokens = users.tokens;
  exchange.writtenFields = users.fields;
  exchange.validUntilMs = users.validUntilMs;
}

const NO_TOKENS: readonly Token[] = Object.freeze([]);
const NO_FIELDS: readonly WrittenField[] = Object.freeze([]);
