/** The metrics that Prometheus scrapes: what there is, and the text of a scrape. They are filled by `collect.ts`. */
import type { Merging, Samples } from './samples.ts';

/** Every metric's name and what it says; docs/reference/metrics.md is written from it. */
export const METRICS = {
  postern_requests_total: { labels: ['direction', 'verdict', 'status'], help: 'Requests by what became of them.' },
  postern_request_duration_seconds: { labels: ['direction'], help: 'From the head of a request to the end of its response.' },
  postern_request_bytes_total: { labels: ['direction'], help: 'Bytes of request bodies.' },
  postern_response_bytes_total: { labels: ['direction'], help: 'Bytes of response bodies.' },
  postern_decisions_total: { labels: ['decision', 'code', 'policy'], help: 'Decisions by the policy that made them.' },
  postern_failures_total: { labels: ['reason'], help: 'Exchanges and connections that failed, by reason.' },
  postern_grpc_calls_total: {
    labels: ['direction', 'status'],
    help: 'gRPC calls by the `grpc-status` that the caller got; `none` for those that ended without one.',
  },
  postern_http2_faults_total: {
    labels: ['fault'],
    help: 'Streams and sessions of HTTP/2 that were ended for what the caller did, by fault.',
  },
  postern_tcp_connections_total: {
    labels: ['direction', 'verdict', 'close_reason'],
    help: 'Raw TCP connections that have ended, by what became of them.',
  },
  postern_tcp_received_bytes_total: {
    labels: ['direction'],
    help: 'Bytes from the callers of raw TCP connections that have ended.',
  },
  postern_tcp_sent_bytes_total: { labels: ['direction'], help: 'Bytes to the callers of raw TCP connections that have ended.' },
  postern_plaintext_connections_total: {
    labels: ['source'],
    help: 'Connections without mutual TLS to PERMISSIVE ports, by address; `other` once there are 256.',
  },
  postern_tokens_total: {
    labels: ['result'],
    help: 'Tokens of users that were looked at: `cached`, known to be good already; `verified`, found out anew, whatever came of it.',
  },
  postern_key_set_fetched_timestamp_seconds: {
    labels: ['source'],
    help: "When the keys in use of an issuer's source were fetched; 0 without any.",
    merging: 'min',
  },
  postern_key_set_failed: {
    labels: ['source', 'reason'],
    help: 'Sources whose last fetch failed, by reason.',
    merging: 'max',
  },
  postern_handshakes_total: { labels: [], help: 'TLS handshakes of callers whose SVID was accepted.' },
  postern_connections_open: { labels: [], help: 'Downstream connections that are open.' },
  postern_connections_opened_total: { labels: [], help: 'Downstream connections since start.' },
  postern_unsolicited_responses_total: { labels: [], help: 'Upstream connections ended because of bytes that nobody asked for.' },
  postern_upstream_connections: {
    labels: ['direction', 'upstream', 'protocol'],
    help: 'Upstream connections, by what is spoken on them; those being opened apart where only the handshake will tell.',
  },
  postern_upstream_requests_open: { labels: ['direction', 'upstream'], help: 'Requests under way to an upstream.' },
  postern_upstream_requests_waiting: {
    labels: ['direction', 'upstream'],
    help: 'Requests that wait for a connection to an upstream.',
  },
  postern_upstream_requests_total: {
    labels: ['direction', 'upstream', 'endpoint'],
    help: 'Requests to an endpoint that were answered or failed, each try by itself.',
  },
  postern_upstream_failures_total: { labels: ['direction', 'upstream', 'endpoint'], help: 'Tries and connections that failed.' },
  postern_upstream_ejections_total: {
    labels: ['direction', 'upstream', 'endpoint'],
    help: 'How often an endpoint was left out for failing.',
  },
  postern_upstream_endpoints_ejected: { labels: ['direction', 'upstream'], help: 'Endpoints that are left out.', merging: 'max' },
  postern_upstream_retries_total: { labels: ['direction', 'upstream'], help: 'Requests that were tried again.' },
  postern_upstream_retries_refused_total: {
    labels: ['direction', 'upstream'],
    help: 'Requests that were not tried again because the budget was used up.',
  },
  postern_upstream_circuit_open_total: {
    labels: ['direction', 'upstream', 'limit'],
    help: 'How often a limit of `circuit` was reached.',
  },
  postern_authorizer_requests_waiting: { labels: ['authorizer'], help: 'Requests that wait for an external authorizer.' },
  postern_opa_bundle_activated_timestamp_seconds: {
    labels: ['authorizer', 'revision'],
    help: 'When the OPA bundle in force was put there.',
    merging: 'max',
  },
  postern_opa_bundle_refusals_total: {
    labels: ['authorizer'],
    help: 'OPA bundles that could not be fetched or were not taken.',
  },
  postern_opa_threads_replaced_total: {
    labels: ['authorizer'],
    help: 'Threads that evaluate an OPA policy and were replaced because an evaluation took too long or ended them.',
  },
  postern_opa_decision_events_dropped_total: {
    labels: ['authorizer'],
    help: 'Decision log events that were lost because they came faster than they are written.',
  },
  postern_log_lines_dropped_total: { labels: ['sink'], help: 'Log lines lost because the sink could not keep up.' },
  postern_svid_expiry_timestamp_seconds: { labels: [], help: 'When the own SVID runs out.', merging: 'min' },
  postern_policy_loaded_timestamp_seconds: {
    labels: ['revision', 'state'],
    help: 'When the policy set in force was loaded.',
    merging: 'max',
  },
  postern_policy_expiry_timestamp_seconds: {
    labels: [],
    help: 'When the policy in force, which came from a bundle, runs out and everything is denied.',
    merging: 'min',
  },
  postern_policy_refusals_total: {
    labels: ['code'],
    help: 'Faults of policies and bundles that were refused, by code.',
    merging: 'max',
  },
  postern_rejudged_total: {
    labels: [],
    help: 'What was open when policy or bundles changed and was judged again: exchanges, connections.',
  },
  postern_revoked_total: { labels: [], help: 'What was ended by that, and what a token had outlived.' },
  postern_workers: { labels: [], help: 'Data processes of a sidecar with `spec.concurrency`, those that drain included.' },
  postern_worker_restarts_total: { labels: [], help: 'Data processes that died and were replaced.' },
  postern_process_resident_bytes: { labels: [], help: 'Resident memory of the data processes.' },
} as const satisfies Record<string, MetricRow>;

interface MetricRow {
  readonly labels: readonly string[];
  readonly help: string;
  /** What the processes of one sidecar make of it together; the sum if not said. */
  readonly merging?: Merging;
}

export type MetricName = keyof typeof METRICS;

/** How a metric of several processes becomes one. */
export function mergingOf(metric: string): Merging {
  return row(metric)?.merging ?? 'sum';
}

/** The text of one scrape, in the order of the table. */
export function metricsText(samples: Samples): string {
  let text = '';
  for (const [name, { help }] of Object.entries(METRICS)) {
    const type = name === 'postern_request_duration_seconds' ? 'histogram' : name.endsWith('_total') ? 'counter' : 'gauge';
    text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
    for (const [key, value] of Object.entries(samples[name] ?? {})) text += `${name}${key} ${value}\n`;
    text += '\n';
  }
  return text;
}

function row(metric: string): MetricRow | undefined {
  const rows: Readonly<Record<string, MetricRow>> = METRICS;
  return rows[metric];
}
