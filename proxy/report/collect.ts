/**
 * The values of the metrics of this process. Traffic counts in plain arrays (`Report`); they become samples with labels only when a
 * scrape comes, because one labelled increment costs more than a whole decision.
 */
import type { Runtime } from '../runtime.ts';
import type { MetricName } from './metrics.ts';
import { DIRECTIONS, DURATION_BOUNDS_MS, GRPC_STATUSES, STATUSES, VERDICTS } from './report.ts';
import { labelText, Series, type Samples } from './samples.ts';

/** What this process has counted. */
export function collect(runtime: Runtime): Samples {
  const samples: Record<string, Readonly<Record<string, number>>> = {};
  const gauge = (name: MetricName): Series => {
    const series = new Series();
    samples[name] = series.values;
    return series;
  };
  fillRequests(runtime, gauge);
  fillTcp(runtime, gauge);
  fillProcess(runtime, gauge);
  samples['postern_request_duration_seconds'] = durations(runtime);
  return samples;
}

type MakeGauge = (name: MetricName) => Series;

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
  const calls = gauge('postern_grpc_calls_total');
  for (const [d, direction] of DIRECTIONS.entries()) {
    for (let status = 0; status < GRPC_STATUSES; status++) {
      const count = report.calls[d * GRPC_STATUSES + status] ?? 0;
      if (count > 0) calls.set({ direction, status: status === GRPC_STATUSES - 1 ? 'none' : String(status) }, count);
    }
  }
  const faults = gauge('postern_http2_faults_total');
  for (const [fault, count] of report.http2Faults) faults.set({ fault }, count);
}

function fillTcp({ report }: Runtime, gauge: MakeGauge): void {
  const connections = gauge('postern_tcp_connections_total');
  for (const [key, count] of report.tcp.ended) {
    const [direction = '', verdict = '', reason = ''] = key.split(' ');
    connections.set({ direction, verdict, close_reason: reason }, count);
  }
  const received = gauge('postern_tcp_received_bytes_total');
  const sent = gauge('postern_tcp_sent_bytes_total');
  for (const direction of DIRECTIONS) {
    received.set({ direction }, report.tcp.received[direction]);
    sent.set({ direction }, report.tcp.sent[direction]);
  }
  const plaintext = gauge('postern_plaintext_connections_total');
  for (const [source, count] of report.plaintextCallers.counts) plaintext.set({ source }, count);
}

function fillProcess(runtime: Runtime, gauge: MakeGauge): void {
  const { report, snapshot } = runtime;
  gauge('postern_handshakes_total').set(report.handshakes);
  gauge('postern_connections_open').set(runtime.connections.size);
  gauge('postern_connections_opened_total').set(report.connectionsOpened);
  gauge('postern_unsolicited_responses_total').set(report.unsolicitedResponses);
  gauge('postern_rejudged_total').set(report.rejudged);
  gauge('postern_revoked_total').set(report.revoked);
  const dropped = gauge('postern_log_lines_dropped_total');
  if (report.accessLog !== null) dropped.set({ sink: 'access_log' }, report.accessLog.droppedLines);
  if (report.flows !== null) dropped.set({ sink: 'flows' }, report.flows.droppedLines);
  if (snapshot.identity !== null) gauge('postern_svid_expiry_timestamp_seconds').set(snapshot.identity.svid.notAfterMs / 1000);
  const { policy } = snapshot;
  gauge('postern_policy_loaded_timestamp_seconds').set(
    { revision: policy.engine.revision, state: policy.state },
    policy.loadedMs / 1000,
  );
  if (policy.expiresMs !== null) gauge('postern_policy_expiry_timestamp_seconds').set(policy.expiresMs / 1000);
  const refused = gauge('postern_policy_refusals_total');
  for (const [code, count] of report.policyRefusals) refused.set({ code }, count);
  gauge('postern_process_resident_bytes').set(process.memoryUsage.rss());
}

function durations(runtime: Runtime): Readonly<Record<string, number>> {
  const values: Record<string, number> = {};
  const counted = runtime.report.durations;
  const buckets = DURATION_BOUNDS_MS.length + 1;
  for (const [d, direction] of DIRECTIONS.entries()) {
    let total = 0;
    for (let bucket = 0; bucket < buckets; bucket++) {
      total += counted[d * buckets + bucket] ?? 0;
      const bound = DURATION_BOUNDS_MS[bucket];
      values[`_bucket${labelText({ direction, le: bound === undefined ? '+Inf' : String(bound / 1000) })}`] = total;
    }
    values[`_sum${labelText({ direction })}`] = (runtime.report.durationSumMs[d] ?? 0) / 1000;
    values[`_count${labelText({ direction })}`] = total;
  }
  return values;
}
