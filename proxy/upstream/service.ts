/**
 * One logical upstream and its connections. Idle ones are kept per caller: two callers never share a connection, because a
 * response that an upstream sends too much would reach the other one. Hot path.
 */
import type { TimerWheel } from '#base/timer-wheel.ts';
import type { ProxyTimeouts } from '#proto/config/proxy.ts';
import type { HeadLimits } from '#wire/h1/head.ts';
import type { Downstream } from '../forward/streams.ts';
import type { Report } from '../report/report.ts';
import { CallerPool } from './caller-pool.ts';
import type { Dialer } from './dialer.ts';
import { H1Upstream } from './h1-upstream.ts';
import type { IdleConnections } from './idle-connections.ts';

export interface ServiceOptions {
  /** `host:port`, for the log. */
  readonly name: string;
  readonly dialer: Dialer;
  readonly wheel: TimerWheel;
  readonly timeouts: ProxyTimeouts;
  readonly headLimits: HeadLimits;
  readonly informationalResponses: number;
  /** Open connections at most, idle ones included. */
  readonly connections: number;
  readonly idle: IdleConnections;
  readonly report: Report;
}

export class UpstreamService {
  readonly name: string;
  readonly dialer: Dialer;
  readonly wheel: TimerWheel;
  readonly timeouts: ProxyTimeouts;
  readonly headLimits: HeadLimits;
  readonly informationalResponses: number;
  readonly report: Report;
  readonly #limit: number;
  readonly #idle: IdleConnections;
  readonly #open = new Set<H1Upstream>();
  /** By caller. INVARIANT: each has a downstream connection or an idle one, so the map is bounded by their limits. */
  readonly #pools = new Map<string, CallerPool>();

  constructor(options: ServiceOptions) {
    this.name = options.name;
    this.dialer = options.dialer;
    this.wheel = options.wheel;
    this.timeouts = options.timeouts;
    this.headLimits = options.headLimits;
    this.informationalResponses = options.informationalResponses;
    this.report = options.report;
    this.#limit = options.connections;
    this.#idle = options.idle;
  }

  /** The pool of a caller, for one downstream connection more. Give it back with `leave`. */
  join(callerKey: string): CallerPool {
    let pool = this.#pools.get(callerKey);
    if (pool === undefined) {
      pool = new CallerPool(callerKey);
      this.#pools.set(callerKey, pool);
    }
    pool.users++;
    return pool;
  }

  /** A downstream connection has ended. Of a caller that can't come back, the idle connections end with it. */
  leave(pool: CallerPool, isGoneForGood: boolean): void {
    pool.users--;
    if (pool.users > 0) return;
    if (isGoneForGood) for (const upstream of [...pool.idle]) upstream.evict();
    this.#dropUnused(pool);
  }

  /** A connection for one exchange, the most recently used first; null when as many are open as may be. */
  acquire(downstream: Downstream, pool: CallerPool): H1Upstream | null {
    const { idle } = pool;
    // Another try gets a connection of its own: what ended the first may have ended every idle one.
    if (idle.length > 0 && downstream.exchange.tries === 0) {
      const generation = this.dialer.generation;
      const freshAfterMs = this.wheel.nowMs - this.timeouts.upstreamIdleMs;
      for (let upstream = idle.pop(); upstream !== undefined; upstream = idle.pop()) {
        this.#idle.remove(upstream);
        if (upstream.generation === generation && upstream.idleSinceMs > freshAfterMs) {
          upstream.take(downstream);
          return upstream;
        }
        upstream.evict();
      }
    }
    if (this.#open.size >= this.#limit) return null;
    const upstream = new H1Upstream(this, pool);
    this.#open.add(upstream);
    upstream.take(downstream);
    return upstream;
  }

  /** Takes a connection back that finished an exchange. */
  release(upstream: H1Upstream): void {
    upstream.idleSinceMs = this.wheel.nowMs;
    upstream.pool.idle.push(upstream);
    this.#idle.add(upstream);
  }

  /** Drops a connection that has ended. */
  forget(upstream: H1Upstream): void {
    this.#open.delete(upstream);
    this.#idle.remove(upstream);
    upstream.pool.remove(upstream);
    this.#dropUnused(upstream.pool);
  }

  #dropUnused(pool: CallerPool): void {
    if (pool.users > 0 || pool.idle.length > 0) return;
    if (this.#pools.get(pool.callerKey) === pool) this.#pools.delete(pool.callerKey);
  }
}
