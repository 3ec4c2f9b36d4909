/**
 * One logical upstream and its connections. Idle ones are kept per caller: two callers never share a connection, because a
 * response that an upstream sends too much would reach the other one. Hot path.
 */
import type { TimerWheel } from '#base/timer-wheel.ts';
import type { ProxyTimeouts, UpstreamProtocol } from '#proto/config/proxy.ts';
import type { HeadLimits } from '#wire/h1/head.ts';
import type { H2Limits } from '#wire/h2/limits.ts';
import type { Failure } from '../failure.ts';
import type { Downstream, Upstream } from '../forward/streams.ts';
import type { Report } from '../report/report.ts';
import { CallerPool } from './caller-pool.ts';
import type { Dialer } from './dialer.ts';
import { H1Upstream } from './h1-upstream.ts';
import { H2Connection, type H2Host } from './h2-connection.ts';
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
  readonly protocol: UpstreamProtocol;
  /** Limits of a session with the upstream. */
  readonly http2: H2Limits;
}

export class UpstreamService implements H2Host {
  readonly name: string;
  readonly dialer: Dialer;
  readonly wheel: TimerWheel;
  readonly timeouts: ProxyTimeouts;
  readonly headLimits: HeadLimits;
  readonly informationalResponses: number;
  readonly report: Report;
  readonly http2: H2Limits;
  readonly #protocol: UpstreamProtocol;
  readonly #limit: number;
  readonly #idle: IdleConnections;
  readonly #open = new Set<H1Upstream | H2Connection>();
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
    this.http2 = clientLimits(options.http2);
    this.#protocol = options.protocol;
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
    if (isGoneForGood) for (const upstream of [...pool.idle, ...pool.multiplexed]) upstream.evict();
    this.#dropUnused(pool);
  }

  /** What carries one exchange to the upstream, or why nothing does. */
  acquire(downstream: Downstream, pool: CallerPool): Upstream | Failure {
    downstream.exchange.upstreamHost = this.name;
    return this.#protocol === 'http2' ? this.#stream(downstream, pool) : this.#connection(downstream, pool);
  }

  /** A stream of a connection that belongs to this caller alone. */
  #stream(downstream: Downstream, pool: CallerPool): Upstream | Failure {
    const { multiplexed } = pool;
    const { generation } = this.dialer;
    for (let index = multiplexed.length - 1; index >= 0; index--) {
      const connection = multiplexed[index];
      if (connection === undefined) continue;
      if (connection.generation !== generation) connection.retire();
      else if (connection.hasRoom) return connection.take(downstream);
    }
    if (this.#open.size >= this.#limit) return 'upstream_overload';
    const connection = new H2Connection(this, pool, this.dialer.isTls, generation);
    this.#open.add(connection);
    multiplexed.push(connection);
    connection.attach(this.dialer.open(connection));
    return connection.take(downstream);
  }

  /** A connection for this exchange alone, the most recently used first. */
  #connection(downstream: Downstream, pool: CallerPool): Upstream | Failure {
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
    if (this.#open.size >= this.#limit) return 'upstream_overload';
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

  h2Busy(connection: H2Connection): void {
    this.#idle.remove(connection);
  }

  h2Idle(connection: H2Connection): void {
    this.#idle.add(connection);
  }

  h2Retired(connection: H2Connection): void {
    connection.pool.dropMultiplexed(connection);
  }

  h2Ended(connection: H2Connection): void {
    this.#open.delete(connection);
    this.#idle.remove(connection);
    connection.pool.dropMultiplexed(connection);
    this.#dropUnused(connection.pool);
  }

  #dropUnused(pool: CallerPool): void {
    if (pool.users > 0 || pool.idle.length > 0 || pool.multiplexed.length > 0) return;
    if (this.#pools.get(pool.callerKey) === pool) this.#pools.delete(pool.callerKey);
  }
}

/**
 * Limits of a session of ours as a client. Resets answer streams that we opened ourselves, so that they flood nobody; and content that
 * some callers leave lie may not take the window of the others.
 */
function clientLimits(limits: H2Limits): H2Limits {
  const sessionWindowBytes = Math.max(limits.sessionWindowBytes, Math.min(MAX_STALLED * limits.streamWindowBytes, MAX_WINDOW));
  return { ...limits, peerResets: Number.MAX_SAFE_INTEGER, sessionWindowBytes };
}

/** Streams whose callers take nothing and that stop no other. */
const MAX_STALLED = 64;
const MAX_WINDOW = 0x7fff_ffff;
