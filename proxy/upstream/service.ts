/**
 * One logical upstream: its endpoints, the connections to them, and how much may go there. Connections are kept per caller: two
 * callers never share one, because a response that an upstream sends too much would reach the other one. The exception of shared
 * streams is stated where it is made (shared-streams.ts). Hot path.
 */
import type { Socket } from 'node:net';
import type { TimerWheel } from '#base/timer-wheel.ts';
import type { CircuitConfig, OutlierConfig, ProxyTimeouts, RetryConfig } from '#proto/config/proxy.ts';
import type { HeadLimits } from '#wire/h1/head.ts';
import type { H2Limits } from '#wire/h2/limits.ts';
import type { Exchange } from '../exchange.ts';
import type { Failure } from '../failure.ts';
import type { Downstream, Upstream } from '../forward/streams.ts';
import type { Report } from '../report/report.ts';
import { CallerPool } from './caller-pool.ts';
import type { Endpoint } from './endpoint.ts';
import { H1Upstream } from './h1-upstream.ts';
import { H2Connection, type H2Host } from './h2-connection.ts';
import type { Handshake } from './handshake.ts';
import type { IdleConnections } from './idle-connections.ts';
import { OutlierDetector } from './outlier-detector.ts';
import { RetryBudget } from './retry-budget.ts';
import { SharedStreams } from './shared-streams.ts';

export interface ServiceOptions {
  /** `host:port` of the first endpoint. */
  readonly name: string;
  readonly direction: 'inbound' | 'outbound';
  /** Never empty. */
  readonly endpoints: readonly Endpoint[];
  readonly wheel: TimerWheel;
  readonly timeouts: ProxyTimeouts;
  readonly headLimits: HeadLimits;
  readonly informationalResponses: number;
  readonly idle: IdleConnections;
  readonly report: Report;
  /** Limits of an HTTP/2 session with the upstream. */
  readonly http2: H2Limits;
  readonly circuit: CircuitConfig;
  readonly retries: RetryConfig;
  readonly outlier: OutlierConfig;
  /** HTTP/2 connections to each endpoint that all callers share; 0 where each caller has its own. */
  readonly sharedConnections: number;
}

/** How often a limit of `circuit` stopped something. */
export interface CircuitCounters {
  connections: number;
  pendingRequests: number;
  requests: number;
}

export class UpstreamService implements H2Host {
  readonly name: string;
  readonly direction: 'inbound' | 'outbound';
  readonly endpoints: readonly Endpoint[];
  readonly wheel: TimerWheel;
  readonly timeouts: ProxyTimeouts;
  readonly responseMs: number;
  readonly connectMs: number;
  readonly headLimits: HeadLimits;
  readonly informationalResponses: number;
  readonly report: Report;
  readonly http2: H2Limits;
  readonly circuit: CircuitConfig;
  readonly health: OutlierDetector;
  readonly budget: RetryBudget;
  readonly overflows: CircuitCounters = { connections: 0, pendingRequests: 0, requests: 0 };
  readonly shared: SharedStreams | null;
  readonly #idle: IdleConnections;
  readonly #open = new Set<H1Upstream | H2Connection | Handshake>();
  /** By caller. INVARIANT: each has a downstream connection or an idle one, so the map is bounded by their limits. */
  readonly #pools = new Map<string, CallerPool>();

  constructor(options: ServiceOptions) {
    const { timeouts } = options;
    const { tryMs } = options.retries;
    this.name = options.name;
    this.direction = options.direction;
    this.endpoints = options.endpoints;
    this.wheel = options.wheel;
    this.timeouts = timeouts;
    this.responseMs = tryMs === 0 ? timeouts.responseMs : tryMs;
    this.connectMs = tryMs === 0 ? timeouts.connectMs : Math.min(tryMs, timeouts.connectMs);
    this.headLimits = options.headLimits;
    this.informationalResponses = options.informationalResponses;
    this.report = options.report;
    this.http2 = clientLimits(options.http2);
    this.circuit = options.circuit;
    this.health = new OutlierDetector(options.endpoints, options.outlier, options.wheel, Math.random);
    this.budget = new RetryBudget(options.retries);
    this.#idle = options.idle;
    this.shared = options.sharedConnections === 0 ? null : new SharedStreams(this, options.sharedConnections);
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
    const { exchange } = downstream;
    if (this.budget.inFlight >= this.circuit.requests) {
      this.overflows.requests++;
      return 'circuit_open';
    }
    const endpoint = this.health.pick(exchange.tries === 0 ? '' : exchange.upstreamHost);
    if (endpoint === null) return 'no_healthy_endpoint';
    exchange.upstreamHost = endpoint.name;
    exchange.retries = this.budget;
    // A tunnel would hold a stream that all callers share for as long as it lives: it gets a connection of its own.
    const isAlone = endpoint.speaksHttp1(this.wheel.nowMs) || (exchange.tunnel === 'websocket' && this.shared !== null);
    if (isAlone) return this.connection(endpoint, downstream, pool);
    return this.shared === null ? this.#stream(endpoint, downstream, pool) : this.shared.acquire(endpoint, downstream, pool);
  }

  /** A connection of this exchange alone, the most recently used first. */
  connection(endpoint: Endpoint, downstream: Downstream, pool: CallerPool): Upstream | Failure {
    const { idle } = pool;
    // Another try gets a connection of its own: what ended the first may have ended every idle one.
    if (idle.length > 0 && downstream.exchange.tries === 0) {
      const freshAfterMs = this.wheel.nowMs - this.timeouts.upstreamIdleMs;
      for (let upstream = pool.takeIdle(endpoint); upstream !== null; upstream = pool.takeIdle(endpoint)) {
        this.#idle.remove(upstream);
        if (upstream.generation === endpoint.dialer.generation && upstream.idleSinceMs > freshAfterMs) {
          upstream.take(downstream);
          return upstream;
        }
        upstream.evict();
      }
    }
    if (!this.mayConnect()) return this.#overflow;
    const upstream = new H1Upstream(this, endpoint, pool, null);
    this.#open.add(upstream);
    upstream.take(downstream);
    return upstream;
  }

  /** What speaks HTTP/1.1 for a caller on a socket that is open already. */
  adopt(endpoint: Endpoint, pool: CallerPool, socket: Socket): H1Upstream {
    const upstream = new H1Upstream(this, endpoint, pool, socket);
    this.#open.add(upstream);
    return upstream;
  }

  /** Whether one more connection may be opened; counted when not. */
  mayConnect(): boolean {
    if (this.#open.size < this.circuit.connections) return true;
    this.overflows.connections++;
    return false;
  }

  opening(connection: H2Connection | Handshake): void {
    this.#open.add(connection);
  }

  closed(handshake: Handshake): void {
    this.#open.delete(handshake);
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

  /** The own identity or a bundle has changed: what was opened before carries what it carries, and nothing more. */
  letGoOld(): void {
    for (const connection of this.#open) {
      if (connection.generation === connection.endpoint.dialer.generation) continue;
      if (connection instanceof H2Connection) connection.retire();
      else if (connection instanceof H1Upstream && connection.isListedIdle) connection.evict();
    }
  }

  begun(endpoint: Endpoint, { tries }: Exchange): void {
    endpoint.inFlight++;
    this.budget.begun(tries);
  }

  answered(endpoint: Endpoint, exchange: Exchange): void {
    this.givenUp(endpoint, exchange);
    endpoint.exchanges++;
    this.health.answered(endpoint, exchange.status, exchange.tries);
  }

  failed(endpoint: Endpoint, exchange: Exchange, failure: Failure): void {
    this.givenUp(endpoint, exchange);
    endpoint.exchanges++;
    this.health.failed(endpoint, failure);
  }

  givenUp(endpoint: Endpoint, { tries }: Exchange): void {
    endpoint.inFlight--;
    this.budget.ended(tries);
  }

  /** When an exchange has to be over, in the wheel's time; Infinity for never. */
  overMs({ startedAt }: Exchange): number {
    const { requestMs } = this.timeouts;
    return requestMs === 0 ? Infinity : startedAt + requestMs;
  }

  h2Busy(connection: H2Connection): void {
    this.#idle.remove(connection);
  }

  h2Idle(connection: H2Connection): void {
    this.#idle.add(connection);
  }

  h2Room(connection: H2Connection): void {
    const { endpoint } = connection;
    if (endpoint.waiting.length > 0) this.shared?.serve(endpoint);
  }

  h2Ended(connection: H2Connection): void {
    const { endpoint, holder } = connection;
    this.#open.delete(connection);
    this.#idle.remove(connection);
    if (holder instanceof CallerPool) this.#dropUnused(holder);
    else if (endpoint.waiting.length > 0) this.shared?.serve(endpoint);
  }

  /** Connections that are open or being opened. */
  get connections(): ReadonlySet<H1Upstream | H2Connection | Handshake> {
    return this.#open;
  }

  /** A stream of a connection that belongs to this caller alone. */
  #stream(endpoint: Endpoint, downstream: Downstream, pool: CallerPool): Upstream | Failure {
    const { multiplexed } = pool;
    const { dialer } = endpoint;
    for (let index = multiplexed.length - 1; index >= 0; index--) {
      const connection = multiplexed[index];
      if (connection === undefined) continue;
      if (connection.generation !== dialer.generation) connection.retire();
      else if (connection.hasRoom) return connection.take(downstream);
    }
    if (!this.mayConnect()) return this.#overflow;
    const connection = new H2Connection(this, endpoint, pool, dialer.generation);
    this.#open.add(connection);
    multiplexed.push(connection);
    connection.attach(dialer.open(connection));
    return connection.take(downstream);
  }

  get #overflow(): Failure {
    return this.direction === 'inbound' ? 'upstream_overload' : 'circuit_open';
  }

  #dropUnused(pool: CallerPool): void {
    if (pool.users > 0 || pool.idle.length > 0 || pool.multiplexed.length > 0) return;
    if (this.#pools.get(pool.callerKey) === pool) this.#pools.delete(pool.callerKey);
  }
}

/**
 * Limits of a session of ours as a client. Resets answer streams that we opened ourselves, so that they flood nobody. Content that
 * callers leave lie is bounded by each stream's window alone: a window that they share would let some stop all the others.
 */
function clientLimits(limits: H2Limits): H2Limits {
  return { ...limits, peerResets: Number.MAX_SAFE_INTEGER, sessionWindowBytes: SESSION_WINDOW_BYTES };
}

const SESSION_WINDOW_BYTES = 1 << 30;
