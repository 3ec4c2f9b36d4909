/** The record of one raw TCP connection, as `Exchange` is that of a request: what was found, decided, done and counted. */
import type { Decision } from '#authz/engine/input.ts';
import type { Verdict } from '../exchange.ts';
import type { Failure } from '../failure.ts';
import type { Connection } from '../listen/connection.ts';
import { PROCESS_TAG } from '../process-tag.ts';
import type { PolicySnapshot, Snapshot } from '../snapshot.ts';

/** How a raw TCP connection ended. The two first are orderly: that side finished sending before the other one did. */
export const CLOSE_REASONS = {
  downstream_closed: 'The caller finished first, then the upstream did.',
  upstream_closed: 'The upstream finished first, then the caller did.',
  downstream_reset: 'The caller broke off; the upstream was reset.',
  upstream_reset: 'The upstream broke off; the caller was reset.',
  idle: 'Nothing came from either side for `timeouts.tcpIdle`, or nothing at all and the sidecar drains.',
  age: 'The connection reached `timeouts.tcpAge`.',
  ended_by_proxy: 'The sidecar ended it; `reason` says why.',
  refused: 'It was never carried; `reason` says why.',
} as const;

export type CloseReason = keyof typeof CLOSE_REASONS;

export class TcpExchange {
  readonly connection: Connection;
  /** The snapshot that `decision` comes from. */
  snapshot: Snapshot;
  /** The policy that judged it last after it had begun; null before that. */
  rejudgedBy: PolicySnapshot | null = null;
  /** Makes the decision id. */
  readonly sequence: number;
  /** Wall clock and monotonic milliseconds at which it was known to be raw TCP. */
  readonly startedMs: number;
  readonly startedAt: number;
  decision: Decision | null = null;
  verdict: Verdict = 'failed';
  failure: Failure | null = null;
  detail = '';
  closeReason: CloseReason = 'refused';
  upstreamHost = '';
  /** From the caller, and to it. */
  bytesReceived = 0;
  bytesSent = 0;

  constructor(connection: Connection, snapshot: Snapshot, sequence: number, startedMs: number, startedAt: number) {
    this.connection = connection;
    this.snapshot = snapshot;
    this.sequence = sequence;
    this.startedMs = startedMs;
    this.startedAt = startedAt;
  }

  decisionId(): string {
    return `${PROCESS_TAG}-${this.sequence.toString(36)}`;
  }
}
