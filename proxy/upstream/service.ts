/**
 * One logical upstream and its connections. Idle ones are kept per caller: two callers never share a connection, because a
 * response that an upstream sends too much would reach the other one. Hot path.
 */
import type { TimerWheel } from '#base/timer-wheel.ts';
import type { ProxyTimeouts } from '#proto/config/proxy.ts';
import type { HeadLimits } from '#wire/h1/head.ts';
import type { Downstream } from '../forward/streams.ts';
import type { Report } from '../report/report.ts';
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
  /** Idle connections by caller. INVARIANT: no list is empty, so the map is bounded by the idle limit. */
  readonly #idleByCaller = new Map<string, H1Upstream[]>();

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

  /** A connection for one exchange, the most recently used first; null when as many are open as may be. */
  acquire(downstream: Downstream, callerKey: string): H1Upstream | null {
    const generation = this.dialer.generation;
    const freshAfterMs = performance.now() - this.timeouts.upstreamIdleMs;
    // Another try gets a connection of its own: what ended the first may have ended every idle one.
    let idle = downstream.exchange.tries === 0 ? this.#idleByCaller.get(callerKey) : undefined;
    while (idle !== undefined) {
      const upstream = idle.pop();
      if (idle.length === 0) {
        this.#idleByCaller.delete(callerKey);
        idle = undefined;
      }
      if (upstream === undefined) break;
      this.#idle.remove(upstream);
      if (upstream.generation === generation && upstream.idleSinceMs > freshAfterMs) {
        upstream.take(downstream);
        return upstream;
      }
      upstream.close('upstream_reset', '');
    }
    if (this.#open.size >= this.#limit) return null;
    const upstream = new H1Upstream(this, callerKey);
    this.#open.add(upstream);
    upstream.take(downstream);
    return upstream;
  }

  /** Takes a connection back that finished an exchange. */
  release(upstream: H1Upstream): void {
    upstream.idleSinceMs = performance.now();
    const idle = this.#idleByCaller.get(upstream.callerKey);
    if (idle === undefined) this.#idleByCaller.set(upstream.callerKey, [upstream]);
    else idle.push(upstream);
    this.#idle.add(upstream);
  }

  /** Drops a connection that has ended. */
  forget(upstream: H1Upstream): void {
    this.#open.delete(upstream);
    this.#idle.remove(upstream);
    const idle = this.#idleByCaller.get(upstream.callerKey);
    const index = idle === undefined ? -1 : idle.indexOf(upstream);
    if (idle === undefined || index < 0) return;
    idle.splice(index, 1);
    if (idle.length === 0) this.#idleByCaller.delete(upstream.callerKey);
  }

  /** Ends the idle connections of a caller that is gone for good. */
  closeIdle(callerKey: string): void {
    for (const upstream of [...(this.#idleByCaller.get(callerKey) ?? [])]) upstream.close('upstream_reset', '');
  }

  get openConnections(): ReadonlySet<H1Upstream> {
    return this.#open;
  }
}
