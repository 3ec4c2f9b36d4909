/**
 * Ends a policy by the system's clock. It looks once a second as well, because the clock may be set and a machine may sleep; it
 * depends on no other process and on no change of a file.
 */
import type { Clock } from '#base/clock.ts';

export class PolicyExpiry {
  readonly #clock: Clock;
  readonly #onExpired: () => void;
  #timer: NodeJS.Timeout | null = null;

  constructor(clock: Clock, onExpired: () => void) {
    this.#clock = clock;
    this.#onExpired = onExpired;
  }

  /** Waits for another time, milliseconds since 1970, or for none. */
  await(expiresMs: number | null): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (expiresMs === null) return;
    const waitMs = Math.min(Math.max(expiresMs - this.#clock.nowMs(), 0), LOOK_MS);
    this.#timer = setTimeout(() => {
      if (this.#clock.nowMs() >= expiresMs) this.#onExpired();
      else this.await(expiresMs);
    }, waitMs).unref();
  }
}

const LOOK_MS = 1_000;
