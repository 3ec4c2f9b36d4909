/**
 * Keeps what is open honest: when policy or identity changes, every open connection is judged again, once for each change; and twice a
 * second those are ended whose proof has run out. Many connections are visited in slices, so that nothing else waits for long.
 */
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { TLSSocket } from 'node:tls';
import { Deadline } from '#base/timer-wheel.ts';
import type { VerifyCache } from '#certs/verify-cache.ts';
import { flushOutlets } from '../io/outlet.ts';
import type { DownstreamConnection } from '../listen/downstream-connection.ts';
import type { Runtime } from '../runtime.ts';
import { presentedChain } from '../tls/peer.ts';
import { Judge } from './judge.ts';

/** Connections whose caller was proved when they were accepted, by the socket that still knows its chain. */
export type ProvedConnections = ReadonlyMap<Socket, DownstreamConnection>;

export class Revoker extends Deadline {
  readonly #runtime: Runtime;
  readonly #cache: VerifyCache;
  readonly #judge: Judge;
  /** What this round has still to visit; null between rounds. What opens meanwhile is visited as well. */
  #connections: Iterator<DownstreamConnection> | null = null;
  /** Chains that are still to be verified by new bundles; null when all are. */
  #proofs: Iterator<readonly [Socket, DownstreamConnection]> | null = null;
  #isSliceDue = false;

  constructor(runtime: Runtime, cache: VerifyCache) {
    super();
    this.#runtime = runtime;
    this.#cache = cache;
    this.#judge = new Judge(runtime);
  }

  /** Begins to look for proofs that run out. */
  start(): void {
    this.#runtime.wheel.arm(this, ROUND_MS);
  }

  /** Another policy is in force: a new round begins with the next turn of the event loop. */
  policyChanged(): void {
    this.#connections = this.#runtime.connections.values();
    this.#next();
  }

  /** Other bundles are in force. */
  bundlesChanged(proved: readonly ProvedConnections[]): void {
    this.#proofs = entriesOf(proved);
    this.#next();
  }

  onDeadline(): void {
    this.#runtime.wheel.arm(this, ROUND_MS);
    // A round that is under way visits everything as well.
    if (this.#connections === null) this.policyChanged();
  }

  #next(): void {
    if (this.#isSliceDue) return;
    this.#isSliceDue = true;
    setImmediate(() => this.#slice());
  }

  #slice(): void {
    this.#isSliceDue = false;
    const untilMs = performance.now() + SLICE_MS;
    while (this.#visitOne()) {
      if (performance.now() < untilMs) continue;
      this.#next();
      break;
    }
    flushOutlets();
  }

  /** Returns whether there was one. */
  #visitOne(): boolean {
    const nowMs = this.#runtime.clock.nowMs();
    const proof = this.#proofs?.next();
    if (proof !== undefined && proof.done !== true) {
      const [socket, downstream] = proof.value;
      this.#verify(socket, downstream, nowMs);
      return true;
    }
    this.#proofs = null;
    const connection = this.#connections?.next();
    if (connection !== undefined && connection.done !== true) {
      const downstream = connection.value;
      if (downstream.connection.notAfterMs <= nowMs) downstream.destroy('svid_expired', 'expired');
      else downstream.rejudge(this.#judge);
      return true;
    }
    this.#connections = null;
    return false;
  }

  #verify(socket: Socket, downstream: DownstreamConnection, nowMs: number): void {
    const { identity } = this.#runtime.snapshot;
    if (identity === null) return;
    this.#runtime.report.rejudged++;
    // A caller is proved by mutual TLS alone.
    const verified = this.#cache.verify(presentedChain(socket as TLSSocket), identity.bundles, nowMs);
    if (verified.ok) return;
    this.#runtime.report.revoked++;
    downstream.destroy('svid_expired', verified.code);
  }
}

function* entriesOf(proved: readonly ProvedConnections[]): Generator<readonly [Socket, DownstreamConnection]> {
  for (const each of proved) yield* each;
}

/** What ends between two rounds is late by this, and a tick of the wheel, at most. */
const ROUND_MS = 500;
/** The loop's other work waits for one slice at most, and for the visit that ends it. */
const SLICE_MS = 4;
