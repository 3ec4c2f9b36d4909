/**
 * Judges what is open once more: by the policy in force now, with the attributes that it had when it began. A verdict that stands
 * changes nothing, the exchange keeps the revision that it began with; one that flips is written into its record as what ended it.
 */
import { dropHandshakeFields } from '#wire/websocket/handshake.ts';
import type { HeadLimits, RequestHead } from '#wire/h1/head.ts';
import type { Token } from '#authz/engine/input.ts';
import type { Answered } from '../authorizers/answered.ts';
import { changedHead } from '../authorizers/changes.ts';
import { authenticateAgain } from '../authn/authenticate-user.ts';
import type { WrittenField } from '../authn/tokens/found-tokens.ts';
import type { Caller } from '../carry.ts';
import { decideAgain, enforce } from '../enforce/decide.ts';
import { decideByConnection } from '../enforce/decide-connection.ts';
import type { Exchange } from '../exchange.ts';
import type { Failure } from '../failure.ts';
import { FieldPolicies } from '../http/field-policies.ts';
import { fieldRefusalCode, filterRequestFields, type FieldPolicy, type UnderscorePolicy } from '../http/fields.ts';
import type { Runtime } from '../runtime.ts';
import type { PolicySnapshot } from '../snapshot.ts';
import type { TcpExchange } from '../tcp/tcp-exchange.ts';

/** Where the head of a request in flight can be read once more. */
export interface HeadSource {
  /** The head as it came, with no field dropped; null when it is not kept. Valid until `freed`. */
  again(limits: HeadLimits): RequestHead | null;
  freed(head: RequestHead): void;
  /** The exchange lasts: what is kept for it should be no more than the head. */
  compact(): void;
}

export class Judge {
  readonly #runtime: Runtime;
  readonly #fieldPolicies = new Map<UnderscorePolicy, FieldPolicies>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Why an open exchange must end now, null when it may go on. Costs next to nothing while nothing has changed. */
  request(caller: Caller, source: HeadSource): Failure | null {
    const { exchange } = caller;
    const { policy } = this.#runtime.snapshot;
    if (exchange.decision === null || exchange.decision.effect !== 'allow') return null;
    source.compact();
    if (exchange.validUntilMs <= this.#runtime.clock.nowMs()) return 'token_expired';
    if (exchange.answered !== null) {
      const refused = this.#answerHolds(caller, exchange.answered, source);
      if (refused !== null) return refused;
    }
    if (exchange.snapshot.policy === policy || exchange.rejudgedBy === policy) return null;
    exchange.rejudgedBy = policy;
    this.#runtime.report.rejudged++;
    const head = source.again(HEAD_LIMITS);
    if (head === null) return this.#ended(exchange, 'engine_error', 'head_not_kept');
    const failure = this.#judge(caller, head, policy);
    source.freed(head);
    return failure;
  }

  /** The same of a raw TCP connection that the policy of this workload has judged. */
  connection(exchange: TcpExchange): Failure | null {
    const { snapshot } = this.#runtime;
    if (exchange.decision === null || exchange.decision.effect !== 'allow') return null;
    if (exchange.snapshot.policy === snapshot.policy || exchange.rejudgedBy === snapshot.policy) return null;
    exchange.rejudgedBy = snapshot.policy;
    this.#runtime.report.rejudged++;
    const decision = decideByConnection(exchange.connection, snapshot.policy.engine);
    const denied = enforce(decision);
    if (denied === null) return null;
    exchange.decision = decision;
    exchange.snapshot = snapshot;
    return this.#ended(exchange, denied === 'denied_by_policy' ? 'revoked' : denied, '');
  }

  /** Has an authorizer asked again whose policy is another by now. Its answer is looked at in a later round. */
  #answerHolds(caller: Caller, answered: Answered, source: HeadSource): Failure | null {
    const { exchange } = caller;
    if (answered.denial !== null) {
      exchange.decision = answered.denial;
      return this.#ended(exchange, 'revoked', '');
    }
    if (!answered.isStale(exchange)) return null;
    this.#runtime.report.rejudged++;
    const head = source.again(HEAD_LIMITS);
    if (head === null) return this.#ended(exchange, 'engine_error', 'head_not_kept');
    const { policy } = exchange.snapshot;
    const nowMs = this.#runtime.clock.nowMs();
    if (exchange.tunnel !== '') dropHandshakeFields(head);
    const refusal = filterRequestFields(head, this.#fieldPolicy(caller, policy), caller.connection.isTrustedForwarder);
    // What was told of its user then is told again.
    policy.users?.authenticate(head, nowMs);
    if (refusal === 0) answered.askAgain(exchange, head, nowMs);
    source.freed(head);
    return refusal === 0 ? null : this.#ended(exchange, 'bad_field', fieldRefusalCode(refusal));
  }

  #judge(caller: Caller, head: RequestHead, policy: PolicySnapshot): Failure | null {
    const { exchange } = caller;
    if (exchange.tunnel !== '') dropHandshakeFields(head);
    const refusal = filterRequestFields(head, this.#fieldPolicy(caller, policy), caller.connection.isTrustedForwarder);
    if (refusal !== 0) return this.#ended(exchange, 'bad_field', fieldRefusalCode(refusal));
    const unproved = this.#unproved(exchange, head, policy);
    if (unproved !== null) return unproved;
    const { answered } = exchange;
    // What an authorizer said when it let the request in still holds, for itself alone: one that has not said so is not asked now.
    const changed = answered === null ? head : changedHead(head, exchange, answered.changes);
    if (changed === null) return this.#ended(exchange, 'engine_error', 'changes_refused');
    const decision = decideAgain(policy.engine, caller, changed);
    const denied = enforce(decision);
    if (denied === null) return null;
    exchange.decision = decision;
    exchange.snapshot = this.#runtime.snapshot;
    return this.#ended(exchange, denied === 'denied_by_policy' ? 'revoked' : denied, '');
  }

  /** Keys may be others now, and so may whose tokens are taken: they are verified again. */
  #unproved(exchange: Exchange, head: RequestHead, { users }: PolicySnapshot): Failure | null {
    if (users === null) {
      exchange.tokens = NO_TOKENS;
      exchange.writtenFields = NO_FIELDS;
      exchange.validUntilMs = Infinity;
      return null;
    }
    const code = authenticateAgain(users, exchange, head, this.#runtime.clock.nowMs());
    if (code === null) return null;
    exchange.decision = users.refusal;
    exchange.snapshot = this.#runtime.snapshot;
    return this.#ended(exchange, 'revoked', code);
  }

  #ended(exchange: { detail: string }, failure: Failure, detail: string): Failure {
    exchange.detail = detail;
    this.#runtime.report.revoked++;
    return failure;
  }

  #fieldPolicy({ fieldPolicy: { underscores } }: Caller, policy: PolicySnapshot): FieldPolicy {
    let policies = this.#fieldPolicies.get(underscores);
    if (policies === undefined) {
      policies = new FieldPolicies(underscores);
      this.#fieldPolicies.set(underscores, policies);
    }
    return policies.of(policy);
  }
}

const NO_TOKENS: readonly Token[] = Object.freeze([]);
const NO_FIELDS: readonly WrittenField[] = Object.freeze([]);
/** It was within the limits once. */
const HEAD_LIMITS: HeadLimits = { headBytes: 1_048_576, fields: 512 };
