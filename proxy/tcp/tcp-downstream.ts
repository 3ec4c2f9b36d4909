/**
 * A raw TCP connection from a caller, carried to an upstream connection of its own: decided before anything is dialled, then bytes
 * and ends pass both ways as they come. An end that breaks off breaks the other one off too, so that nobody takes half for whole.
 * Hot path.
 */
import type { Socket } from 'node:net';
import { Deadline } from '#base/timer-wheel.ts';
import type { Failure } from '../failure.ts';
import { shareReads, startReading } from '../io/tap.ts';
import type { Connection } from '../listen/connection.ts';
import type { DownstreamConnection } from '../listen/downstream-connection.ts';
import type { Judge } from '../revoke/judge.ts';
import type { Runtime } from '../runtime.ts';
import type { Opening } from '../upstream/dialer.ts';
import { TcpEnd, type TcpOwner } from './tcp-end.ts';
import { TcpExchange, type CloseReason } from './tcp-exchange.ts';
import type { TcpRoute } from './tcp-route.ts';

export class TcpDownstream extends Deadline implements DownstreamConnection, TcpOwner {
  readonly connection: Connection;
  readonly exchange: TcpExchange;
  readonly requests = 1;
  readonly isIdle = false;
  onClosed: (() => void) | null = null;
  /** Called when the upstream speaks before the caller did; while it is set, the caller's bytes are read by somebody else. */
  onUpstreamSpoke: (() => void) | null = null;
  readonly #runtime: Runtime;
  readonly #route: TcpRoute;
  readonly #caller: TcpEnd;
  #upstream: TcpEnd | null = null;
  #dialling: UpstreamOpening | null = null;
  #tries = 0;
  #isDone = false;
  #firstEnded: CloseReason | null = null;
  /** When bytes last came, in the wheel's coarse time. */
  #movedAtMs: number;
  readonly #retireAtMs: number;

  constructor(socket: Socket, connection: Connection, route: TcpRoute, runtime: Runtime, isTls: boolean) {
    super();
    this.connection = connection;
    this.#runtime = runtime;
    this.#route = route;
    this.exchange = new TcpExchange(
      connection,
      runtime.snapshot,
      ++runtime.sequence,
      runtime.clock.nowMs(),
      runtime.clock.monotonicMs(),
    );
    this.#movedAtMs = runtime.wheel.nowMs;
    this.#retireAtMs = runtime.retireAtMs(runtime.timeouts.tcpAgeMs);
    this.#caller = new TcpEnd(this, socket, isTls, false);
  }

  /** Decides and dials. The caller's bytes are not read before `readCaller`. */
  start(): void {
    const refusal = this.#route.judge(this.exchange);
    if (refusal !== null) this.#end(refusal, '', 'refused');
    else this.#dial('upstream_connect_failed', '');
  }

  /** From here on the caller's bytes are read here. */
  readCaller(): void {
    this.onUpstreamSpoke = null;
    startReading(this.#caller.socket, this.#caller);
    shareReads(this.#caller.socket, this.#caller);
    if (this.#upstream !== null) this.#caller.join(this.#upstream);
  }

  /** Lets go of the caller, who turned out to speak something else; nothing was carried and nothing is told of it. */
  abandon(): void {
    this.#isDone = true;
    this.#runtime.wheel.remove(this);
    this.#dialling?.cancel();
    this.#upstream?.reset();
  }

  /** It can't be told to the ends: it goes on until they finish, or until the drain is over. Where nobody has said a word it ends. */
  drain(): void {
    if (this.onUpstreamSpoke !== null) this.#end('draining', '', 'idle');
  }

  rejudge(judge: Judge): void {
    if (this.#isDone) return;
    const failure = judge.connection(this.exchange);
    if (failure !== null) this.#end(failure, this.exchange.detail, 'ended_by_proxy');
  }

  destroy(failure: Failure, detail: string): void {
    this.#end(failure, detail, 'ended_by_proxy');
  }

  onDeadline(): void {
    const { wheel } = this.#runtime;
    if (this.#upstream === null) {
      this.#dialling?.cancel();
      return this.#dial('upstream_connect_timeout', '');
    }
    if (wheel.nowMs >= this.#retireAtMs) return this.#end('tcp_age', '', 'age');
    if (wheel.nowMs >= this.#idleDueMs()) return this.#end('tcp_idle', '', 'idle');
    this.#armNext();
  }

  moved(): void {
    this.#movedAtMs = this.#runtime.wheel.nowMs;
  }

  ended(end: TcpEnd): void {
    this.#firstEnded ??= end === this.#caller ? 'downstream_closed' : 'upstream_closed';
  }

  closed(end: TcpEnd): void {
    if (this.#isDone) return;
    const isCaller = end === this.#caller;
    // Both directions are complete: the rest is for the other socket to finish.
    if (end.hasEnded && end.isFinished && end.error === '') {
      if (this.#caller.isClosed && this.#upstream?.isClosed === true)
        this.#finish(null, '', this.#firstEnded ?? 'downstream_closed');
      return;
    }
    if (isCaller) this.#end('downstream_closed', end.error.toLowerCase(), 'downstream_reset');
    else this.#end('upstream_reset', end.error.toLowerCase(), 'upstream_reset');
  }

  /** Called by the connection that is being opened: it may be used. */
  opened(opening: UpstreamOpening): void {
    if (this.#isDone || opening !== this.#dialling || opening.end === null) return;
    this.#dialling = null;
    this.#upstream = opening.end;
    this.#armNext();
    if (this.onUpstreamSpoke === null) this.#caller.join(opening.end);
  }

  /** Called by the same: it can't be used. */
  notOpened(opening: UpstreamOpening, failure: Failure, detail: string): void {
    if (this.#isDone || opening !== this.#dialling) return;
    if (failure === 'upstream_connect_failed') this.#dial(failure, detail);
    else this.#end(failure, detail, 'refused');
  }

  /** The upstream has sent something while it was open who would speak first. */
  upstreamSpoke(): void {
    this.onUpstreamSpoke?.();
  }

  /** Tries the next endpoint, and ends with what befell the last one when there is none. */
  #dial(failure: Failure, detail: string): void {
    const opening = new UpstreamOpening(this);
    this.#dialling = opening;
    const dial = this.#route.dial(opening, this.#tries++);
    if (dial === null) {
      this.#dialling = null;
      return this.#end(failure, detail, 'refused');
    }
    this.exchange.upstreamHost = dial.host;
    opening.use(new TcpEnd(opening, dial.socket, dial.isTls, !dial.isTls), dial.isTls);
    this.#runtime.wheel.arm(this, this.#runtime.timeouts.connectMs);
  }

  #armNext(): void {
    const { wheel } = this.#runtime;
    const dueMs = Math.min(this.#idleDueMs(), this.#retireAtMs);
    if (dueMs === Infinity) wheel.disarm(this);
    else wheel.arm(this, dueMs - wheel.nowMs);
  }

  #idleDueMs(): number {
    const { idleMs, tcpIdleMs } = this.#runtime.timeouts;
    const limitMs = tcpIdleMs === 0 ? Infinity : tcpIdleMs;
    // Where nobody has said a word yet it may as well be an HTTP connection that is kept for later.
    return this.#movedAtMs + (this.onUpstreamSpoke === null ? limitMs : Math.min(limitMs, idleMs));
  }

  #end(failure: Failure, detail: string, reason: CloseReason): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#dialling?.cancel();
    const isOrderly = reason === 'idle' || reason === 'age';
    for (const end of [this.#caller, this.#upstream]) {
      if (end === null || end.isClosed) continue;
      if (isOrderly) end.end();
      else if (reason === 'refused') end.socket.destroy();
      else end.reset();
    }
    this.#finish(failure, detail, reason);
  }

  #finish(failure: Failure | null, detail: string, reason: CloseReason): void {
    this.#isDone = true;
    this.#runtime.wheel.remove(this);
    const { exchange } = this;
    exchange.failure = failure;
    exchange.detail = detail;
    exchange.closeReason = reason;
    exchange.bytesReceived = this.#caller.bytes;
    exchange.bytesSent = this.#upstream?.bytes ?? 0;
    this.#runtime.report.tcpEnded(exchange);
    this.#runtime.closed(this);
  }
}

/** An upstream connection from the dial on; one try has one. */
class UpstreamOpening implements Opening, TcpOwner {
  end: TcpEnd | null = null;
  readonly #downstream: TcpDownstream;
  #isTls = false;
  #isOpen = false;

  constructor(downstream: TcpDownstream) {
    this.#downstream = downstream;
  }

  use(end: TcpEnd, isTls: boolean): void {
    this.end = end;
    this.#isTls = isTls;
  }

  cancel(): void {
    this.end?.socket.destroy();
  }

  opened(): void {
    this.#isOpen = true;
    if (this.#isTls && this.end !== null) shareReads(this.end.socket, this);
    this.#downstream.opened(this);
  }

  refused(failure: Failure, detail: string): void {
    // A bundle no longer vouches for the peer.
    if (this.#isOpen) return this.#downstream.destroy(failure, detail);
    this.cancel();
    this.#downstream.notOpened(this, failure, detail);
  }

  onBytes(bytes: Buffer, end: number): boolean {
    if (this.end === null) return true;
    this.end.onBytes(bytes, end);
    // What was held may have gone on by this.
    this.#downstream.upstreamSpoke();
    return !this.end.isPaused;
  }

  onEnd(): void {
    this.end?.onEnd();
    this.#downstream.upstreamSpoke();
  }

  moved(): void {
    this.#downstream.moved();
  }

  ended(end: TcpEnd): void {
    this.#downstream.ended(end);
  }

  closed(end: TcpEnd): void {
    if (this.#isOpen) this.#downstream.closed(end);
    else this.#downstream.notOpened(this, 'upstream_connect_failed', end.error.toLowerCase());
  }
}
