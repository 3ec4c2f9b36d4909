/** Every idle upstream connection of the process, oldest first, so that their number is bounded over all pools. Hot path. */
import type { H1Upstream } from './h1-upstream.ts';

export class IdleConnections {
  readonly #limit: number;
  /** A Set keeps the order of insertion: its first is the one idle for longest. */
  readonly #connections = new Set<H1Upstream>();
  /** How often the bound closed a connection. */
  evictions = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#connections.size;
  }

  add(upstream: H1Upstream): void {
    this.#connections.add(upstream);
    if (this.#connections.size <= this.#limit) return;
    const [oldest] = this.#connections;
    this.evictions++;
    oldest?.close('upstream_reset', 'idle_limit');
  }

  remove(upstream: H1Upstream): void {
    this.#connections.delete(upstream);
  }
}
