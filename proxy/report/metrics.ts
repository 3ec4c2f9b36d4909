/**
 * The metrics that Prometheus scrapes. Traffic counts in plain arrays (`Report`); prom-client is loaded and asked only when a
 * scrape comes, because one labelled increment costs more than a whole decision.
 */
import type { Gauge as PromGauge } from 'prom-client';
import type { Runtime } from '../runtime.ts';
import { DIRECTIONS, DURATION_BOUNDS_MS, STATUSES, VERDICTS } from './report.ts';

/** Every metric's name and what it says; docs/reference/metrics.md is written from it. */
export const METRICS = {
  postern_requests_total: { labels: ['direction', 'verdict', 'status'], help: 'Requests by what became of them.' },
  postern_request_duration_seconds: { labels: ['direction'], help: 'From the head of a request to the end of its response.' },
  postern_request_bytes_total: { labels: ['direction'], help: 'Bytes of request bodies.' },
  postern_response_bytes_total: { labels: ['direction'], help: 'Bytes of response bodies.' },
  postern_decisions_total: { labels: ['decision', 'code', 'policy'], help: 'Decisions by the policy that made them.' },
  postern_failures_total: { labels: ['reason'], help: 'Exchanges and connections that failed, by reason.' },
  postern_handshakes_total: { labels: [], help: 'TLS handshakes of callers whose SVID was accepted.' },
  postern_connections_open: { labels: [], help: 'Downstream connections that are open.' },
  postern_connections_opened_total: { labels: [], help: 'Downstream connections since start.' },
  postern_unsolicited_responses_total: { labels: [], help: 'Upstream connections ended because of bytes that nobody asked for.' },
  postern_log_lines_dropped_total: { labels: ['sink'], help: 'Log lines lost because the sink could not keep up.' },
  postern_svid_expiry_timestamp_seconds: { labels: [], help: 'When the own SVID runs out.' },
  postern_policy_loaded_timestamp_seconds: { labels: ['revision', 'state'], help: 'When the policy set in force was loaded.' },
  postern_process_resident_bytes: { labels: [], help: 'Resident memory of the data process.' },
} as const satisfies Record<string, { labels: readonly string[]; help: string }>;

export type MetricName = keyof typeof METRICS;

/** The text of one scrape. */
export async function scrape(runtime: Runtime): Promise<{ readonly contentType: string; readonly text: string }> {
  const { Gauge, Registry } = await import('prom-client');
  const registry = new Registry();
  const gauge = (name: MetricName): PromGauge =>
    new Gauge({ name, help: METRICS[name].help, labelNames: [...METRICS[name].labels], registers: [registry] });
  fillRequests(runtime, gauge);
  fillProcess(runtime, gauge);
  const text = `${await registry.metrics()}${durationText(runtime)}`;
  return { contentType: registry.contentType, text: asCounters(text) };
}

type MakeGauge = (name: MetricName) => PromGauge;

function fillRequests(runtime: Runtime, gauge: MakeGauge): void {
  const { report } = runtime;
  const requests = gauge('postern_requests_total');
  for (const [d, direction] of DIRECTIONS.entries()) {
    for (const [v, verdict] of VERDICTS.entries()) {
      for (let status = 0; status < STATUSES; status++) {
        const count = report.requests[(d * VERDICTS.length + v) * STATUSES + status] ?? 0;
        if (count > 0) requests.set({ direction, verdict, status: String(status) }, count);
      }
    }
  }
  const received = gauge('postern_request_bytes_total');
  const sent = gauge('postern_response_bytes_total');
  for (const [d, direction] of DIRECTIONS.entries()) {
    received.set({ direction }, report.bytes[d * 2] ?? 0);
    sent.set({ direction }, report.bytes[d * 2 + 1] ?? 0);
  }
  const decisions = gauge('postern_decisions_total');
  for (const [decision, { count }] of report.decisions) {
    decisions.inc({ decision: decision.effect, code: decision.code, policy: decision.policy ?? '' }, count);
  }
  const failures = gauge('postern_failures_total');
  for (const [reason, count] of report.failures) failures.set({ reason }, count);
}

function fillProcess(runtime: Runtime, gauge: MakeGauge): void {
  const { report, snapshot } = runtime;
  gauge('postern_handshakes_total').set(report.handshakes);
  gauge('postern_connections_open').set(runtime.connections.size);
  gauge('postern_connections_opened_total').set(report.connectionsOpened);
  gauge('postern_unsolicited_responses_total').set(report.unsolicitedResponses);
  const dropped = gauge('postern_log_lines_dropped_total');
  if (report.accessLog !== null) dropped.set({ sink: 'access_log' }, report.accessLog.droppedLines);
  if (report.flows !== null) dropped.set({ sink: 'flows' }, report.flows.droppedLines);
  if (snapshot.identity !== null) gauge('postern_svid_expiry_timestamp_seconds').set(snapshot.identity.svid.notAfterMs / 1000);
  const { policy } = snapshot;
  gauge('postern_policy_loaded_timestamp_seconds').set(
    { revision: policy.engine.revision, state: policy.state },
    policy.loadedMs / 1000,
  );
  gauge('postern_process_resident_bytes').set(process.memoryUsage.rss());
}

/** The histogram, whose buckets are counted here and not by prom-client. */
function durationText(runtime: Runtime): string {
  const name = 'postern_request_duration_seconds';
  const lines = [`\n# HELP ${name} ${METRICS[name].help}`, `# TYPE ${name} histogram`];
  const { durations, durationSumMs } = runtime.report;
  const buckets = DURATION_BOUNDS_MS.length + 1;
  for (const [d, direction] of DIRECTIONS.entries()) {
    let total = 0;
    for (let bucket = 0; bucket < buckets; bucket++) {
      total += durations[d * buckets + bucket] ?? 0;
      const bound = DURATION_BOUNDS_MS[bucket];
      lines.push(`${name}_bucket{direction="${direction}",le="${bound === undefined ? '+Inf' : bound / 1000}"} ${total}`);
    }
    lines.push(
      `${name}_sum{direction="${direction}"} ${(durationSumMs[d] ?? 0) / 1000}`,
      `${name}_count{direction="${direction}"} ${total}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** Totals are set, not incremented, so they are made as gauges; their declared type is what they are. */
function asCounters(text: string): string {
  return text.replace(/^(# TYPE \S+_total) gauge$/gm, '$1 counter');
}
