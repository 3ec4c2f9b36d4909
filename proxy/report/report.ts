/**
 * Where every exchange and every refused connection is told: counters in typed arrays, the access log, flow records, and the ring
 * of recent denials. Nothing here waits. Hot path.
 */
import { performance } from 'node:perf_hooks';
import type { Decision } from '#authz/engine/input.ts';
import type { H2Fault } from '#wire/h2/faults.ts';
import { TokenCounts } from '../authn/tokens/proof-cache.ts';
import type { Exchange, Verdict } from '../exchange.ts';
import type { Failure } from '../failure.ts';
import type { Connection } from '../listen/connection.ts';
import type { TcpExchange } from '../tcp/tcp-exchange.ts';
import { TOKEN_FAILURES } from '../token-failures.ts';
import { LINE_START_MAX, refusalLine, writeAccessLine } from './access-log.ts';
import { DecisionRing } from './decision-ring.ts';
import { flowRecord, type FlowWorkload } from './flow-line.ts';
import type { LineSink } from './line-sink.ts';
import { PlaintextCallers } from './plaintext-callers.ts';
import { TcpCounts } from './tcp-counts.ts';
import { tcpFlowRecord } from './tcp-flow.ts';
import { tcpLine } from './tcp-line.ts';

/** Upper bounds of the duration histogram, milliseconds. */
export const DURATION_BOUNDS_MS = [0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000] as const;

export const VERDICTS: readonly Verdict[] = ['forwarded', 'denied', 'failed'];
export const DIRECTIONS = ['inbound', 'outbound'] as const;
/** Statuses that are counted apart; anything else counts as 0. */
export const STATUSES = 600;
/** gRPC's 17 statuses, and one place for everything else. */
export const GRPC_STATUSES = 18;

export interface ReportOptions {
  readonly accessLog: LineSink | null;
  readonly flows: LineSink | null;
  readonly workload: FlowWorkload;
  /** Denials kept for `explain`. */
  readonly ringSize: number;
}

export class Report {
  connectionsOpened = 0;
  connectionsClosed = 0;
  /** Bytes that an upstream sent outside a response that was asked for; each time its connection was ended. */
  unsolicitedResponses = 0;
  handshakes = 0;
  /** Exchanges and connections that a swap found open and judged again, and those of them that it ended. */
  rejudged = 0;
  revoked = 0;
  /** gRPC calls by how they ended, `[direction][status]`, flat; the last of each direction said nothing of the kind. */
  readonly calls = new Float64Array(DIRECTIONS.length * GRPC_STATUSES);
  /** Faults of callers that speak HTTP/2, of streams and of sessions; as many as there are names. */
  readonly http2Faults = new Map<H2Fault, number>();
  readonly ring: DecisionRing;
  /** `[direction][verdict][status]`, flat. */
  readonly requests = new Float64Array(DIRECTIONS.length * VERDICTS.length * STATUSES);
  /** `[direction][bucket]`, flat; the last bucket is unbounded. */
  readonly durations = new Float64Array(DIRECTIONS.length * (DURATION_BOUNDS_MS.length + 1));
  readonly durationSumMs = new Float64Array(DIRECTIONS.length);
  readonly bytes = new Float64Array(DIRECTIONS.length * 2);
  /**
   * Requests by decision. A revision brings decisions of its own; beyond a bound they are folded, so that there is one of each effect,
   * code and policy.
   */
  readonly decisions = new Map<Decision, { count: number }>();
  readonly failures = new Map<Failure, number>();
  /** Refused policies by the code of each fault; as many as there are codes. */
  readonly policyRefusals = new Map<string, number>();
  readonly tokens = new TokenCounts();
  readonly tcp = new TcpCounts();
  readonly plaintextCallers = new PlaintextCallers();
  readonly accessLog: LineSink | null;
  readonly flows: LineSink | null;
  readonly #workload: FlowWorkload;
  #foldAt = DECISIONS_MAX;

  constructor(options: ReportOptions) {
    this.accessLog = options.accessLog;
    this.flows = options.flows;
    this.#workload = options.workload;
    this.ring = new DecisionRing(options.ringSize);
  }

  policyRefused(code: string): void {
    this.policyRefusals.set(code, (this.policyRefusals.get(code) ?? 0) + 1);
  }

  /** Records a finished exchange. */
  exchange(exchange: Exchange): void {
    const now = performance.now();
    const direction = exchange.connection.direction === 'inbound' ? 0 : 1;
    const { decision, failure } = exchange;
    exchange.verdict = failure === null ? 'forwarded' : isDenial(failure) ? 'denied' : 'failed';
    const verdict = failure === null ? 0 : isDenial(failure) ? 1 : 2;
    const status = exchange.status < STATUSES ? exchange.status : 0;
    const cell = (direction * VERDICTS.length + verdict) * STATUSES + status;
    this.requests[cell] = (this.requests[cell] ?? 0) + 1;
    const durationMs = now - exchange.startedAt;
    let bucket = 0;
    while (bucket < DURATION_BOUNDS_MS.length && durationMs > (DURATION_BOUNDS_MS[bucket] ?? 0)) bucket++;
    bucket += direction * (DURATION_BOUNDS_MS.length + 1);
    this.durations[bucket] = (this.durations[bucket] ?? 0) + 1;
    this.durationSumMs[direction] = (this.durationSumMs[direction] ?? 0) + durationMs;
    this.bytes[direction * 2] = (this.bytes[direction * 2] ?? 0) + exchange.bytesReceived;
    this.bytes[direction * 2 + 1] = (this.bytes[direction * 2 + 1] ?? 0) + exchange.bytesSent;
    if (exchange.isGrpc) this.#countCall(direction, exchange.grpcStatus);
    if (decision !== null) this.#countDecision(decision);
    if (failure !== null) {
      this.failures.set(failure, (this.failures.get(failure) ?? 0) + 1);
      if (decision !== null && decision.effect === 'deny') this.#remember(exchange, decision, failure);
    }
    if (this.accessLog !== null) logLine(this.accessLog, exchange, now);
    if (this.flows !== null) this.flows.push(`${JSON.stringify(flowRecord(exchange, this.#workload, now))}\n`);
  }

  /** Records a connection that was refused, or ended with a cause, outside any exchange. */
  refusal(connection: Pick<Connection, 'logFields'>, failure: Failure, detail: string): void {
    this.failures.set(failure, (this.failures.get(failure) ?? 0) + 1);
    if (this.accessLog !== null) this.accessLog.push(refusalLine(connection, failure, detail, Date.now()));
  }

  /** Counts what a caller did wrong over HTTP/2. */
  http2Fault(fault: H2Fault): void {
    this.http2Faults.set(fault, (this.http2Faults.get(fault) ?? 0) + 1);
  }

  /** Records a raw TCP connection that has ended. */
  tcpEnded(exchange: TcpExchange): void {
    const now = performance.now();
    const { decision, failure } = exchange;
    exchange.verdict = failure === null ? 'forwarded' : isDenial(failure) ? 'denied' : 'failed';
    this.tcp.add(exchange);
    if (decision !== null) this.#countDecision(decision);
    if (failure !== null) this.failures.set(failure, (this.failures.get(failure) ?? 0) + 1);
    if (failure !== null && decision !== null && decision.effect === 'deny') {
      this.ring.add({
        id: exchange.decisionId(),
        atMs: exchange.startedMs,
        decision,
        reason: failure,
        input: { connection: exchange.connection.attributes, request: null },
        headers: [],
        model: exchange.snapshot.policy.model,
      });
    }
    this.accessLog?.push(tcpLine(exchange, now));
    this.flows?.push(`${JSON.stringify(tcpFlowRecord(exchange, this.#workload, now))}\n`);
  }

  #countCall(direction: number, status: number): void {
    const isKnown = status >= 0 && status < GRPC_STATUSES - 1;
    const cell = direction * GRPC_STATUSES + (isKnown ? status : GRPC_STATUSES - 1);
    this.calls[cell] = (this.calls[cell] ?? 0) + 1;
  }

  #countDecision(decision: Decision): void {
    const counted = this.decisions.get(decision);
    if (counted === undefined) this.#countFirst(decision);
    else counted.count++;
  }

  #countFirst(decision: Decision): void {
    if (this.decisions.size >= this.#foldAt) {
      foldDecisions(this.decisions);
      // What is left are as many as there are policies; the next fold is due when as many again have come.
      this.#foldAt = Math.max(DECISIONS_MAX, 2 * this.decisions.size);
    }
    this.decisions.set(decision, { count: 1 });
  }

  #remember(exchange: Exchange, decision: Decision, reason: Failure): void {
    const { readFields } = exchange;
    this.ring.add({
      id: exchange.decisionId(),
      atMs: exchange.startedMs,
      decision,
      reason,
      input: {
        connection:
          exchange.remoteIp === ''
            ? exchange.connection.attributes
            : { ...exchange.connection.attributes, remoteIp: exchange.remoteIp },
        request: {
          method: exchange.method,
          authority: exchange.authority,
          path: exchange.path,
          fields: { values: (name) => readFields.filter((field) => field[0] === name).map((field) => field[1]) },
          tokens: exchange.tokens,
        },
      },
      headers: readFields,
      model: exchange.snapshot.policy.model,
    });
  }
}

/** A policy said no, at the beginning or later. */
function isDenial(failure: Failure): boolean {
  return (
    failure === 'denied_by_policy' ||
    failure === 'revoked' ||
    failure === 'tunnel_denied' ||
    Object.hasOwn(TOKEN_FAILURES, failure)
  );
}

/** Adds the counts of decisions that a scrape can't tell apart. */
function foldDecisions(decisions: Map<Decision, { count: number }>): void {
  const kept = new Map<string, { count: number }>();
  for (const [decision, counted] of decisions) {
    const key = `${decision.effect} ${decision.code} ${decision.policy ?? ''}`;
    const first = kept.get(key);
    if (first === undefined) kept.set(key, counted);
    else {
      first.count += counted.count;
      decisions.delete(decision);
    }
  }
}

const DECISIONS_MAX = 1_024;

function logLine(log: LineSink, exchange: Exchange, now: number): void {
  const tail = exchange.logTail;
  tail.update(exchange);
  const at = log.reserve(LINE_START_MAX + tail.bytes.length);
  if (at >= 0) log.commit(writeAccessLine(exchange, now, log.bytes, at));
}
