/**
 * One HTTP/2 connection from a caller, over mutual TLS or in the clear by prior knowledge: its session (wire/h2) reads and writes
 * frames, each stream is an exchange of its own (h2-exchange.ts), and everything that a turn of the event loop brings for it goes out
 * by one write. A caller that breaks the rules or a limit loses its stream or its connection, with the fault's name in the log.
 * Hot path.
 */
import type { Socket } from 'node:net';
import type { ClassifiedConnection } from '#authz/engine/engine.ts';
import { Deadline } from '#base/timer-wheel.ts';
import type { Trailers } from '#wire/h1/chunked.ts';
import type { RequestHead } from '#wire/h1/head.ts';
import { ERROR_CODE } from '#wire/h2/error-codes.ts';
import type { H2Fault } from '#wire/h2/faults.ts';
import type { ServerEvents } from '#wire/h2/session-events.ts';
import { H2Session } from '#wire/h2/session.ts';
import type { H2Stream } from '#wire/h2/stream.ts';
import type { Carry } from '../carry.ts';
import type { Failure } from '../failure.ts';
import { flushOutlets } from '../io/outlet.ts';
import { startReading } from '../io/tap.ts';
import { writeAtTurnEnd, writeOutput, type TurnWriter } from '../io/turn.ts';
import type { Connection } from '../listen/connection.ts';
import type { DownstreamConnection } from '../listen/downstream-connection.ts';
import type { Judge } from '../revoke/judge.ts';
import type { Runtime } from '../runtime.ts';
import type { CallerPool } from '../upstream/caller-pool.ts';
import { CanonicalTarget } from './canonicalise.ts';
import { H2Exchange } from './h2-exchange.ts';
import { refusalFailure, resetDetail, streamFailure } from './h2-failure.ts';
import type { StreamOwner } from './stream-owner.ts';

export class H2Downstream extends Deadline implements TurnWriter, StreamOwner, ServerEvents<H2Exchange>, DownstreamConnection {
  readonly session: H2Session<H2Exchange>;
  readonly connection: Connection;
  readonly pool: CallerPool;
  readonly runtime: Runtime;
  readonly carry: Carry;
  readonly target = new CanonicalTarget();
  classified: ClassifiedConnection | null = null;
  readMs = 0;
  readAt = 0;
  requests = 0;
  isDirty = false;
  onClosed: (() => void) | null = null;
  readonly #socket: Socket;
  readonly #isTls: boolean;
  #state: State = OPEN;
  #hasPeerEnded = false;
  /** The socket has enough to do. */
  #isHeld = false;
  /** Streams of this very read, which cost nothing until it is over. */
  readonly #fresh: H2Exchange[] = [];
  /** Records for streams to come; bounded by the streams that were open at once. */
  readonly #spare: H2Exchange[] = [];
  /** Why the connection ends while streams are open; each of them is told. */
  #cause: { readonly failure: Failure; readonly detail: string } | null = null;
  readonly #retireAtMs: number;
  /** When something last came, and when the last stream ended, in the wheel's coarse time. */
  #heardAtMs: number;
  #idleSinceMs: number;

  constructor(socket: Socket, connection: Connection, pool: CallerPool, runtime: Runtime, carry: Carry, isTls: boolean) {
    super();
    this.#socket = socket;
    this.connection = connection;
    this.pool = pool;
    this.runtime = runtime;
    this.carry = carry;
    this.#isTls = isTls;
    this.#retireAtMs = runtime.retireAtMs();
    this.#heardAtMs = runtime.wheel.nowMs;
    this.#idleSinceMs = runtime.wheel.nowMs;
    this.session = new H2Session<H2Exchange>({ server: this, client: null }, runtime.limits.http2, runtime.wheel.nowMs);
    runtime.wheel.arm(this, TICK_MS);
    for (const event of ['error', 'close']) socket.on(event, () => this.#closed());
    socket.on('drain', () => this.#drained());
    socket.on('finish', () => this.#sentEnd());
    startReading(socket, { onBytes: (bytes, end) => this.#read(bytes, end), onEnd: () => this.#peerEnded() });
    this.wrote();
  }

  get isIdle(): boolean {
    return this.session.openStreams === 0;
  }

  onRequest(stream: H2Stream<H2Exchange>, head: RequestHead): void {
    this.requests++;
    const exchange = this.#spare.pop() ?? new H2Exchange(this);
    exchange.begin(stream, head);
    this.#fresh.push(exchange);
  }

  onRefused(_streamId: number, fault: H2Fault): void {
    this.runtime.report.http2Fault(fault);
    this.runtime.report.refusal(this.connection, refusalFailure(fault), fault);
  }

  onData(stream: H2Stream<H2Exchange>, bytes: Buffer, start: number, end: number): void {
    if (stream.owner === null) this.session.consumed(stream, end - start);
    else stream.owner.onData(bytes, start, end);
  }

  onEnd(stream: H2Stream<H2Exchange>, trailers: Trailers | null): void {
    stream.owner?.onEnd(trailers);
  }

  onReset(stream: H2Stream<H2Exchange>, code: number, fault: H2Fault | null): void {
    if (fault !== null && this.session.fault !== fault) this.runtime.report.http2Fault(fault);
    const cause = this.#cause;
    if (cause !== null) stream.owner?.onReset(cause.failure, cause.detail);
    else if (fault !== null) stream.owner?.onReset(streamFailure(fault), fault);
    else stream.owner?.onReset('downstream_closed', resetDetail(code));
  }

  onWritable(stream: H2Stream<H2Exchange>): void {
    stream.owner?.onWritable();
  }

  onGoaway(): void {
    // The caller opens no more streams; it also ends the connection.
  }

  wrote(): void {
    writeAtTurnEnd(this);
  }

  finished(exchange: H2Exchange): void {
    this.#idleSinceMs = this.runtime.wheel.nowMs;
    if (this.#spare.length < SPARE_MAX) this.#spare.push(exchange);
  }

  turnEnds(): void {
    if (this.#state === CLOSED) return;
    this.#write();
    if (this.#state === OPEN && (this.session.isDrained || (this.#hasPeerEnded && this.isIdle))) this.#endAfterOutput();
  }

  onDeadline(): void {
    const { wheel, timeouts } = this.runtime;
    // Nobody takes our last bytes, or ends its own direction.
    if (this.#state !== OPEN) return void this.#socket.destroy();
    wheel.arm(this, TICK_MS);
    const { session } = this;
    const nowMs = wheel.nowMs;
    const isQuiet = session.openStreams === 0;
    if (isQuiet) this.#spare.length = 0;
    if (isQuiet ? nowMs - this.#idleSinceMs >= timeouts.idleMs : nowMs - this.#heardAtMs >= timeouts.keepAliveMs) {
      if (isQuiet) session.shutdown();
      else session.ping();
    } else if (this.runtime.mustRetire(this.requests, this.#retireAtMs)) {
      session.shutdown();
    }
    this.#settle(session.tick(nowMs));
    flushOutlets();
  }

  drain(): void {
    this.session.shutdown();
    this.wrote();
  }

  get isEnding(): boolean {
    return this.#cause !== null;
  }

  rejudge(judge: Judge): void {
    for (const stream of this.session.streams) stream.owner?.rejudge(judge);
  }

  destroy(failure: Failure, detail: string): void {
    if (this.#state === CLOSED || this.#cause !== null) return;
    if (this.isIdle) this.runtime.report.refusal(this.connection, failure, detail);
    this.#cause = { failure, detail };
    for (const stream of this.session.streams) stream.owner?.end(failure, detail);
    if (this.#state === OPEN) this.#endAfterOutput();
    this.runtime.wheel.arm(this, LINGER_MS);
  }

  #read(bytes: Buffer, end: number): boolean {
    // What still comes after our end is read and dropped.
    if (this.#state !== OPEN) return true;
    const { clock, wheel } = this.runtime;
    this.#heardAtMs = wheel.nowMs;
    this.readMs = clock.nowMs();
    this.readAt = clock.monotonicMs();
    const fault = this.session.receive(bytes, 0, end);
    if (this.#fresh.length > 0) this.#dispatch();
    flushOutlets();
    this.#settle(fault);
    return true;
  }

  /** The caller sends no more, window updates included: what it asked for completely is still answered as far as that goes. */
  #peerEnded(): void {
    if (this.#state !== OPEN) return;
    this.#hasPeerEnded = true;
    this.session.shutdown();
    for (const stream of this.session.streams) {
      // Half a request, and content for which no window will come any more.
      if (!stream.isRemoteDone) stream.owner?.onReset('bad_body', 'truncated');
      else if (stream.isBlocked) stream.owner?.onReset('downstream_closed', '');
      else continue;
      this.session.reset(stream, ERROR_CODE.cancel);
    }
    if (this.isIdle) this.#endAfterOutput();
    flushOutlets();
  }

  /** INVARIANT: called before the next read of anybody, so that the heads of `#fresh` are bounded by the streams of one session. */
  #dispatch(): void {
    for (let index = 0; index < this.#fresh.length; index++) this.#fresh[index]?.dispatch();
    this.#fresh.length = 0;
    if (this.runtime.mustRetire(this.requests, this.#retireAtMs)) this.session.shutdown();
  }

  #settle(fault: H2Fault | null): void {
    this.wrote();
    if (fault === null || this.#state !== OPEN) return;
    this.runtime.report.http2Fault(fault);
    this.runtime.report.refusal(this.connection, 'http2_fault', fault);
    this.#endAfterOutput();
  }

  #write(): void {
    if (this.#isHeld && !this.session.isDead) return;
    if (writeOutput(this.#socket, this.#isTls, this.session) || this.#isHeld) return;
    this.#isHeld = true;
    this.session.hold();
  }

  #drained(): void {
    this.#isHeld = false;
    if (this.#state === CLOSED) return;
    this.#settle(this.session.release());
    flushOutlets();
  }

  /** Sends what is gathered, then our end; what still comes is read and dropped for a while, so that the last words are not lost. */
  #endAfterOutput(): void {
    this.#state = CLOSING;
    // One that is drained has said so.
    if (!this.session.isDrained) this.session.close(ERROR_CODE.noError);
    this.#write();
    this.#socket.end();
    this.runtime.wheel.arm(this, this.runtime.timeouts.bodyIdleMs);
  }

  #sentEnd(): void {
    if (this.#state === CLOSING) this.runtime.wheel.arm(this, LINGER_MS);
  }

  #closed(): void {
    if (this.#state === CLOSED) return;
    this.#state = CLOSED;
    this.runtime.wheel.remove(this);
    this.session.close(ERROR_CODE.cancel);
    this.#spare.length = 0;
    flushOutlets();
    this.runtime.closed(this);
  }
}

type State = 0 | 1 | 2;
const OPEN = 0;
const CLOSING = 1;
const CLOSED = 2;

/** How often a session is looked at. */
const TICK_MS = 1_000;
/** How long what a caller still sends is read and dropped after our last byte, milliseconds. */
const LINGER_MS = 2_000;
/** Records that a connection keeps between its streams, of about a kilobyte each. */
const SPARE_MAX = 100;
