/** The authorizers of a sidecar by name, and the requests that wait for them. */
import type { Decision } from '#authz/engine/input.ts';
import type { RequestHead } from '#wire/h1/head.ts';
import type { Caller } from '../carry.ts';
import type { Failure } from '../failure.ts';
import type { Upstream } from '../forward/streams.ts';
import type { LivePolicy } from '../opa/live-policy.ts';
import type { Runtime } from '../runtime.ts';
import type { UpstreamService } from '../upstream/service.ts';
import type { AuthorizerState } from './authorizer-state.ts';
import type { Authorizer } from './authorizer.ts';
import { errorDenial, withCode } from './denials.ts';
import { PendingDecision } from './pending-decision.ts';
import { Turns } from './turns.ts';

interface Entry {
  readonly authorizer: Authorizer;
  readonly turns: Turns;
  /** What it answers from, when that is kept in this process. */
  readonly policy: LivePolicy | null;
}

export class Authorizers {
  readonly #runtime: Runtime;
  readonly #entries = new Map<string, Entry>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  add(authorizer: Authorizer, concurrency: number, policy: LivePolicy | null = null): void {
    this.#entries.set(authorizer.name, { authorizer, turns: new Turns(concurrency), policy });
  }

  /** Why what a policy asks could not be answered for want of a policy of OPA's, or null. */
  notServable(): string | null {
    for (const [name, { policy }] of this.#entries)
      if (policy !== null && !policy.isInForce) return `no bundle in force: ${name}`;
    return null;
  }

  /** What of `names`, which policies ask, nobody can answer: why, or null. */
  unanswerable(names: readonly string[]): string | null {
    if (names.length > 1) return `policies ask several authorizers: ${names.join(', ')}`;
    const [name] = names;
    return name === undefined || this.#entries.has(name) ? null : `policies ask an authorizer that is not configured: ${name}`;
  }

  states(): readonly AuthorizerState[] {
    return [...this.#entries].map(([name, { policy, turns }]) => ({
      name,
      waiting: turns.asking,
      policy: policy === null ? null : policy.state(),
    }));
  }

  reopenLogs(): void {
    for (const { policy } of this.#entries.values()) policy?.reopenLogs();
  }

  /** Nothing is asked any more; what was logged is written. */
  async close(): Promise<void> {
    await Promise.all([...this.#entries.values()].flatMap(({ policy }) => (policy === null ? [] : [policy.close()])));
  }

  /**
   * Asks whom a policy wants asked. Of several it asks nobody: such a set says that what they match is denied (docs/istio-policies.md).
   *
   * @param head    filtered; it is copied
   * @param asking  the decision that wants an answer
   */
  ask(caller: Caller, head: RequestHead, app: UpstreamService, asking: Decision): Upstream | Failure {
    const { exchange } = caller;
    const [name = '', ...others] = exchange.snapshot.policy.engine.providers;
    const entry = others.length > 0 ? undefined : this.#entries.get(name);
    if (entry === undefined) {
      exchange.detail = 'no_such_authorizer';
      return 'denied_by_policy';
    }
    const { authorizer, turns } = entry;
    const turn = turns.take(authorizer.bodyBytes > 0 && exchange.tunnel === '');
    if (turn === null) {
      exchange.decision = withCode(asking, 'provider_overloaded');
      exchange.denial = errorDenial(authorizer.statusOnError);
      return 'denied_by_policy';
    }
    return new PendingDecision({ caller, app, authorizer, runtime: this.#runtime, turn }, head, asking);
  }
}
