/** What the upstreams of a process look like from outside: the admin interface's `/upstreams`, and their metrics. */
import type { MetricName } from '../report/metrics.ts';
import { Series, type Samples } from '../report/samples.ts';
import type { Endpoint } from './endpoint.ts';
import { H1Upstream } from './h1-upstream.ts';
import { H2Connection } from './h2-connection.ts';
import type { UpstreamService } from './service.ts';

export interface UpstreamState {
  readonly name: string;
  readonly direction: 'inbound' | 'outbound';
  readonly endpoints: readonly EndpointState[];
  /** Connections by what is spoken on them; `opening` are those of which only the handshake will tell. */
  readonly connections: Readonly<Record<ConnectionKind, number>>;
  readonly requests: number;
  readonly waiting: number;
  readonly retries: { readonly underWay: number; readonly total: number; readonly overBudget: number };
  /** How often each limit of `circuit` stopped something. */
  readonly overflows: Readonly<Record<'connections' | 'pendingRequests' | 'requests', number>>;
}

interface EndpointState {
  readonly address: string;
  readonly state: 'healthy' | 'ejected';
  readonly protocol: 'http1' | 'http2' | 'unknown';
  readonly requests: number;
  readonly failuresInRow: number;
  readonly ejectedForMs: number;
  readonly total: { readonly requests: number; readonly failures: number; readonly ejections: number };
}

type ConnectionKind = 'http1' | 'http2' | 'opening';

export function upstreamStates(services: readonly UpstreamService[]): readonly UpstreamState[] {
  return services.map((service) => ({
    name: service.name,
    direction: service.direction,
    endpoints: service.endpoints.map((endpoint) => endpointState(endpoint, service.wheel.nowMs)),
    connections: connectionsOf(service),
    requests: service.budget.inFlight,
    waiting: service.shared?.waiting ?? 0,
    retries: { underWay: service.budget.retrying, total: service.budget.retries, overBudget: service.budget.refusals },
    overflows: { ...service.overflows },
  }));
}

/** The same as metrics. */
export function upstreamSamples(services: readonly UpstreamService[]): Samples {
  const samples: Record<string, Readonly<Record<string, number>>> = {};
  const series = (name: MetricName): Series => {
    const made = new Series();
    samples[name] = made.values;
    return made;
  };
  const connections = series('postern_upstream_connections');
  const open = series('postern_upstream_requests_open');
  const waiting = series('postern_upstream_requests_waiting');
  const retries = series('postern_upstream_retries_total');
  const overBudget = series('postern_upstream_retries_refused_total');
  const overflows = series('postern_upstream_circuit_open_total');
  const requests = series('postern_upstream_requests_total');
  const failures = series('postern_upstream_failures_total');
  const ejections = series('postern_upstream_ejections_total');
  const ejected = series('postern_upstream_endpoints_ejected');
  for (const state of upstreamStates(services)) {
    const { name: upstream, direction } = state;
    const labels = { direction, upstream };
    for (const [protocol, count] of Object.entries(state.connections)) connections.inc({ ...labels, protocol }, count);
    open.inc(labels, state.requests);
    waiting.inc(labels, state.waiting);
    retries.inc(labels, state.retries.total);
    overBudget.inc(labels, state.retries.overBudget);
    for (const [limit, count] of Object.entries(state.overflows)) overflows.inc({ ...labels, limit }, count);
    for (const endpoint of state.endpoints) {
      const at = { ...labels, endpoint: endpoint.address };
      requests.inc(at, endpoint.total.requests);
      failures.inc(at, endpoint.total.failures);
      ejections.inc(at, endpoint.total.ejections);
      ejected.inc(labels, endpoint.state === 'ejected' ? 1 : 0);
    }
  }
  return samples;
}

function endpointState(endpoint: Endpoint, nowMs: number): EndpointState {
  const { name, protocol, inFlight, failuresInRow, ejectedUntilMs, exchanges, failures, ejectionsTotal } = endpoint;
  return {
    address: name,
    state: ejectedUntilMs === 0 ? 'healthy' : 'ejected',
    protocol: protocol ?? 'unknown',
    requests: inFlight,
    failuresInRow,
    ejectedForMs: ejectedUntilMs === 0 ? 0 : Math.max(0, Math.ceil(ejectedUntilMs - nowMs)),
    total: { requests: exchanges, failures, ejections: ejectionsTotal },
  };
}

function connectionsOf(service: UpstreamService): Record<ConnectionKind, number> {
  const counts = { http1: 0, http2: 0, opening: 0 };
  for (const connection of service.connections) {
    if (connection instanceof H1Upstream) counts.http1++;
    else if (connection instanceof H2Connection) counts.http2++;
    else counts.opening++;
  }
  return counts;
}
