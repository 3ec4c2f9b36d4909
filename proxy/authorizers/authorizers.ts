/** The authorizers of a sidecar by name, and the requests that wait for them. */
import type { Decision } from '#authz/engine/input.ts';
import type { RequestHead } from '#wire/h1/head.ts';
import type { Caller } from '../carry.ts';
import type { Failure } from '../failure.ts';
import type { Upstream } from '../forward/streams.ts';
import type { Runtime } from '../runtime.ts';
import type { UpstreamService } from '../upstream/service.ts';
import type { Authorizer } from './authorizer.ts';
import { errorDenial, PendingDecision, withCode } from './pending-decision.ts';

interface Entry {
  readonly authorizer: Authorizer;
  readonly concurrency: number;
  /** Requests that wait for its answer. INVARIANT: at most `concurrency`. */
  waiting: number;
}

export class Authorizers {
  readonly #runtime: Runtime;
  readonly #entries = new Map<string, Entry>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  add(authorizer: Authorizer, concurrency: number): void {
    this.#entries.set(authorizer.name, { authorizer, concurrency, waiting: 0 });
  }

  /** Requests that wait for each. */
  waiting(): readonly (readonly [name: string, count: number])[] {
    return [...this.#entries].map(([name, { waiting }]) => [name, waiting]);
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
    if (entry.waiting >= entry.concurrency) {
      const { statusOnError } = entry.authorizer;
      exchange.decision = withCode(asking, 'provider_overloaded');
      exchange.denial = errorDenial(statusOnError);
      return 'denied_by_policy';
    }
    entry.waiting++;
    return new PendingDecision(
      { caller, app, authorizer: entry.authorizer, runtime: this.#runtime, ended: () => entry.waiting-- },
      head,
      asking,
    );
  }
}
