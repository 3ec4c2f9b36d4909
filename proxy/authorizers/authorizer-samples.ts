/** What the authorizers of a process look like as metrics. */
import type { LivePolicy } from '../opa/live-policy.ts';
import type { MetricName } from '../report/metrics.ts';
import { Series, type Samples } from '../report/samples.ts';

export interface AuthorizerState {
  readonly authorizer: string;
  readonly policy: LivePolicy | null;
  readonly waiting: number;
}

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
  for (const { authorizer, policy, waiting } of states) {
    waitingRequests.set({ authorizer }, waiting);
    if (policy === null) continue;
    const counts = policy.counts();
    if (counts.revision !== null) activated.set({ authorizer, revision: counts.revision }, counts.activatedMs / 1000);
    refused.set({ authorizer }, counts.refused);
    replaced.set({ authorizer }, counts.replaced);
    dropped.set({ authorizer }, counts.eventsDropped);
  }
  return samples;
}
