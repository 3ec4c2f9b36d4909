/**
 * One HTTP/1.1 connection from a caller: reads a request, has it carried (proxy/inbound.ts, proxy/outbound.ts), writes the
 * response, then reads the next; a pipelined request waits until the one before it is answered. Whatever makes the caller's
 * framing doubtful ends the connection. Hot path.
 */
import type { Socket } from 'node:net';
import type { ClassifiedConnection } from '#authz/engine/engine.ts';
import { Deadline } from '#base/timer-wheel.ts';
import { BodyDecoder } from '#wire/h1/body.ts';
import type { Trailers } from '#wire/h1/chunked.ts';
import { RequestHead, wireFault, type ResponseHead } from '#wire/h1/head.ts';
import { parseRequestHead } from '#wire/h1/request.ts';
import { Exchange } from '../exchange.ts';
import { FAILURES, type Failure } from '../failure.ts';
import type { Downstream, Upstream } from '../forward/streams.ts';
import { flushOutlets, Outlet } from '../io/outlet.ts';
import { resetConnection } from '../io/reset.ts';
import { resumeReading, startReading, type Reader } from '../io/tap.ts';
import type { Connection } from '../listen/connection.ts';
import type { Runtime } from '../runtime.ts';
import { CanonicalTarget } from './canonicalise.ts';
import { fieldPolicy, filterTrailers, type FieldPolicy } from './fields.ts';
import { H1ResponseWriter } from './h1-response-writer.ts';
import { headFailure } from './head-failure.ts';
import { writeReply } from './reply.ts';

/**
 * The way of one request, in phases: judges `head` and hands it to an upstream, or says why not.
 * Returns the upstream that took the request's head, or the failure that ends the exchange.
 */
export type Carry = (downstream: H1Downstream, head: RequestHead) => Upstream | Failure;

export class H1Downstream extends Deadline implements Reader, Downstream {
  readonly exchange: Exchange;
  readonly connection: Connection;
  readonly runtime: Runtime;
  /** The connection as the engine of `exchange.snapshot` knows it; made anew when the engine changes. */
  classified: ClassifiedConnection | null = null;
  /** Where the request in flight goes; keeps the authority of the last one, which is mostly the same. */
  readonly target = new CanonicalTarget();
  /** What the filters need to know of the policy that judged the request in flight. */
  fieldPolicy: FieldPolicy = NO_FIELD_POLICY;
  requests = 0;
  /** Called once when the connection has ended. */
  onClosed: (() => void) | null = null;
  readonly #socket: Socket;
  readonly #outlet: Outlet;
  readonly #writer: H1ResponseWriter;
  readonly #carry: Carry;
  #state: State = HEAD;
  #upstream: Upstream | null = null;
  /** Bytes that are not read yet: part of a head, or a pipelined request. */
  #pending: Buffer | null = null;
  /** Bytes of `#pending` in which no head was found. */
  #searched = 0;
  #isReadingPaused = false;
  readonly #body = new BodyDecoder();
  #isExchangeOpen = false;
  #closesAfter = false;
  #hasPeerEnded = false;
  /** The head as received, while the request may have to be sent again. */
  #retryHead: Buffer | null = null;
  /** After this the connection is not kept for another request, monotonic milliseconds. */
  readonly #retireAtMs: number;

  constructor(socket: Socket, connection: Connection, runtime: Runtime, carry: Carry, isTls: boolean) {
    super();
    this.#socket = socket;
    this.connection = connection;
    this.runtime = runtime;
    this.#carry = carry;
    this.exchange = new Exchange(connection, runtime.snapshot);
    this.#outlet = new Outlet(socket, isTls);
    this.#writer = new H1ResponseWriter(this.#outlet);
    this.#retireAtMs = runtime.retireAtMs();
    runtime.wheel.arm(this, runtime.timeouts.headMs);
    socket.on('error', () => this.#closed());
    socket.on('close', () => this.#closed());
    socket.on('drain', () => this.#drained());
    socket.on('finish', () => this.#sentEnd());
    startReading(socket, this);
  }

  get isBlocked(): boolean {
    return this.#outlet.isBlocked;
  }

  get isIdle(): boolean {
    return this.#state === HEAD && !this.#isExchangeOpen && this.#pending === null;
  }

  onBytes(input: Buffer, _end: number): boolean {
    let bytes = input;
    if (this.#pending !== null) {
      bytes = Buffer.concat([this.#pending, input]);
      this.#pending = null;
    }
    this.#consume(bytes, 0, bytes.length);
    flushOutlets();
    return !this.#isReadingPaused;
  }

  onEnd(): void {
    this.#hasPeerEnded = true;
    if (this.#state === HEAD && !this.#isExchangeOpen) {
      this.#endAfterReply();
    } else if (this.#state === BODY) {
      this.#breakRequest('bad_body', 'truncated');
      flushOutlets();
    }
    // A request that is complete is still answered: the caller closed its own direction only.
  }

  onDeadline(): void {
    if (this.#state === HEAD) {
      if (this.#pending === null) this.#endAfterReply();
      else this.#refuse('head_timeout', '');
    } else if (this.#state === BODY) {
      // Reading was stopped because the upstream takes nothing: the silence is not the caller's.
      if (this.#isReadingPaused) this.#breakRequest('upstream_timeout', 'request_body');
      else this.#breakRequest('body_timeout', '');
    } else {
      this.#socket.destroy();
    }
    flushOutlets();
  }

  /** Lets the exchange in flight finish, then closes; closes at once when there is none. */
  drain(): void {
    this.#closesAfter = true;
    if (this.isIdle) this.#endAfterReply();
  }

  /** Ends the connection now, whatever it carries. */
  destroy(failure: Failure, detail: string): void {
    if (this.#state === CLOSED) return;
    if (this.#isExchangeOpen) {
      this.exchange.failure = failure;
      this.exchange.detail = detail;
    } else {
      this.runtime.report.refusal(this.connection, failure, detail);
    }
    this.#closed();
    this.#socket.destroy();
  }

  respondInformational(head: ResponseHead): void {
    if (this.exchange.minor === 1) this.#writer.informational(head);
  }

  respondHead(head: ResponseHead): void {
    this.#retryHead = null;
    this.exchange.status = head.status;
    // An answer to a request that is still being sent: what remains of it is not read as another.
    if (this.#state !== WAITING || this.#mustRetire() || this.#writer.endsByClosing(head, this.exchange.minor))
      this.#closesAfter = true;
    this.#writer.head(head, this.exchange.minor, this.#closesAfter);
  }

  respondBody(bytes: Buffer, start: number, end: number): void {
    this.exchange.bytesSent += end - start;
    this.#writer.body(bytes, start, end);
  }

  respondEnd(trailers: Trailers | null): void {
    this.#writer.end(trailers);
    this.#upstream = null;
    if (this.#state !== WAITING) this.#closesAfter = true;
    this.#exchangeDone();
  }

  upstreamFailed(failure: Failure): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    if (this.#writer.isHeadSent) {
      this.exchange.failure = failure;
      this.#abandon();
      return;
    }
    if (upstream !== null && this.#mayRetry(failure, upstream)) {
      const head = this.#retryHead;
      this.#retryHead = null;
      if (head !== null) {
        this.exchange.retry(this.runtime.snapshot);
        parseRequestHead(head, 0, head.length, HEAD_RECORD, this.runtime.headLimits);
        this.#carryHead(HEAD_RECORD);
        return;
      }
    }
    this.#fail(failure);
  }

  resumeRequest(): void {
    if (!this.#isReadingPaused || this.#state === WAITING || this.#state === CLOSED) return;
    this.#isReadingPaused = false;
    this.runtime.wheel.arm(this, this.runtime.timeouts.bodyIdleMs);
    resumeReading(this.#socket);
  }

  #consume(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#state === HEAD) {
        at = this.#readHead(bytes, at, end);
        if (at < 0) return;
      } else if (this.#state === BODY) {
        at = this.#readBody(bytes, at, end);
        if (at < 0) return;
      } else if (this.#state === WAITING) {
        this.#pending = at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end);
        this.#searched = 0;
        // Nothing more is read before this request is answered: what a caller may pipeline is bounded by one read.
        this.#isReadingPaused = true;
        return;
      } else {
        return;
      }
    }
  }

  #readHead(bytes: Buffer, at: number, end: number): number {
    const head = HEAD_RECORD;
    // A head that came in part is looked at again only when a line has ended since: many small reads cost no more than one.
    if (this.#searched > 0 && bytes.indexOf(10, at + this.#searched) < 0 && end - at < this.runtime.headLimits.headBytes) {
      this.#keepPartOfHead(bytes, at, end);
      return -1;
    }
    const next = parseRequestHead(bytes, at, end, head, this.runtime.headLimits);
    if (next === 0) {
      if (this.#searched === 0) this.runtime.wheel.arm(this, this.runtime.timeouts.headMs);
      this.#keepPartOfHead(bytes, at, end);
      return -1;
    }
    this.#searched = 0;
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
    this.#closesAfter = this.#closesAfter || !head.isPersistent;
    if (this.runtime.isDraining) this.#closesAfter = true;
    this.#body.begin(head.framing, head.contentLength);
    const hasBody = !this.#body.isDone;
    if (!hasBody) this.#retryHead = bytes.subarray(head.start, next);
    this.#state = hasBody ? BODY : WAITING;
    const hasMore = next < end;
    if (!this.#carryHead(head)) {
      return this.#afterRefusal(hasMore) ? next : -1;
    }
    if (!hasBody) return next;
    if (head.expectsContinue && !hasMore && head.minor === 1) this.#writer.continue();
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
    if (this.#state === WAITING) result.requestEnd(null);
    return true;
  }

  #readBody(bytes: Buffer, from: number, end: number): number {
    const body = this.#body;
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
        this.#requestDone(trailers !== null && filterTrailers(trailers, this.fieldPolicy) > 0 ? trailers : null);
        return at;
      }
    }
    this.#bodyMoved();
    return at;
  }

  #bodyMoved(): void {
    this.runtime.wheel.arm(this, this.runtime.timeouts.bodyIdleMs);
    flushOutlets();
    if (this.#upstream !== null && this.#upstream.isBlocked) this.#isReadingPaused = true;
  }

  #requestDone(trailers: Trailers | null): void {
    this.runtime.wheel.disarm(this);
    this.#state = WAITING;
    this.#upstream?.requestEnd(trailers);
  }

  #begin(): void {
    this.requests++;
    this.#isExchangeOpen = true;
    this.#writer.begin();
    this.#retryHead = null;
    const { runtime } = this;
    this.exchange.begin(runtime.snapshot, ++runtime.sequence, runtime.clock.nowMs(), performance.now());
  }

  /** Answers with a failure and, where the request's framing allows, goes on to the next request. */
  #fail(failure: Failure): void {
    const { exchange } = this;
    exchange.failure = failure;
    const isUnread = this.#state === BODY;
    if (FAILURES[failure].http === 0) {
      this.#abandon();
      return;
    }
    if (FAILURES[failure].closes || isUnread) this.#closesAfter = true;
    exchange.status = FAILURES[failure].http;
    writeReply(this.#outlet, exchange, failure, this.#closesAfter);
    this.#writer.isHeadSent = true;
    this.#exchangeDone();
  }

  /** Breaks the exchange off, and with it the connection: the caller sees that something is missing. */
  #abandon(): void {
    this.#finishExchange();
    this.#closed();
    resetConnection(this.#socket);
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
    if (this.#writer.isHeadSent) {
      this.exchange.failure = failure;
      this.#abandon();
      return;
    }
    this.#fail(failure);
  }

  #exchangeDone(): void {
    const isUnread = this.#state === BODY;
    this.#finishExchange();
    if (this.#closesAfter || isUnread || this.#hasPeerEnded) {
      this.#endAfterReply();
      return;
    }
    this.#state = HEAD;
    const pending = this.#pending;
    if (pending === null) {
      this.runtime.wheel.arm(this, this.runtime.timeouts.idleMs);
      this.#readOn();
      return;
    }
    this.#pending = null;
    this.#consume(pending, 0, pending.length);
    this.#readOn();
  }

  /** Takes up reading again, unless a pipelined request waits already or the upstream takes no more of the body. */
  #readOn(): void {
    if (!this.#isReadingPaused || (this.#state === WAITING && this.#pending !== null)) return;
    if (this.#state === BODY && this.#upstream !== null && this.#upstream.isBlocked) return;
    this.#isReadingPaused = false;
    resumeReading(this.#socket);
  }

  #finishExchange(): void {
    this.#isExchangeOpen = false;
    this.#retryHead = null;
    this.runtime.report.exchange(this.exchange);
  }

  /** Sends what is gathered, then our end; reads and drops what still comes for a while, so that the reply is not lost to a reset. */
  #endAfterReply(): void {
    this.#state = CLOSING;
    this.#pending = null;
    this.#upstream?.abort();
    this.#upstream = null;
    this.#outlet.flush();
    this.#socket.end();
    // A slow reader has as long for what is left of the reply as a slow sender for its body.
    this.runtime.wheel.arm(this, this.runtime.timeouts.bodyIdleMs);
    this.#readOn();
  }

  /** Our last byte is out: from now on only the caller's end is awaited, and not for long. */
  #sentEnd(): void {
    if (this.#state === CLOSING) this.runtime.wheel.arm(this, LINGER_MS);
  }

  #keepPartOfHead(bytes: Buffer, at: number, end: number): void {
    this.#pending = at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end);
    this.#searched = end - at;
  }

  #mayRetry(failure: Failure, upstream: Upstream): boolean {
    return (
      FAILURES[failure].retry === 'if-reused' &&
      upstream.isReused &&
      this.exchange.tries === 0 &&
      this.#retryHead !== null &&
      IDEMPOTENT.has(this.exchange.method)
    );
  }

  #mustRetire(): boolean {
    return (
      this.requests >= this.runtime.limits.requestsPerConnection ||
      this.runtime.wheel.nowMs >= this.#retireAtMs ||
      this.runtime.isDraining
    );
  }

  #drained(): void {
    this.#outlet.isBlocked = false;
    this.#upstream?.resumeResponse();
    flushOutlets();
  }

  #closed(): void {
    if (this.#state === CLOSED) return;
    this.#state = CLOSED;
    this.runtime.wheel.remove(this);
    const upstream = this.#upstream;
    this.#upstream = null;
    upstream?.abort();
    if (this.#isExchangeOpen) {
      this.exchange.failure ??= 'downstream_closed';
      this.#finishExchange();
    }
    this.#pending = null;
    this.runtime.closed(this);
  }
}

type State = 0 | 1 | 2 | 3 | 4;
const HEAD = 0;
const BODY = 1;
/** The request is complete, its response is not. */
const WAITING = 2;
const CLOSING = 3;
const CLOSED = 4;

/** How long what a caller still sends is read and dropped after our last byte, milliseconds. */
const LINGER_MS = 2_000;

/** Heads are parsed, judged and forwarded within one call, so one record serves all connections. */
const HEAD_RECORD = new RequestHead();

const NO_FIELD_POLICY = fieldPolicy('allow', []);

/** RFC 9110, section 9.2.2. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);
