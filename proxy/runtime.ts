/**
 * What the listeners of one data process share: the snapshot in force, the clock and timer wheel, limits, the report and the
 * connections that are open. Nothing here is specific to a request.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '#base/clock.ts';
import type { TimerWheel } from '#base/timer-wheel.ts';
import type { ProxyLimits, ProxyTimeouts } from '#proto/config/proxy.ts';
import type { HeadLimits } from '#wire/h1/head.ts';
import type { DownstreamConnection } from './listen/downstream-connection.ts';
import type { Report } from './report/report.ts';
import type { Snapshot } from './snapshot.ts';

export interface RuntimeOptions {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly limits: ProxyLimits;
  readonly timeouts: ProxyTimeouts;
  readonly report: Report;
  readonly snapshot: Snapshot;
}

export class Runtime {
  /** INVARIANT: replaced, never changed; read once per request. */
  snapshot: Snapshot;
  /** Requests since start; makes decision ids. */
  sequence = 0;
  isDraining = false;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly limits: ProxyLimits;
  readonly timeouts: ProxyTimeouts;
  readonly headLimits: HeadLimits;
  readonly report: Report;
  readonly #open = new Set<DownstreamConnection>();
  /** Open connections by caller, to bound each one; bounded itself by the number of connections. */
  readonly #byCaller = new Map<string, number>();
  #nextConnection = 1;
  #whenEmpty: (() => void) | null = null;

  constructor(options: RuntimeOptions) {
    this.clock = options.clock;
    this.wheel = options.wheel;
    this.limits = options.limits;
    this.timeouts = options.timeouts;
    this.headLimits = { headBytes: options.limits.headBytes, fields: options.limits.fields };
    this.report = options.report;
    this.snapshot = options.snapshot;
  }

  nextConnectionId(): number {
    return this.#nextConnection++;
  }

  /** Whether one more connection of this caller may be served. */
  admits(callerKey: string): boolean {
    return (this.#byCaller.get(callerKey) ?? 0) < this.limits.connectionsPerIdentity;
  }

  opened(downstream: DownstreamConnection): void {
    this.#open.add(downstream);
    const { callerKey } = downstream.connection;
    this.#byCaller.set(callerKey, (this.#byCaller.get(callerKey) ?? 0) + 1);
    this.report.connectionsOpened++;
    if (this.isDraining) this.#drainSoon(downstream);
  }

  closed(downstream: DownstreamConnection): void {
    if (!this.#open.delete(downstream)) return;
    const { callerKey } = downstream.connection;
    const left = (this.#byCaller.get(callerKey) ?? 1) - 1;
    if (left > 0) this.#byCaller.set(callerKey, left);
    else this.#byCaller.delete(callerKey);
    this.report.connectionsClosed++;
    downstream.onClosed?.();
    if (this.#open.size === 0) this.#whenEmpty?.();
  }

  /** What is spoken on an open connection has become known: `downstream` has it from now on, and nothing else changes. */
  replaced(before: DownstreamConnection, downstream: DownstreamConnection): void {
    if (!this.#open.delete(before)) return;
    this.#open.add(downstream);
    if (this.isDraining) this.#drainSoon(downstream);
  }

  get connections(): ReadonlySet<DownstreamConnection> {
    return this.#open;
  }

  /** Monotonic time at which a connection opened now has reached its age cap, spread by a tenth so that not all end at once. */
  retireAtMs(age = this.timeouts.connectionAgeMs): number {
    return age === 0 ? Infinity : this.wheel.nowMs + age * (0.9 + 0.1 * Math.random());
  }

  /** Whether a connection that carried so many requests, opened for so long, is not kept for another. Hot path. */
  mustRetire(requests: number, retireAtMs: number): boolean {
    return requests >= this.limits.requestsPerConnection || this.wheel.nowMs >= retireAtMs || this.isDraining;
  }

  /**
   * From now on every connection ends with what it carries, or soon when it carries nothing. One that was accepted before its listener
   * was closed is still served.
   */
  startDrain(): void {
    this.isDraining = true;
    for (const downstream of this.#open) downstream.drain();
  }

  /**
   * Waits for the end of all connections, and of those that are accepted but not open yet; at the end of the drain time what is left is
   * ended.
   */
  async endDrain(listenersClosed: Promise<unknown>): Promise<void> {
    const { promise: isOver, resolve: end } = Promise.withResolvers<void>();
    const timer = setTimeout(end, this.timeouts.drainMs);
    const { promise: isEmpty, resolve } = Promise.withResolvers<void>();
    this.#whenEmpty = resolve;
    await Promise.race([isOver, listenersClosed.then(() => (this.#open.size > 0 ? isEmpty : undefined))]);
    clearTimeout(timer);
    for (const downstream of [...this.#open]) downstream.destroy('draining', 'deadline');
    // The last words of some take a moment.
    if (this.#open.size > 0) await Promise.race([isEmpty, sleep(LAST_WORDS_MS)]);
  }

  /** Who has just been accepted has a request to make, and is not to be sent away before it is made. */
  #drainSoon(downstream: DownstreamConnection): void {
    setTimeout(() => {
      if (this.#open.has(downstream)) downstream.drain();
    }, this.drainIdleMs);
  }

  /** How long a connection that carries nothing may still bring a request while this process drains, milliseconds. */
  get drainIdleMs(): number {
    return Math.min(DRAIN_IDLE_MS, this.timeouts.drainMs / 2);
  }
}

/**
 * A caller that asks on a kept connection just when we close it loses the request. One that uses the connection at all does so within
 * this time and is told to close it; one that doesn't is hardly asking just then.
 */
const DRAIN_IDLE_MS = 1_000;
/** A little more than a WebSocket may take to its next frame boundary. */
const LAST_WORDS_MS = 1_500;
