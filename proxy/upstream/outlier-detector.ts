/**
 * Leaves an endpoint out for a while when exchange after exchange fails there, as seen by the traffic itself; nobody is probed. Never
 * more of them at once than `maxEjectedPercent`, because an upstream that fails as a whole is not helped by asking fewer of it.
 * Hot path: an exchange that goes well costs an assignment.
 */
import { Deadline, type TimerWheel } from '#base/timer-wheel.ts';
import type { OutlierConfig } from '#proto/config/proxy.ts';
import type { Failure } from '../failure.ts';
import type { Endpoint } from './endpoint.ts';
import { Picker } from './picker.ts';

export class OutlierDetector extends Deadline {
  /** Of those that are not left out. */
  picker: Picker;
  readonly #endpoints: readonly Endpoint[];
  readonly #config: OutlierConfig;
  readonly #wheel: TimerWheel;
  readonly #random: () => number;

  /** @param random  a number from 0 to below 1 */
  constructor(endpoints: readonly Endpoint[], config: OutlierConfig, wheel: TimerWheel, random: () => number) {
    super();
    this.#endpoints = endpoints;
    this.#config = config;
    this.#wheel = wheel;
    this.#random = random;
    this.picker = new Picker(endpoints, random);
  }

  /**
   * The endpoint for a try, null when there is none. A second try that would meet the same endpoint again goes to one that is left out
   * instead: it may have come back, and there is nothing to lose.
   *
   * @param avoid  name of the endpoint that was tried already, '' for none
   */
  pick(avoid: string): Endpoint | null {
    const endpoint = this.picker.pick(avoid);
    if (avoid === '' || (endpoint !== null && endpoint.name !== avoid)) return endpoint;
    let found = endpoint;
    for (const other of this.#endpoints) {
      if (other.ejectedUntilMs === 0 || other.name === avoid) continue;
      if (found === null || found.name === avoid || other.ejectedUntilMs < found.ejectedUntilMs) found = other;
    }
    return found;
  }

  /** An exchange came to its end, with `status` from the endpoint; it was tried `tries` times before. */
  answered(endpoint: Endpoint, status: number, tries: number): void {
    if (status === 502 || status === 503 || status === 504) return this.#count(endpoint);
    endpoint.failuresInRow = 0;
    // What began before the endpoint was left out may still go well; a second try was made after that.
    if (endpoint.ejectedUntilMs !== 0 && tries > 0) this.#takeBack(endpoint);
    if (endpoint.ejections > 0) this.#forgive(endpoint);
  }

  /** An exchange, or the making of a connection, failed. */
  failed(endpoint: Endpoint, failure: Failure): void {
    endpoint.failures++;
    if (AT_FAULT.has(failure)) this.#count(endpoint);
  }

  /** Takes back those whose time is over. */
  onDeadline(): void {
    const { nowMs } = this.#wheel;
    for (const endpoint of this.#endpoints) {
      if (endpoint.ejectedUntilMs !== 0 && endpoint.ejectedUntilMs <= nowMs) this.#takeBack(endpoint);
    }
    this.#renew();
  }

  #takeBack(endpoint: Endpoint): void {
    endpoint.ejectedUntilMs = 0;
    endpoint.failuresInRow = 0;
    endpoint.wellSinceMs = this.#wheel.nowMs;
    this.#renew();
  }

  /** Each `ejection` of doing well takes one back. */
  #forgive(endpoint: Endpoint): void {
    const { nowMs } = this.#wheel;
    if (endpoint.ejectedUntilMs !== 0 || nowMs - endpoint.wellSinceMs < this.#config.ejectionMs) return;
    endpoint.wellSinceMs = nowMs;
    endpoint.ejections--;
  }

  #count(endpoint: Endpoint): void {
    endpoint.failuresInRow++;
    const { consecutiveFailures } = this.#config;
    if (consecutiveFailures === 0 || endpoint.failuresInRow < consecutiveFailures || endpoint.ejectedUntilMs !== 0) return;
    if (this.#endpoints.length - this.picker.endpoints.length >= this.#mostEjected()) return;
    endpoint.ejectionsTotal++;
    endpoint.ejections = Math.min(endpoint.ejections + 1, MAX_GROWTH);
    endpoint.ejectedUntilMs = this.#wheel.nowMs + this.#config.ejectionMs * endpoint.ejections;
    this.#renew();
  }

  /** One may always be left out where there are others, and all of them only by 100 %. */
  #mostEjected(): number {
    const { maxEjectedPercent } = this.#config;
    const count = this.#endpoints.length;
    if (maxEjectedPercent === 0 || maxEjectedPercent === 100) return maxEjectedPercent === 0 ? 0 : count;
    return Math.min(count - 1, Math.max(1, Math.floor((count * maxEjectedPercent) / 100)));
  }

  #renew(): void {
    let nextMs = Infinity;
    const kept: Endpoint[] = [];
    for (const endpoint of this.#endpoints) {
      if (endpoint.ejectedUntilMs === 0) kept.push(endpoint);
      else nextMs = Math.min(nextMs, endpoint.ejectedUntilMs);
    }
    this.picker = new Picker(kept, this.#random);
    if (nextMs !== Infinity) this.#wheel.arm(this, nextMs - this.#wheel.nowMs);
  }
}

/** Failures that speak against an endpoint; others are the caller's, ours, or say only that it has enough to do. */
const AT_FAULT: ReadonlySet<Failure> = new Set<Failure>([
  'upstream_connect_failed',
  'upstream_connect_timeout',
  'upstream_identity',
  'upstream_refused_svid',
  'upstream_reset',
  'upstream_malformed',
  'upstream_timeout',
]);
/** Each further ejection is longer by one `ejection`, up to so many. */
const MAX_GROWTH = 10;
