/**
 * One HTTP/2 connection to an upstream, of which we are the client: streams of the exchanges that share it (h2-upstream.ts), one
 * write per turn of the event loop for all of them, one look a tick at what is overdue. It ends without streams being told twice,
 * and takes no new ones once the upstream is going or what it was opened with is no longer in force. Hot path.
 */
import type { Socket } from 'node:net';
import { Deadline, type TimerWheel } from '#base/timer-wheel.ts';
import type { ProxyTimeouts } from '#proto/config/proxy.ts';
import { ERROR_CODE } from '#wire/h2/error-codes.ts';
import type { H2Limits } from '#wire/h2/limits.ts';
import { H2Session } from '#wire/h2/session.ts';
import type { Exchange } from '../exchange.ts';
import type { Failure } from '../failure.ts';
import type { Downstream } from '../forward/streams.ts';
import { flushOutlets } from '../io/outlet.ts';
import { writeAtTurnEnd, writeOutput, type TurnWriter } from '../io/turn.ts';
import type { Opening } from './dialer.ts';
import type { Endpoint } from './endpoint.ts';
import { StreamOwners } from './h2-stream-owners.ts';
import { H2Upstream } from './h2-upstream.ts';
import type { IdleConnection } from './idle-connections.ts';
import type { Outcomes } from './outcomes.ts';

/** Where connections stand while they take streams. */
export interface H2Holder {
  readonly multiplexed: H2Connection[];
}

/** The upstream that connections belong to. */
export interface H2Host extends Outcomes {
  readonly wheel: TimerWheel;
  readonly timeouts: ProxyTimeouts;
  /** From a request's end to its response's head. */
  readonly responseMs: number;
  readonly connectMs: number;
  /** When an exchange has to be over, in the wheel's time; Infinity for never. */
  overMs(exchange: Exchange): number;
  readonly http2: H2Limits;
  readonly informationalResponses: number;
  /** The first stream is open again, or the last one is gone. */
  h2Busy(connection: H2Connection): void;
  h2Idle(connection: H2Connection): void;
  /** It may take a stream that it did not take before. */
  h2Room(connection: H2Connection): void;
  /** It is gone. */
  h2Ended(connection: H2Connection): void;
}

export class H2Connection extends Deadline implements Opening, IdleConnection, TurnWriter {
  readonly host: H2Host;
  readonly endpoint: Endpoint;
  readonly holder: H2Holder;
  readonly session: H2Session<H2Upstream>;
  readonly isTls: boolean;
  readonly scheme: 'http' | 'https';
  /** Generation of the own identity that it was opened with. */
  readonly generation: number;
  /** Streams since it was opened. */
  carried = 0;
  /** It has carried streams to their end before. */
  isReused = false;
  idlePrevious: IdleConnection | null = null;
  idleNext: IdleConnection | null = null;
  isListedIdle = false;
  isDirty = false;
  #socket: Socket | null = null;
  #state: State = CONNECTING;
  /** A byte of the upstream's has come: its SETTINGS are known. */
  #hasHeard = false;
  #heardAtMs = 0;
  #idleSinceMs: number;
  #isRetired = false;
  #isBusy = false;
  #isHeld = true;
  /** The exchanges that it carries, linked through themselves: a set would hash each of them twice. */
  #first: H2Upstream | null = null;
  /** Requests that could not be sent at all; they fail when the turn is over. */
  #unsent: H2Upstream[] = [];
  /** Those that wait for the upstream's SETTINGS. */
  #unsettled: H2Upstream[] = [];

  constructor(host: H2Host, endpoint: Endpoint, holder: H2Holder, generation: number) {
    super();
    this.host = host;
    this.endpoint = endpoint;
    this.holder = holder;
    this.isTls = endpoint.dialer.isTls;
    this.scheme = this.isTls ? 'https' : 'http';
    this.generation = generation;
    this.session = new H2Session<H2Upstream>({ server: null, client: new StreamOwners(this) }, host.http2, host.wheel.nowMs);
    // Content waits until the socket is open; heads are gathered.
    this.session.hold();
    this.#idleSinceMs = host.wheel.nowMs;
    host.wheel.arm(this, host.connectMs);
  }

  /** The socket that it will speak on; `opened` follows, or its end. */
  attach(socket: Socket): void {
    this.#socket = socket;
    socket.on('error', (error: NodeJS.ErrnoException) => this.#closed(error.code ?? error.message));
    socket.on('close', () => this.#closed(''));
    socket.on('drain', () => this.#drained());
  }

  /** Whether a request may be given to it now. */
  get hasRoom(): boolean {
    if (this.#isRetired || this.#state === CLOSED) return false;
    return this.session.canOpen && (this.#hasHeard || this.session.openStreams < this.endpoint.streams);
  }

  /** Takes an exchange; call only when `hasRoom`. */
  take(downstream: Downstream): H2Upstream {
    const upstream = new H2Upstream(this, downstream);
    this.carried++;
    const first = this.#first;
    upstream.next = first;
    if (first !== null) first.previous = upstream;
    this.#first = upstream;
    if (!this.#isBusy) {
      this.#isBusy = true;
      this.host.h2Busy(this);
      if (this.#state === OPEN) this.host.wheel.arm(this, TICK_MS);
    }
    return upstream;
  }

  opened(): void {
    if (this.#state !== CONNECTING) return;
    this.#state = OPEN;
    this.#heardAtMs = this.host.wheel.nowMs;
    this.#isHeld = false;
    this.host.wheel.arm(this, TICK_MS);
    this.session.release();
    this.touch();
    flushOutlets();
  }

  refused(failure: Failure, detail: string): void {
    this.#end(failure, detail);
    flushOutlets();
  }

  /** Something is to be written: it goes out when the turn is over. */
  touch(): void {
    writeAtTurnEnd(this);
  }

  turnEnds(): void {
    if (this.#unsent.length > 0) this.#failUnsent();
    if (this.#state === OPEN && !this.#isHeld) this.#write();
    if (this.#state !== CLOSED) this.#settle();
  }

  /** The request of `upstream` could not be put on a stream. */
  failLater(upstream: H2Upstream): void {
    this.#unsent.push(upstream);
    this.touch();
  }

  /** Calls `upstream.settled` once the upstream's SETTINGS are known. */
  awaitSettings(upstream: H2Upstream): void {
    this.#unsettled.push(upstream);
  }

  /** The exchange of `upstream` is over, one way or another. */
  left(upstream: H2Upstream): void {
    this.isReused = true;
    const { next, previous } = upstream;
    if (previous !== null) previous.next = next;
    else if (this.#first === upstream) this.#first = next;
    else return;
    if (next !== null) next.previous = previous;
    upstream.next = null;
    upstream.previous = null;
    this.#idleSinceMs = this.host.wheel.nowMs;
    // Streams may be told of an end one after the other: what follows from it waits until the turn is over.
    this.touch();
  }

  /** The upstream has said that it takes no more streams. */
  going(): void {
    if (this.#isRetired) return;
    this.#leaveHolder();
  }

  /** Takes no new streams from now on and ends with its last one. */
  retire(): void {
    if (this.#isRetired || this.#state === CLOSED) return;
    this.#leaveHolder();
    this.session.shutdown();
    this.touch();
  }

  /** Ends it now, though only its idleness is meant: no exchange is on it. */
  evict(): void {
    this.#end('upstream_reset', 'evicted');
  }

  onBytes(bytes: Buffer, end: number): boolean {
    if (this.#state !== OPEN) {
      this.#end('upstream_malformed', 'early_bytes');
      return true;
    }
    this.#heardAtMs = this.host.wheel.nowMs;
    const fault = this.session.receive(bytes, 0, end);
    if (!this.#hasHeard) {
      this.#hasHeard = true;
      this.endpoint.streams = this.session.peer.maxConcurrentStreams;
    }
    if (this.#unsettled.length > 0 && fault === null && this.session.hasPeerSettings) {
      for (const upstream of this.#unsettled.splice(0)) upstream.settled();
    }
    if (fault === null) this.touch();
    else this.#end('upstream_malformed', fault);
    flushOutlets();
    return true;
  }

  onEnd(): void {
    this.#closed('');
  }

  onDeadline(): void {
    const { nowMs } = this.host.wheel;
    if (this.#state === CONNECTING) {
      this.#end('upstream_connect_timeout', '');
      flushOutlets();
      return;
    }
    this.#endOverdue(nowMs);
    if (nowMs - this.#heardAtMs >= this.host.timeouts.keepAliveMs && this.session.openStreams > 0) this.session.ping();
    const fault = this.session.tick(nowMs);
    if (fault !== null) this.#end('upstream_timeout', fault);
    else if (!this.#isBusy && nowMs - this.#idleSinceMs >= this.host.timeouts.idleMs) this.retire();
    // What ended itself above is armed no more.
    if (!this.#isOver) this.host.wheel.arm(this, this.#isBusy ? TICK_MS : IDLE_TICK_MS);
    this.touch();
    flushOutlets();
  }

  #endOverdue(nowMs: number): void {
    let upstream = this.#first;
    while (upstream !== null) {
      // What is told of its end may take others out, but not put any behind it.
      const { next }: H2Upstream = upstream;
      if (upstream.dueMs <= nowMs) upstream.overdue();
      upstream = next;
    }
  }

  get #isOver(): boolean {
    return this.#state === CLOSED;
  }

  #write(): void {
    const socket = this.#socket;
    if (socket === null || writeOutput(socket, this.isTls, this.session)) return;
    this.#isHeld = true;
    this.session.hold();
  }

  #drained(): void {
    if (this.#state !== OPEN) return;
    this.#isHeld = false;
    const fault = this.session.release();
    if (fault === null) this.touch();
    else this.#end('upstream_malformed', fault);
    flushOutlets();
  }

  #failUnsent(): void {
    const unsent = this.#unsent;
    this.#unsent = [];
    for (const upstream of unsent) upstream.fail(upstream.unsent, '');
    flushOutlets();
  }

  /** What follows from streams that are over: idleness, the end of a connection that takes no new ones, room for those that wait. */
  #settle(): void {
    if (this.#first === null && this.#isBusy) {
      this.#isBusy = false;
      this.host.h2Idle(this);
    }
    if (this.session.isDrained && this.#first === null) this.#end('upstream_reset', 'drained');
    else if (this.hasRoom) this.host.h2Room(this);
  }

  #leaveHolder(): void {
    this.#isRetired = true;
    const { multiplexed } = this.holder;
    const index = multiplexed.indexOf(this);
    if (index >= 0) multiplexed.splice(index, 1);
  }

  #closed(detail: string): void {
    if (this.#state === CLOSED) return;
    if (this.#state === CONNECTING) this.#end('upstream_connect_failed', detail);
    else if (this.isTls && !this.#hasHeard) this.#end('upstream_refused_svid', detail);
    else this.#end('upstream_reset', detail);
    flushOutlets();
  }

  /** Ends the connection; streams that are open fail, unless the session has told them why already. */
  #end(failure: Failure, detail: string): void {
    if (this.#state === CLOSED) return;
    const wasOpen = this.#state === OPEN;
    this.#state = CLOSED;
    this.#leaveHolder();
    this.host.wheel.remove(this);
    this.host.h2Ended(this);
    // None comes to a connection that is closed.
    for (let upstream = this.#first; upstream !== null; upstream = this.#first) {
      upstream.fail(failure, detail);
      this.left(upstream);
    }
    this.session.close(ERROR_CODE.noError);
    const socket = this.#socket;
    if (socket === null) return;
    // Whoever is not who it should be gets nothing more.
    if (!wasOpen || failure === 'upstream_identity') {
      socket.destroy();
      return;
    }
    if (!this.#isHeld) this.#write();
    socket.setTimeout(LINGER_MS, () => socket.destroy());
    socket.destroySoon();
  }
}

type State = 0 | 1 | 2;
const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 2;

/** How often the waits of open streams are looked at, and how often an idle connection is. */
const TICK_MS = 250;
const IDLE_TICK_MS = 1_000;
/** What our last frames have to leave, milliseconds. */
const LINGER_MS = 2_000;
