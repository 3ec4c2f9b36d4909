/**
 * One HTTP/1.1 connection from a caller: reads a request, has it carried (proxy/inbound.ts, proxy/outbound.ts), writes the
 * response, then reads the next; a pipelined request waits until the one before it is answered. Whatever makes the caller's
 * framing doubtful ends the connection. Hot path.
 */
import type { Socket } from 'node:net';
import type { Trailers } from '#wire/h1/chunked.ts';
import { wireFault, type RequestHead, type ResponseHead } from '#wire/h1/head.ts';
import { acceptOf } from '#wire/websocket/handshake.ts';
import { respondedHead } from '../authorizers/changes.ts';
import type { Carry, Caller } from '../carry.ts';
import { FAILURES, type Failure } from '../failure.ts';
import { mayRepeat } from '../forward/repeat.ts';
import type { Upstream } from '../forward/streams.ts';
import { flushOutlets } from '../io/outlet.ts';
import type { Connection } from '../listen/connection.ts';
import type { DownstreamConnection } from '../listen/downstream-connection.ts';
import type { Judge } from '../revoke/judge.ts';
import type { Runtime } from '../runtime.ts';
import type { CallerPool } from '../upstream/caller-pool.ts';
import { CallerSocket, type SocketOwner } from './caller-socket.ts';
import { filterTrailers } from './fields.ts';
import { H1Caller } from './h1-caller.ts';
import { H1RequestReader } from './h1-request-reader.ts';
import { H1ResponseWriter } from './h1-response-writer.ts';
import { BODY, CLOSED, CLOSING, HEAD, TUNNEL, WAITING, type H1State } from './h1-state.ts';
import { H1Tunnel } from './h1-tunnel.ts';
import { headFailure } from './head-failure.ts';
import { writeReply } from './reply.ts';

export class H1Downstream extends H1Caller implements SocketOwner, Caller, DownstreamConnection {
  readonly #socket: CallerSocket;
  readonly #writer: H1ResponseWriter;
  readonly #carry: Carry;
  #state: H1State = HEAD;
  #upstream: Upstream | null = null;
  readonly #reader = new H1RequestReader();
  #isExchangeOpen = false;
  #tunnel: H1Tunnel | null = null;
  #closesAfter = false;
  /** After this the connection is not kept for another request, monotonic milliseconds. */
  readonly #retireAtMs: number;

  constructor(socket: Socket, connection: Connection, pool: CallerPool, runtime: Runtime, carry: Carry, isTls: boolean) {
    super(connection, pool, runtime);
    this.#socket = new CallerSocket(socket, isTls);
    this.#carry = carry;
    this.#writer = new H1ResponseWriter(this.#socket.outlet);
    this.#retireAtMs = runtime.retireAtMs();
    runtime.wheel.arm(this, runtime.timeouts.headMs);
    this.#socket.start(this);
  }

  get isBlocked(): boolean {
    return this.#socket.outlet.isBlocked;
  }
  get isIdle(): boolean {
    return this.#state === HEAD && !this.#isExchangeOpen && this.#reader.isEmpty;
  }

  onBytes(input: Buffer, _end: number): boolean {
    const bytes = this.#reader.joined(input);
    this.#consume(bytes, 0, bytes.length);
    flushOutlets();
    return !this.#socket.isPaused;
  }

  onEnd(): void {
    this.#socket.hasPeerEnded = true;
    this.#peerEnded();
    flushOutlets();
  }

  #peerEnded(): void {
    if (this.#state === HEAD && !this.#isExchangeOpen) this.#endAfterReply();
    else if (this.#state === BODY) this.#breakRequest('bad_body', 'truncated');
    else if (this.#tunnel?.callerEnded() === true) this.#exchangeDone();
    // A request that is complete is still answered: the caller closed its own direction only. But it may be gone altogether.
    else if (this.#state === WAITING || this.#state === TUNNEL) this.runtime.wheel.arm(this, this.runtime.timeouts.bodyIdleMs);
  }

  onDeadline(): void {
    if (this.#state === HEAD) {
      if (this.#reader.isEmpty) this.#endAfterReply();
      else this.#refuse('head_timeout', '');
    } else if (this.#state === BODY) {
      // Reading was stopped because the upstream takes nothing: the silence is not the caller's.
      if (this.#socket.isPaused) this.#breakRequest('upstream_timeout', 'request_body');
      else this.#breakRequest('body_timeout', '');
    } else {
      this.#socket.destroy();
    }
    flushOutlets();
  }

  drain(): void {
    this.#closesAfter = true;
    if (this.isIdle) this.runtime.wheel.arm(this, this.runtime.drainIdleMs);
  }

  destroy(failure: Failure, detail: string): void {
    if (this.#state === CLOSED) return;
    if (this.#isExchangeOpen && this.#state !== TUNNEL) return this.#breakRequest(failure, detail);
    if (this.#isExchangeOpen) {
      this.exchange.failure = failure;
      this.exchange.detail = detail;
    } else this.runtime.report.refusal(this.connection, failure, detail);
    if (this.#state === TUNNEL) this.exchange.openTunnel?.end();
    else this.#socketEnds();
  }

  rejudge(judge: Judge): void {
    const failure = this.#isExchangeOpen ? judge.request(this, this.#reader) : null;
    if (failure === null) return;
    if (this.#state === TUNNEL) this.destroy(failure, this.exchange.detail);
    else this.#breakRequest(failure, this.exchange.detail);
  }

  respondInformational(head: ResponseHead): void {
    if (this.exchange.minor === 1) this.#writer.informational(head);
  }

  carried(upstream: Upstream): void {
    this.#upstream = upstream;
    this.#writer.continueOwed();
  }

  respondHead(said: ResponseHead): void {
    const head = respondedHead(said, this.exchange.responseFields);
    this.#reader.isRepeatable = false;
    if (this.exchange.isTunnelOpen) return this.#openTunnel(head);
    this.exchange.status = head.status;
    // An answer to a request that is still being sent: what remains of it is not read as another.
    const mustRetire = this.runtime.mustRetire(this.requests, this.#retireAtMs);
    if (this.#state !== WAITING || mustRetire || this.#writer.endsByClosing(head, this.exchange.minor)) this.#closesAfter = true;
    this.#writer.head(head, this.exchange.minor, this.#closesAfter);
  }

  respondBody(bytes: Buffer, start: number, end: number): void {
    this.exchange.bytesSent += end - start;
    if (this.#socket.hasPeerEnded) this.runtime.wheel.arm(this, this.runtime.timeouts.bodyIdleMs);
    this.#writer.body(bytes, start, end);
  }

  respondEnd(trailers: Trailers | null): void {
    // One direction of a tunnel may outlive the other for a while.
    if (this.#tunnel !== null && !this.#tunnel.upstreamEnded())
      return this.runtime.wheel.arm(this, this.runtime.timeouts.bodyIdleMs);
    this.#writer.end(trailers);
    this.#upstream = null;
    this.#exchangeDone();
  }

  upstreamFailed(failure: Failure): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    if (this.#writer.isHeadSent) return this.#abandon(failure);
    if (upstream !== null && this.#reader.isRepeatable && mayRepeat(this.exchange, failure, upstream)) {
      this.exchange.retry(this.runtime.snapshot);
      this.#reader.isRepeatable = false;
      this.#reader.again(this.runtime.headLimits);
      return void this.#carryHead(this.#reader.head);
    }
    this.#fail(failure);
  }

  resumeRequest(): void {
    if (!this.#socket.isPaused || this.#state === WAITING || this.#state === CLOSED) return;
    if (this.#state !== TUNNEL) this.runtime.wheel.arm(this, this.runtime.timeouts.bodyIdleMs);
    this.#socket.resume();
  }

  #consume(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#state === HEAD) at = this.#readHead(bytes, at, end);
      else if (this.#state === BODY) at = this.#readBody(bytes, at, end);
      else if (this.#tunnel !== null) return this.#tunnel.read(bytes, at, end);
      else {
        if (this.#state !== WAITING) return;
        // Nothing more is read before this request is answered: what a caller may pipeline is bounded by one read.
        this.#reader.hold(bytes, at, end);
        this.#socket.isPaused = true;
        return;
      }
      if (at < 0) return;
    }
  }

  #readHead(bytes: Buffer, at: number, end: number): number {
    const { head, hasPartOfHead } = this.#reader;
    const next = this.#reader.readHead(bytes, at, end, this.runtime.headLimits);
    if (next === 0) {
      // The deadline runs from a head's first byte.
      if (!hasPartOfHead) this.runtime.wheel.arm(this, this.runtime.timeouts.headMs);
      return -1;
    }
    this.runtime.wheel.disarm(this);
    this.#begin();
    if (next < 0) {
      const fault = wireFault(next);
      this.#refuse(headFailure(fault), fault);
      return -1;
    }
    const { exchange } = this;
    exchange.method = head.method;
    exchange.minor = head.minor;
    if (head.minor === 0) exchange.protocol = 'HTTP/1.0';
    this.#closesAfter = this.#closesAfter || !head.isPersistent;
    if (this.runtime.isDraining) this.#closesAfter = true;
    const hasBody = !this.#reader.body.isDone;
    this.#state = hasBody ? BODY : WAITING;
    const hasMore = next < end;
    if (!this.#carryHead(head)) return this.#afterRefusal(hasMore) ? next : -1;
    if (!hasBody) return next;
    if (head.expectsContinue && !hasMore && head.minor === 1) this.#writer.continue(this.exchange.isPending);
    this.#bodyMoved();
    return next;
  }

  /** A caller that pipelines behind a refused request is not served any further. Returns whether to read on. */
  #afterRefusal(hasMore: boolean): boolean {
    if (hasMore && this.#state === HEAD) this.#endAfterReply();
    return this.#state === HEAD;
  }

  /** Returns whether an upstream took the request. */
  #carryHead(head: RequestHead): boolean {
    const result = this.#carry(this, head);
    if (typeof result === 'string') {
      this.#fail(result);
      return false;
    }
    this.#upstream = result;
    // A tunnel's request ends when the tunnel does.
    if (this.#state === WAITING && this.exchange.tunnel === '') result.requestEnd(null);
    return true;
  }

  #readBody(bytes: Buffer, from: number, end: number): number {
    const { body } = this.#reader;
    let at = from;
    while (at < end) {
      at = body.next(bytes, at, end);
      if (at < 0) {
        this.#breakRequest('bad_body', wireFault(at));
        return -1;
      }
      this.exchange.bytesReceived += body.dataEnd - body.dataStart;
      this.#upstream?.requestBody(bytes, body.dataStart, body.dataEnd);
      if (body.isDone) {
        const { trailers } = body;
        const hasTrailers = trailers !== null && filterTrailers(trailers, this.fieldPolicy) > 0;
        this.runtime.wheel.disarm(this);
        this.#state = WAITING;
        this.#upstream?.requestEnd(hasTrailers ? trailers : null);
        return at;
      }
    }
    this.#bodyMoved();
    return at;
  }

  #bodyMoved(): void {
    this.runtime.wheel.arm(this, this.runtime.timeouts.bodyIdleMs);
    flushOutlets();
    if (this.#upstream !== null && this.#upstream.isBlocked) this.#socket.isPaused = true;
  }

  /** The upstream has switched: what the caller has sent meanwhile, and whatever it sends from now on, is the tunnel's. */
  #openTunnel(head: ResponseHead): void {
    this.#state = TUNNEL;
    this.#closesAfter = true;
    this.exchange.status = 101;
    this.#writer.switch(head, acceptOf(this.exchange.tunnelKey));
    this.runtime.wheel.disarm(this);
    const pending = this.#reader.takePending();
    if (this.#upstream !== null) this.#tunnel = new H1Tunnel(this.#socket, this.exchange, this.#upstream);
    if (pending !== null) this.#consume(pending, 0, pending.length);
    if (this.#socket.hasPeerEnded) this.#peerEnded();
    else this.#readOn();
  }

  #begin(): void {
    this.requests++;
    this.#isExchangeOpen = true;
    this.#writer.begin();
    const { runtime } = this;
    this.exchange.begin(runtime.snapshot, ++runtime.sequence, runtime.clock.nowMs(), runtime.clock.monotonicMs());
  }

  /** Answers with a failure and, where the request's framing allows, goes on to the next request. */
  #fail(failure: Failure): void {
    const { exchange } = this;
    exchange.failure = failure;
    if (FAILURES[failure].http === 0) return this.#abandon(failure);
    if (FAILURES[failure].closes || this.#state === BODY) this.#closesAfter = true;
    exchange.status = exchange.denial?.status ?? FAILURES[failure].http;
    writeReply(this.#socket.outlet, exchange, failure, this.#closesAfter);
    this.#writer.isHeadSent = true;
    this.#exchangeDone();
  }

  /** Breaks the exchange off, and with it the connection: the caller sees that something is missing. */
  #abandon(failure: Failure): void {
    this.exchange.failure = failure;
    this.#finishExchange();
    this.#socketEnds();
  }

  #socketEnds(): void {
    this.onSocketClosed();
    this.#socket.reset();
  }

  /** Refuses a head that is none. */
  #refuse(failure: Failure, detail: string): void {
    if (!this.#isExchangeOpen) this.#begin();
    this.exchange.detail = detail;
    this.#fail(failure);
  }

  /** The request's body broke off or broke the grammar: the upstream must not see a complete request. */
  #breakRequest(failure: Failure, detail: string): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    upstream?.abort();
    this.exchange.detail = detail;
    if (this.#writer.isHeadSent) return this.#abandon(failure);
    this.#fail(failure);
  }

  #exchangeDone(): void {
    // What is left of an unread body can't be told from a next request.
    const mustClose = this.#closesAfter || this.#state === BODY;
    this.#finishExchange();
    if (mustClose) return this.#endAfterReply();
    this.#state = HEAD;
    const pending = this.#reader.takePending();
    if (pending === null) this.runtime.wheel.arm(this, this.runtime.timeouts.idleMs);
    else this.#consume(pending, 0, pending.length);
    // What was sent before the end is served to its last request.
    if (this.#socket.hasPeerEnded) this.#peerEnded();
    else this.#readOn();
  }

  /** Takes up reading again, unless a pipelined request waits already or the upstream takes no more of the body. */
  #readOn(): void {
    if (!this.#socket.isPaused || (this.#state === WAITING && !this.#reader.isEmpty)) return;
    if ((this.#state === BODY || this.#state === TUNNEL) && this.#upstream !== null && this.#upstream.isBlocked) return;
    this.#socket.resume();
  }

  #finishExchange(): void {
    this.#isExchangeOpen = false;
    this.#reader.forgetHead();
    this.runtime.report.exchange(this.exchange);
  }

  /** Sends what is gathered, then our end; reads and drops what still comes for a while, so that the reply is not lost to a reset. */
  #endAfterReply(): void {
    this.#state = CLOSING;
    this.#reader.clear();
    this.#upstream?.abort();
    this.#upstream = null;
    this.#socket.end();
    // A slow reader has as long for what is left of the reply as a slow sender for its body.
    this.runtime.wheel.arm(this, this.runtime.timeouts.bodyIdleMs);
    this.#readOn();
  }

  /** From now on only the caller's end is awaited, and not for long. */
  onSentEnd(): void {
    if (this.#state === CLOSING) this.runtime.wheel.arm(this, LINGER_MS);
  }

  onDrained(): void {
    this.#socket.outlet.isBlocked = false;
    this.#upstream?.resumeResponse();
    flushOutlets();
  }

  onSocketClosed(): void {
    if (this.#state === CLOSED) return;
    this.#state = CLOSED;
    this.runtime.wheel.remove(this);
    const upstream = this.#upstream;
    this.#upstream = null;
    upstream?.abort();
    if (this.#isExchangeOpen) {
      if (this.exchange.openTunnel?.isDone !== true) this.exchange.failure ??= 'downstream_closed';
      this.#finishExchange();
    }
    this.#reader.clear();
    this.runtime.closed(this);
  }
}

/** How long what a caller still sends is read and dropped after our last byte, milliseconds. */
const LINGER_MS = 2_000;
