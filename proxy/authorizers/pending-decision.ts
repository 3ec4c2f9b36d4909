/**
 * A request that waits for an authorizer's answer: to its caller an upstream that takes nothing, so that the body is not read beyond
 * what has come already. A yes hands head and body to the workload, which the caller speaks to from then on; a no, or no answer, ends
 * the exchange as a denial made at once would have ended it. INVARIANT: nothing goes to the workload before the policy that is in
 * force when the answer comes has allowed the request as it is forwarded.
 */
import { Deadline } from '#base/timer-wheel.ts';
import type { Decision, DecisionCode } from '#authz/engine/input.ts';
import type { Trailers } from '#wire/h1/chunked.ts';
import { RequestHead } from '#wire/h1/head.ts';
import { authenticateUser, forgetUser } from '../authn/authenticate-user.ts';
import type { Caller } from '../carry.ts';
import { decideAnswered, enforce } from '../enforce/decide.ts';
import type { Failure } from '../failure.ts';
import type { Upstream } from '../forward/streams.ts';
import { FieldPolicies } from '../http/field-policies.ts';
import { fieldRefusalCode, filterRequestFields } from '../http/fields.ts';
import { copyHead } from '../http/kept-head.ts';
import { openTunnel } from '../http/upgrade.ts';
import { flushOutlets } from '../io/outlet.ts';
import type { Runtime } from '../runtime.ts';
import { copyTrailers } from '../upstream/held-request.ts';
import type { Snapshot } from '../snapshot.ts';
import type { UpstreamService } from '../upstream/service.ts';
import { NO_CHANGES, type Answer, type Asked, type Authorizer, type Changes } from './authorizer.ts';
import { Answered } from './answered.ts';
import { changedHead, fieldPolicyWith, responseLines } from './changes.ts';
import { errorDenial, withCode } from './denials.ts';
import type { Turn } from './turns.ts';

export interface Pending {
  readonly caller: Caller;
  readonly app: UpstreamService;
  readonly authorizer: Authorizer;
  readonly runtime: Runtime;
  readonly turn: Turn;
}

export class PendingDecision extends Deadline implements Upstream {
  readonly isReused = false;
  readonly #pending: Pending;
  readonly #head = new RequestHead();
  /** The decision that asked. */
  readonly #asking: Decision;
  /** The body is asked about, and not complete yet. */
  #isGathering: boolean;
  #asked: Asked | null = null;
  readonly #body: Buffer[] = [];
  #bytes = 0;
  #isDone = false;
  #trailers: Trailers | null = null;
  #isOver = false;

  /** @param head  filtered; it is copied */
  constructor(pending: Pending, head: RequestHead, asking: Decision) {
    super();
    this.#pending = pending;
    this.#asking = asking;
    const bytes = Buffer.allocUnsafeSlow(head.end - head.start);
    head.bytes.copy(bytes, 0, head.start, head.end);
    copyHead(head, this.#head, bytes);
    const { authorizer, caller, runtime } = pending;
    this.#isGathering = authorizer.bodyBytes > 0 && caller.exchange.tunnel === '';
    if (this.#isGathering) runtime.wheel.arm(this, runtime.timeouts.bodyIdleMs);
    else this.#ask(null);
  }

  get isBlocked(): boolean {
    return !this.#isGathering;
  }

  requestHead(): void {
    // It had the head from the beginning.
  }

  requestBody(bytes: Buffer, start: number, end: number): void {
    if (this.#isOver || end === start) return;
    this.#body.push(Buffer.from(bytes.subarray(start, end)));
    this.#bytes += end - start;
    if (this.#isGathering && this.#bytes > this.#pending.authorizer.bodyBytes) this.#tooLarge();
  }

  requestEnd(trailers: Trailers | null): void {
    if (this.#isOver) return;
    this.#isDone = true;
    this.#trailers = trailers === null ? null : copyTrailers(trailers);
    if (!this.#isGathering) return;
    this.#isGathering = false;
    this.#ask(Buffer.concat(this.#body));
  }

  /** The caller is gone, or the exchange has ended otherwise. */
  abort(): void {
    if (this.#isOver) return;
    this.#over();
    this.#asked?.abort();
  }

  resumeResponse(): void {
    // There is none yet.
  }

  /** A body that is asked about has to come as a whole in the time that others have for a part. */
  onDeadline(): void {
    if (!this.#isGathering) return;
    this.#fail('body_timeout');
    flushOutlets();
  }

  #ask(body: Buffer | null): void {
    const { authorizer, caller, turn } = this.#pending;
    // A body that is asked about is asked for with 100 (RFC 9110, section 10.1.1); any other one once it is allowed.
    caller.exchange.isPending = true;
    if (!turn.asks()) {
      // Whoever brought the end of the body is not done with it.
      setImmediate(() => this.#overloaded());
      return;
    }
    const question = { exchange: caller.exchange, head: this.#head, body };
    this.#asked = authorizer.ask(question, (answer) => {
      this.#answered(answer);
      flushOutlets();
    });
  }

  #answered(answer: Answer): void {
    if (this.#isOver) return;
    const { authorizer, caller } = this.#pending;
    const { exchange } = caller;
    switch (answer.kind) {
      case 'allow':
        return this.#allowed(answer.changes ?? NO_CHANGES);
      case 'deny':
        exchange.denial = answer.denial;
        return this.#denied('denied_by_provider', answer.detail);
      default:
        if (authorizer.failOpen) {
          exchange.detail = `authorizer_failed_open:${answer.detail === '' ? answer.code : answer.detail}`;
          return this.#allowed(NO_CHANGES);
        }
        exchange.denial = errorDenial(authorizer.statusOnError);
        return this.#denied(answer.code, answer.detail);
    }
  }

  #allowed(changes: Changes): void {
    const { authorizer, caller, runtime } = this.#pending;
    const { exchange } = caller;
    if (exchange.validUntilMs <= runtime.clock.nowMs()) return this.#fail('token_expired');
    // Another policy may have come into force; what was waited for is judged by it alone.
    if (exchange.snapshot.policy !== runtime.snapshot.policy) {
      const refused = this.#judgedBy(runtime.snapshot);
      if (refused !== null) return this.#fail(refused);
    }
    const askedTarget = exchange.rewrittenTarget;
    const head = changedHead(this.#head, exchange, changes);
    if (head === null) {
      exchange.denial = errorDenial(authorizer.statusOnError);
      return this.#denied('provider_error', 'changes_refused');
    }
    caller.fieldPolicy = fieldPolicyWith(caller.fieldPolicy, changes);
    exchange.responseFields = responseLines(changes.respond);
    exchange.answered = new Answered(authorizer, this.#asking, changes, askedTarget);
    exchange.decision = decideAnswered(caller, exchange, head);
    const denied = enforce(exchange.decision);
    if (denied === null) this.#carry(head);
    else this.#fail(denied);
  }

  /** Brings the request under another snapshot: its fields, and whose it is. */
  #judgedBy(snapshot: Snapshot): Failure | null {
    const { caller, runtime } = this.#pending;
    const { exchange } = caller;
    const { users: former } = exchange.snapshot.policy;
    const { users } = snapshot.policy;
    if (former !== null && former !== users) forgetUser(former, exchange, this.#head);
    exchange.snapshot = snapshot;
    caller.fieldPolicy = new FieldPolicies(caller.fieldPolicy.underscores).of(snapshot.policy);
    const refusal = filterRequestFields(this.#head, caller.fieldPolicy, caller.connection.isTrustedForwarder);
    if (refusal !== 0) {
      exchange.detail = fieldRefusalCode(refusal);
      return 'bad_field';
    }
    if (users === null || users === former) return null;
    return authenticateUser(users, exchange, this.#head, runtime.clock.nowMs());
  }

  #carry(head: RequestHead): void {
    const { app, caller } = this.#pending;
    const { exchange } = caller;
    this.#over();
    const isTunnel = exchange.tunnel !== '';
    const upstream = isTunnel ? openTunnel(caller, head, app) : app.acquire(caller, caller.pool);
    if (typeof upstream === 'string') return caller.upstreamFailed(upstream);
    caller.carried(upstream);
    if (isTunnel) return;
    upstream.requestHead(head, exchange);
    for (const run of this.#body) upstream.requestBody(run, 0, run.length);
    this.#body.length = 0;
    if (this.#isDone) upstream.requestEnd(this.#trailers);
    else if (!upstream.isBlocked) caller.resumeRequest();
  }

  #denied(code: DecisionCode, detail: string): void {
    const { exchange } = this.#pending.caller;
    exchange.decision = withCode(this.#asking, code);
    exchange.detail = detail;
    this.#fail('denied_by_policy');
  }

  #overloaded(): void {
    if (this.#isOver) return;
    const { authorizer, caller } = this.#pending;
    caller.exchange.denial = errorDenial(authorizer.statusOnError);
    this.#denied('provider_overloaded', '');
    flushOutlets();
  }

  #tooLarge(): void {
    const { exchange } = this.#pending.caller;
    exchange.denial = errorDenial(CONTENT_TOO_LARGE);
    this.#denied('provider_error', 'body_too_large');
  }

  #fail(failure: Failure): void {
    this.#over();
    this.#pending.caller.upstreamFailed(failure);
  }

  #over(): void {
    this.#isOver = true;
    this.#isGathering = false;
    const { caller, runtime, turn } = this.#pending;
    caller.exchange.isPending = false;
    runtime.wheel.remove(this);
    turn.end();
  }
}

const CONTENT_TOO_LARGE = 413;
