/**
 * An HTTP/2 session (RFC 9113) without a socket, as server or as client: bytes of the peer go in by `receive`, events come out to
 * one handler, and bytes for the peer are gathered until the owner takes them, best once per turn of the event loop. A peer that
 * breaks the rules or a limit (limits.ts) ends its stream or the session with a fault (faults.ts); nothing is thrown.
 *
 * The owner: calls `receive` for what comes, then writes all that `takeOutput` gives; calls `hold` when its socket is full and
 * `release` when it drains; calls `consumed` for content that it has passed on; calls `tick` about once a second; ends the socket
 * when `receive`, `release` or `tick` return a fault and the output is written, or `isDrained` is true.
 *
 * Hot path.
 */
import type { Trailers } from '../h1/chunked.ts';
import { ERROR_CODE } from './error-codes.ts';
import type { H2Fault } from './faults.ts';
import { FrameReader } from './frame-reader.ts';
import type { HeadWriter } from './head-writer.ts';
import { Incoming } from './incoming.ts';
import { boundedLimits, type H2Limits } from './limits.ts';
import type { Role } from './session-events.ts';
import { SessionState } from './session-state.ts';
import type { PeerSettings } from './settings.ts';
import type { H2Stream } from './stream.ts';

export class H2Session<Owner> {
  readonly #state: SessionState<Owner>;
  readonly #incoming: Incoming<Owner>;
  readonly #reader: FrameReader;
  readonly #startedAtMs: number;
  /** When the first GOAWAY of a graceful end was sent; -1 before. */
  #goingAtMs = -1;

  /** @param nowMs  monotonic, as `tick` tells it later */
  constructor(role: Role<Owner>, limits: H2Limits, nowMs: number) {
    this.#state = new SessionState(role, boundedLimits(limits), nowMs);
    this.#incoming = new Incoming(this.#state);
    this.#reader = new FrameReader(this.#incoming, this.#state.isServer);
    this.#startedAtMs = nowMs;
    this.#state.outgoing.preface(this.#state.isServer, this.#state.limits);
  }

  /** What ended the session, null while it lives or when we ended it ourselves. */
  get fault(): H2Fault | null {
    return this.#state.fault;
  }

  /** Nothing is read or sent any more but what `takeOutput` still has. */
  get isDead(): boolean {
    return this.#state.isDead;
  }

  /** No stream is left of a session that takes no new ones. */
  get isDrained(): boolean {
    const { isPeerGoing, isServer, refusesStreams, streams } = this.#state;
    return (refusesStreams || (isPeerGoing && !isServer)) && streams.size === 0;
  }

  /** Streams that are open. */
  get openStreams(): number {
    return this.#state.streams.size;
  }

  /** The open ones; it may be walked while streams of it end. */
  get streams(): Iterable<H2Stream<Owner>> {
    return this.#state.streams.values();
  }

  /** The peer's SETTINGS have come. */
  get hasPeerSettings(): boolean {
    return this.#incoming.isPeerKnown;
  }

  /** What the peer told in its SETTINGS. */
  get peer(): PeerSettings {
    return this.#state.peer;
  }

  /** Writes the next block; then call `sendHead`. */
  get head(): HeadWriter {
    return this.#state.outgoing.head;
  }

  /** Bytes that wait for the peer or for the owner. */
  get waitingBytes(): number {
    const { output, queuedBytes } = this.#state.outgoing;
    return output.waitingBytes + queuedBytes;
  }

  /** Reads what has come. Returns the fault that ended the session, or null. */
  receive(bytes: Buffer, start: number, end: number): H2Fault | null {
    if (this.#state.isDead) return this.#state.fault;
    return this.#settle(this.#reader.read(bytes, start, end));
  }

  /**
   * The next bytes to send, the caller's from now on (`recycleOutput` takes them back); null when there are none. One buffer holds
   * a usual turn: call it until it returns null.
   */
  takeOutput(): Buffer | null {
    return this.#state.outgoing.take();
  }

  /** The socket is full: content waits, only answers to frames are still gathered. */
  hold(): void {
    this.#state.outgoing.isHeld = true;
  }

  /** The socket takes more. */
  release(): H2Fault | null {
    this.#state.outgoing.isHeld = false;
    this.#state.outgoing.pump();
    return this.#settle(null);
  }

  /** Whether `open` would give a stream. */
  get canOpen(): boolean {
    const { isDead, isPeerGoing, isServer, nextOwnId, peer, refusesStreams, streams } = this.#state;
    if (isServer || isDead || isPeerGoing || refusesStreams) return false;
    return streams.size < peer.maxConcurrentStreams && nextOwnId < MAX_STREAM_ID;
  }

  /**
   * Opens a stream of ours; null when the peer takes no more now. Its head must be the next that is sent.
   *
   * @param method  CONNECT for extended CONNECT too; then set the stream's `protocol`
   */
  open(owner: Owner, method: string): H2Stream<Owner> | null {
    if (!this.canOpen) return null;
    const state = this.#state;
    const stream = state.newStream(state.nextOwnId);
    state.nextOwnId += 2;
    stream.owner = owner;
    stream.method = method;
    return stream;
  }

  /** Sends the block that `head` has written since its `begin`: a request, a response, or a 1xx. */
  sendHead(stream: H2Stream<Owner>): void {
    if (!stream.isClosed && !stream.isEndAsked) this.#state.outgoing.headers(stream, 0);
  }

  /** Sends content, or keeps a copy of what the peer's windows do not take: see `H2Stream.isBlocked`. */
  sendData(stream: H2Stream<Owner>, bytes: Buffer, start: number, end: number): void {
    this.#state.outgoing.data(stream, bytes, start, end);
  }

  /** Ends the message, with trailers that are filtered, or without. */
  sendEnd(stream: H2Stream<Owner>, trailers: Trailers | null): void {
    if (trailers === null) this.#state.outgoing.end(stream);
    else this.#state.outgoing.trailers(stream, trailers);
  }

  /** Breaks a stream off; the handler hears no more of it. `code` is an `ERROR_CODE`. */
  reset(stream: H2Stream<Owner>, code: number): void {
    this.#state.reset(stream, code);
  }

  /** Content that `onData` gave is passed on: the peer may send as much again. */
  consumed(stream: H2Stream<Owner>, bytes: number): void {
    this.#state.consumed(stream, bytes);
  }

  /** Asks the peer for a sign of life; `tick` ends the session when none comes. Does nothing while one is out. */
  ping(): void {
    if (this.#state.isDead || this.#incoming.pingedAtMs >= 0) return;
    this.#incoming.pingedAtMs = this.#state.nowMs;
    this.#state.outgoing.ping(0, OPAQUE, 0);
  }

  /**
   * Begins a graceful end: streams that are open finish. A server first only announces it, so that requests under way are not lost
   * (RFC 9113, section 6.8), and refuses new streams when the PING behind it is answered or a second has passed.
   */
  shutdown(): void {
    const state = this.#state;
    if (state.isDead || this.#goingAtMs >= 0) return;
    this.#goingAtMs = state.nowMs;
    if (!state.isServer) {
      state.refusesStreams = true;
      state.outgoing.goaway(0, ERROR_CODE.noError);
      return;
    }
    state.outgoing.goaway(MAX_STREAM_ID, ERROR_CODE.noError);
    this.ping();
  }

  /** Ends the session now; every open stream is told. */
  close(code: number): void {
    this.#state.end(code, null);
  }

  /** Lets time pass: begins a new window for the floods and looks at the deadlines. Returns what ended the session, or null. */
  tick(nowMs: number): H2Fault | null {
    const state = this.#state;
    if (state.isDead) return state.fault;
    state.nowMs = nowMs;
    state.floods.turn(nowMs);
    if (this.#goingAtMs >= 0 && nowMs - this.#goingAtMs >= ANNOUNCED_MS) this.#refuseStreams();
    return this.#settle(this.#overdue(nowMs) ?? this.#breakIdle(nowMs));
  }

  #overdue(nowMs: number): H2Fault | null {
    const { limits } = this.#state;
    const { awaitsSettingsAck, blockOpenedAtMs, hasSettings, pingedAtMs } = this.#incoming;
    if (!hasSettings && nowMs - this.#startedAtMs >= limits.prefaceMs) return 'preface_timeout';
    if (awaitsSettingsAck && nowMs - this.#startedAtMs >= limits.settingsMs) return 'settings_timeout';
    if (blockOpenedAtMs >= 0 && nowMs - blockOpenedAtMs >= limits.headerBlockMs) return 'header_block_timeout';
    return pingedAtMs >= 0 && nowMs - pingedAtMs >= limits.pingMs ? 'ping_timeout' : null;
  }

  #breakIdle(nowMs: number): H2Fault | null {
    const { limits, streams } = this.#state;
    for (const stream of streams.values()) {
      const idleMs = nowMs - stream.movedAtMs;
      const isStalled = stream.isBlocked && !this.#state.outgoing.isHeld && limits.streamStallMs > 0;
      let fault: H2Fault | null = null;
      if (isStalled && idleMs >= limits.streamStallMs) fault = 'stream_stalled';
      else if (limits.streamIdleMs > 0 && idleMs >= limits.streamIdleMs) fault = 'stream_idle_timeout';
      if (fault === null) continue;
      const tooMany = this.#state.breakStream(stream, fault);
      if (tooMany !== null) return tooMany;
    }
    return null;
  }

  #refuseStreams(): void {
    const state = this.#state;
    if (state.refusesStreams || !state.isServer) return;
    state.refusesStreams = true;
    state.outgoing.goaway(state.lastPeerId, ERROR_CODE.noError);
  }

  /** Ends the session by `fault`, or because too much waits. */
  #settle(fault: H2Fault | null): H2Fault | null {
    if (this.#state.isDead) return this.#state.fault;
    const isTooMuch = this.waitingBytes > this.#state.limits.queuedBytes;
    const found = fault ?? (isTooMuch ? 'queue_too_large' : null);
    if (found !== null) this.#state.fail(found);
    else if (this.#goingAtMs >= 0 && this.#incoming.pingedAtMs < 0) this.#refuseStreams();
    return found;
  }
}

const MAX_STREAM_ID = 0x7fff_ffff;
/** How long streams that were under way when the end was announced are still taken. */
const ANNOUNCED_MS = 1000;
const OPAQUE = Buffer.from('postern\0', 'latin1');
