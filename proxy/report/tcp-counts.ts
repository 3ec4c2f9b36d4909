/** Counters of raw TCP connections; as many cells as there are directions, verdicts and reasons. */
import type { TcpExchange } from '../tcp/tcp-exchange.ts';

export class TcpCounts {
  /** Connections that have ended, by `direction verdict closeReason`. */
  readonly ended = new Map<string, number>();
  /** Bytes from callers and to them, by direction. */
  readonly received = { inbound: 0, outbound: 0 };
  readonly sent = { inbound: 0, outbound: 0 };

  add(exchange: TcpExchange): void {
    const { direction } = exchange.connection;
    const key = `${direction} ${exchange.verdict} ${exchange.closeReason}`;
    this.ended.set(key, (this.ended.get(key) ?? 0) + 1);
    this.received[direction] += exchange.bytesReceived;
    this.sent[direction] += exchange.bytesSent;
  }
}
