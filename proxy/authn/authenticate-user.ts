/** Asks whose tokens a request bears, where the policy in force wants to know, and writes down what was found. Hot path. */
import type { RequestHead } from '#wire/h1/head.ts';
import type { Exchange } from '../exchange.ts';
import type { Failure } from '../failure.ts';
import type { TokenAuthenticator } from './tokens/token-authenticator.ts';

/** Proves the user of a request whose target is canonical and whose fields are filtered, and has the app told of it. */
export function authenticateUser(users: TokenAuthenticator, exchange: Exchange, head: RequestHead): Failure | null {
  const refused = users.authenticate(head, exchange.startedMs);
  if (refused !== null) {
    exchange.decision = users.refusal;
    return refused;
  }
  noteUser(users, exchange);
  const { fields, query } = users;
  for (let index = 0; index < fields.length; index++) {
    const field = fields[index];
    if (field !== undefined) exchange.addedFields += `${field[0]}: ${field[1]}\r\n`;
  }
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

function noteUser(users: TokenAuthenticator, exchange: Exchange): void {
  exchange.tokens = users.tokens;
  exchange.writtenFields = users.fields;
  exchange.validUntilMs = users.validUntilMs;
}
