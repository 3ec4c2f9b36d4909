/** The caller's side of a WebSocket over HTTP/1.1 once it is open: raw bytes both ways, each direction with an end of its own. Hot path. */
import type { Exchange } from '../exchange.ts';
import type { Upstream } from '../forward/streams.ts';
import { flushOutlets } from '../io/outlet.ts';
import type { CallerSocket } from './caller-socket.ts';

export class H1Tunnel {
  readonly #socket: CallerSocket;
  readonly #exchange: Exchange;
  readonly #upstream: Upstream;
  #hasUpstreamEnded = false;

  constructor(socket: CallerSocket, exchange: Exchange, upstream: Upstream) {
    this.#socket = socket;
    this.#exchange = exchange;
    this.#upstream = upstream;
  }

  read(bytes: Buffer, start: number, end: number): void {
    this.#exchange.bytesReceived += end - start;
    this.#upstream.requestBody(bytes, start, end);
    flushOutlets();
    if (this.#upstream.isBlocked) this.#socket.isPaused = true;
  }

  /** The caller has ended its direction. Returns whether that was the second end. */
  callerEnded(): boolean {
    this.#upstream.requestEnd(null);
    return this.#hasUpstreamEnded;
  }

  /** The upstream has. Returns whether the tunnel is over: by a second end, or because it ends by our will. */
  upstreamEnded(): boolean {
    if (this.#exchange.failure !== null || this.#socket.hasPeerEnded) return true;
    this.#hasUpstreamEnded = true;
    this.#socket.end();
    return false;
  }
}
