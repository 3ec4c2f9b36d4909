/**
 * TLS handshakes under way: counted, and each with a deadline on the common wheel, which forgives a stall of our own where a timer
 * of Node's would blame the caller for it.
 */
import type { Socket } from 'node:net';
import { Deadline, type TimerWheel } from '#base/timer-wheel.ts';

export class PendingHandshakes {
  #count = 0;
  readonly #wheel: TimerWheel;
  readonly #timeoutMs: number;
  readonly #onTimeout: (socket: Socket) => void;
  /** By the raw socket, weakly: an entry goes with its socket. */
  readonly #pending = new WeakMap<Socket, PendingHandshake>();

  /** @param onTimeout  called after the handshake has left the count */
  constructor(wheel: TimerWheel, timeoutMs: number, onTimeout: (socket: Socket) => void) {
    this.#wheel = wheel;
    this.#timeoutMs = timeoutMs;
    this.#onTimeout = onTimeout;
  }

  get count(): number {
    return this.#count;
  }

  begin(socket: Socket): void {
    const handshake = new PendingHandshake(() => {
      if (this.over(socket)) this.#onTimeout(socket);
    });
    this.#pending.set(socket, handshake);
    this.#count++;
    this.#wheel.arm(handshake, this.#timeoutMs);
    socket.once('close', () => this.over(socket));
  }

  /** Takes a handshake out of the count, however it ended. Says whether it was in it. */
  over(socket: Socket): boolean {
    const handshake = this.#pending.get(socket);
    if (handshake === undefined) return false;
    this.#pending.delete(socket);
    this.#wheel.remove(handshake);
    this.#count--;
    return true;
  }
}

class PendingHandshake extends Deadline {
  readonly #expired: () => void;

  constructor(expired: () => void) {
    super();
    this.#expired = expired;
  }

  onDeadline(): void {
    this.#expired();
  }
}
