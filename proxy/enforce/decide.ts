/** Asks the policy of the request's snapshot. Hot path. */
import type { Engine } from '#authz/engine/engine.ts';
import type { RequestAttributes } from '#authz/engine/input.ts';
import type { Decision } from '#authz/engine/input.ts';
import type { RequestHead } from '#wire/h1/head.ts';
import type { Caller } from '../carry.ts';
import type { Exchange } from '../exchange.ts';
import type { Failure } from '../failure.ts';
import { PolicyFields } from './policy-fields.ts';

/** Decides a request whose target is canonical and whose fields are filtered. */
export function decide(caller: Caller, exchange: Exchange, head: RequestHead): Decision {
  return decideBy(exchange.snapshot.policy.engine, caller, exchange, head);
}

/** Decides a request in flight once more, by another engine. `head` is what it came with, filtered anew. */
export function decideAgain(engine: Engine, caller: Caller, head: RequestHead): Decision {
  return decideBy(engine, caller, caller.exchange, head);
}

/** Decides a request with what an external authorizer has answered. `head` is as the answer wants it. */
export function decideAnswered(caller: Caller, exchange: Exchange, head: RequestHead): Decision {
  return decideBy(exchange.snapshot.policy.engine, caller, exchange, head);
}

function decideBy(engine: Engine, caller: Caller, exchange: Exchange, head: RequestHead): Decision {
  let { classified } = caller;
  if (classified === null || classified.engine !== engine || exchange.remoteIp !== '') {
    const { attributes } = exchange.connection;
    classified = engine.classify(exchange.remoteIp === '' ? attributes : { ...attributes, remoteIp: exchange.remoteIp });
    // A forwarder's requests come from many clients: each is classified by itself.
    caller.classified = exchange.remoteIp === '' ? classified : null;
  }
  FIELDS.head = head;
  FIELDS.written = exchange.writtenFields;
  REQUEST.method = exchange.method;
  REQUEST.authority = exchange.authority;
  REQUEST.path = exchange.path;
  REQUEST.tokens = exchange.tokens;
  REQUEST.query = engine.readsQuery ? queryOf(head, exchange.rewrittenTarget) : '';
  const decision =
    exchange.answered === null
      ? engine.decide(classified, REQUEST)
      : engine.decide(classified, REQUEST, exchange.answered.providers);
  if (engine.headerNames.length > 0 && decision.effect === 'deny') exchange.readFields = readFields(engine.headerNames);
  return decision;
}

/** What the exchange fails with when the decision is no, null when it is yes. */
export function enforce(decision: Decision): Failure | null {
  if (decision.effect === 'allow') return null;
  switch (decision.code) {
    case 'policy_missing':
    case 'policy_invalid':
      return 'policy_unavailable';
    case 'policy_expired':
      return 'policy_expired';
    case 'engine_error':
      return 'engine_error';
    default:
      return 'denied_by_policy';
  }
}

/** What follows the first `?` of the target that is forwarded: a fragment is in none that is judged. */
function queryOf({ bytes, targetEnd, targetStart }: RequestHead, rewritten: string): string {
  if (rewritten !== '') {
    const question = rewritten.indexOf('?');
    return question < 0 ? '' : rewritten.slice(question + 1);
  }
  const question = bytes.indexOf(QUESTION, targetStart);
  return question < 0 || question >= targetEnd ? '' : bytes.toString('latin1', question + 1, targetEnd);
}

function readFields(names: readonly string[]): (readonly [string, string])[] {
  return names.flatMap((name) => FIELDS.values(name).map((value) => [name, value] as const));
}

const QUESTION = 63;
const FIELDS = new PolicyFields();
const REQUEST: { -readonly [K in keyof RequestAttributes]: RequestAttributes[K] } = {
  method: '',
  authority: '',
  path: '',
  query: '',
  fields: FIELDS,
  tokens: Object.freeze([]),
};
