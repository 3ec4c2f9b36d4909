/**
 * A tunnel that a peer has opened to us: to the stream it came on, the upstream of its exchange; to what is spoken inside, a socket.
 * Hot path.
 */
import type { Downstream, Upstream } from '../forward/streams.ts';
import { TunnelSocket, type TunnelAddresses, type TunnelStream } from './tunnel-socket.ts';

export class AcceptedTunnel implements Upstream, TunnelStream {
  readonly isReused = false;
  /** The inside has enough to do with what it was given. */
  isBlocked = false;
  readonly socket: TunnelSocket;
  /** The caller has its answer: before that nothing is said to it. */
  isOpen = false;
  readonly #caller: Downstream;

  constructor(caller: Downstream, addresses: TunnelAddresses) {
    this.#caller = caller;
    this.socket = new TunnelSocket(this, addresses);
  }

  requestHead(): void {
    // What opens a tunnel is not said inside of it.
  }

  requestBody(bytes: Buffer, start: number, end: number): void {
    // The bytes of a TLS read are nobody else's.
    if (!this.socket.feed(bytes.subarray(start, end))) this.isBlocked = true;
  }

  requestEnd(): void {
    this.socket.feedEnd();
  }

  abort(): void {
    this.socket.broken(new Error('the tunnel was broken off'));
  }

  resumeResponse(): void {
    this.socket.takesMore();
  }

  send(bytes: Buffer): boolean {
    this.#caller.respondBody(bytes, 0, bytes.length);
    return !this.#caller.isBlocked;
  }

  end(): void {
    this.#caller.respondEnd(null);
  }

  reset(): void {
    if (this.isOpen) this.#caller.upstreamFailed('upstream_reset');
  }

  resume(): void {
    this.isBlocked = false;
    this.#caller.resumeRequest();
  }
}
