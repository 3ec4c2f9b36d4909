/**
 * The socket of a caller that speaks HTTP/1.1: reading stopped and taken up again, and the ways to end it. Hot path.
 */
import type { Socket } from 'node:net';
import { Outlet } from '../io/outlet.ts';
import { resetConnection } from '../io/reset.ts';
import { resumeReading, startReading, type Reader } from '../io/tap.ts';

/** Who is told of what happens to the socket beside reading. */
export interface SocketOwner extends Reader {
  /** It takes more bytes again. */
  onDrained(): void;
  /** Our last byte is out. */
  onSentEnd(): void;
  /** It is closed, whoever closed it; may come twice. */
  onSocketClosed(): void;
}

export class CallerSocket {
  readonly outlet: Outlet;
  /** Nothing is read just now. Whoever sets it returns false to the reader. */
  isPaused = false;
  /** The caller has ended its direction. */
  hasPeerEnded = false;
  readonly #socket: Socket;

  constructor(socket: Socket, isTls: boolean) {
    this.#socket = socket;
    this.outlet = new Outlet(socket, isTls);
  }

  /** Starts reading. */
  start(owner: SocketOwner): void {
    for (const event of ['error', 'close']) this.#socket.on(event, () => owner.onSocketClosed());
    this.#socket.on('drain', () => owner.onDrained());
    this.#socket.on('finish', () => owner.onSentEnd());
    startReading(this.#socket, owner);
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    resumeReading(this.#socket);
  }

  /** Sends what is gathered, then our end. */
  end(): void {
    this.outlet.flush();
    this.#socket.end();
  }

  reset(): void {
    resetConnection(this.#socket);
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
