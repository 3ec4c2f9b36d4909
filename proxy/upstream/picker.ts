/**
 * Chooses the endpoint of an exchange: of two at random the one with less to do, which spreads load nearly as well as looking at all
 * of them and never sends everybody to the same one. A picker never changes; a new one replaces it. Hot path.
 */
import type { Endpoint } from './endpoint.ts';

export class Picker {
  readonly endpoints: readonly Endpoint[];
  readonly #random: () => number;

  /** @param random  a number from 0 to below 1 */
  constructor(endpoints: readonly Endpoint[], random: () => number) {
    this.endpoints = endpoints;
    this.#random = random;
  }

  /**
   * The endpoint to use, null when there is none.
   *
   * @param avoid  name of one that was tried already, which is chosen only when there is no other; '' for none
   */
  pick(avoid: string): Endpoint | null {
    const { endpoints } = this;
    const count = endpoints.length;
    if (count < 2) return endpoints[0] ?? null;
    const first = Math.floor(this.#random() * count);
    // Any other one, each as likely.
    const second = (first + 1 + Math.floor(this.#random() * (count - 1))) % count;
    const one = endpoints[first] ?? null;
    const other = endpoints[second] ?? null;
    if (one === null || other === null) return one ?? other;
    if (one.name === avoid) return other;
    if (other.name === avoid) return one;
    return other.inFlight < one.inFlight ? other : one;
  }
}
