/** What the authorizers of a process look like from outside: the admin interface's `/authorizers`, and their metrics. */
import type { PolicyState } from '../opa/live-policy.ts';
import type { MetricName } from '../report/metrics.ts';
import { Series, type Samples } from '../report/samples.ts';

export interface AuthorizerState {
  readonly name: string;
  /** Requests that wait for an answer. */
  readonly waiting: number;
  /** The OPA policy that answers; null for one that is asked over a connection. */
  readonly policy: PolicyState | null;
}

/** The same as metrics. */
export function authorizerSamples(states: readonly AuthorizerState[]): Samples {
  const samples: Record<string, Readonly<Record<string, number>>> = {};
  const series = (name: MetricName): Series => {
    const made = new Series();
    samples[name] = made.values;
    return made;
  };
  const waitingRequests = series('postern_authorizer_requests_waiting');
  const activated = series('postern_opa_bundle_activated_timestamp_seconds');
  const refused = series('postern_opa_bundle_refusals_total');
  const replaced = series('postern_opa_threads_replaced_total');
  const dropped = series('postern_opa_decision_events_dropped_total');
  for (const { name: authorizer, policy, waiting } of states) {
    waitingRequests.set({ authorizer }, waiting);
    if (policy === null) continue;
    const { activatedMs, eventsDropped, revision } = policy;
    if (revision !== null) activated.set({ authorizer, revision }, activatedMs / 1000);
    refused.set({ authorizer }, policy.refused);
    replaced.set({ authorizer }, policy.replaced);
    dropped.set({ authorizer }, eventsDropped);
  }
  return samples;
}
