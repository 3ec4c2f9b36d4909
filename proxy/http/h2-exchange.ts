/**
 * One stream of a caller that speaks HTTP/2: its request is carried as any other (proxy/inbound.ts, proxy/outbound.ts), its response
 * becomes frames. Each stream is judged by itself, with the snapshot in force when it began. A connection uses its records again.
 * Hot path.
 */
import type { ClassifiedConnection } from '#authz/engine/engine.ts';
import { Deadline } from '#base/timer-wheel.ts';
import type { Trailers } from '#wire/h1/chunked.ts';
import { FRAMING, type RequestHead, type ResponseHead } from '#wire/h1/head.ts';
import { ERROR_CODE } from '#wire/h2/error-codes.ts';
import type { H2Session } from '#wire/h2/session.ts';
import type { H2Stream } from '#wire/h2/stream.ts';
import type { Carry, Caller } from '../carry.ts';
import { Exchange } from '../exchange.ts';
import { FAILURES, type Failure } from '../failure.ts';
import { mayRepeat } from '../forward/repeat.ts';
import type { Upstream } from '../forward/streams.ts';
import type { Connection } from '../listen/connection.ts';
import type { Runtime } from '../runtime.ts';
import type { CallerPool } from '../upstream/caller-pool.ts';
import type { CanonicalTarget } from './canonicalise.ts';
import { fieldPolicy, filterTrailers, type FieldPolicy } from './fields.ts';
import { freeHead, KeptHead } from './kept-head.ts';
import { sendReply } from './h2-reply.ts';

/** The connection of a stream, as the stream sees it. */
export interface StreamOwner {
  readonly session: H2Session<H2Exchange>;
  readonly connection: Connection;
  readonly pool: CallerPool;
  readonly runtime: Runtime;
  readonly carry: Carry;
  readonly target: CanonicalTarget;
  classified: ClassifiedConnection | null;
  /** Something was sent. */
  wrote(): void;
  /** The exchange is over and its record free. */
  finished(exchange: H2Exchange): void;
  /** The whole connection may not go on. */
  destroy(failure: Failure, detail: string): void;
}

export class H2Exchange extends Deadline implements Caller {
  readonly exchange: Exchange;
  readonly connection: Connection;
  readonly pool: CallerPool;
  readonly target: CanonicalTarget;
  fieldPolicy: FieldPolicy = NO_FIELD_POLICY;
  readonly #owner: StreamOwner;
  readonly #kept = new KeptHead();
  #stream: H2Stream<H2Exchange> | null = null;
  #upstream: Upstream | null = null;
  /** The request's head until it is carried. */
  #head: RequestHead | null = null;
  #isRequestDone = false;
  #isHeadSent = false;
  #isRepeatable = false;
  /** Bytes of the request that the upstream has not taken yet, so that the caller gets no window for them. */
  #owed = 0;

  constructor(owner: StreamOwner) {
    super();
    this.#owner = owner;
    this.connection = owner.connection;
    this.pool = owner.pool;
    this.target = owner.target;
    this.exchange = new Exchange(owner.connection, owner.runtime.snapshot);
  }

  get classified(): ClassifiedConnection | null {
    return this.#owner.classified;
  }
  set classified(classified: ClassifiedConnection | null) {
    this.#owner.classified = classified;
  }

  get isBlocked(): boolean {
    return this.#stream !== null && this.#stream.isBlocked;
  }

  /** A stream has opened. Nothing is done for it yet: see `dispatch`. */
  begin(stream: H2Stream<H2Exchange>, head: RequestHead): void {
    const { runtime } = this.#owner;
    const { exchange } = this;
    this.#stream = stream;
    stream.owner = this;
    this.#upstream = null;
    this.#isRequestDone = false;
    this.#isHeadSent = false;
    this.#isRepeatable = false;
    this.#owed = 0;
    exchange.begin(runtime.snapshot, ++runtime.sequence, runtime.clock.nowMs(), runtime.clock.monotonicMs());
    exchange.method = head.method;
    exchange.protocol = 'HTTP/2';
    this.#head = this.#kept.keep(head);
  }

  /** Carries the request, unless it was reset before it cost anything. */
  dispatch(): void {
    const head = this.#head;
    if (head === null) return;
    this.#head = null;
    this.#isRepeatable = this.#isRequestDone;
    this.#carryHead(head);
  }

  onData(bytes: Buffer, start: number, end: number): void {
    if (this.#head !== null) this.dispatch();
    const upstream = this.#upstream;
    const stream = this.#stream;
    if (stream === null) return;
    this.exchange.bytesReceived += end - start;
    if (upstream === null) {
      this.#owner.session.consumed(stream, end - start);
      return;
    }
    upstream.requestBody(bytes, start, end);
    if (upstream.isBlocked) this.#owed += end - start;
    else this.#owner.session.consumed(stream, end - start);
    if (!this.#isHeadSent) this.#owner.runtime.wheel.arm(this, this.#owner.runtime.timeouts.bodyIdleMs);
  }

  onEnd(trailers: Trailers | null): void {
    this.#isRequestDone = true;
    if (this.#head !== null) {
      if (trailers === null) return;
      this.dispatch();
      return;
    }
    this.#owner.runtime.wheel.disarm(this);
    const hasTrailers = trailers !== null && filterTrailers(trailers, this.fieldPolicy) > 0;
    this.#upstream?.requestEnd(hasTrailers ? trailers : null);
  }

  /** The stream is gone. */
  onReset(failure: Failure, detail: string): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    this.#stream = null;
    upstream?.abort();
    this.exchange.failure = failure;
    this.exchange.detail = detail;
    this.#finish();
  }

  onWritable(): void {
    this.#upstream?.resumeResponse();
  }

  onDeadline(): void {
    if (this.#upstream !== null && this.#owed > 0) this.#breakRequest('upstream_timeout', 'request_body');
    else this.#breakRequest('body_timeout', '');
  }

  respondInformational(head: ResponseHead): void {
    this.#sendHead(head);
  }

  respondHead(head: ResponseHead): void {
    this.exchange.status = head.status;
    this.#isHeadSent = true;
    this.#isRepeatable = false;
    this.#sendHead(head);
  }

  respondBody(bytes: Buffer, start: number, end: number): void {
    const stream = this.#stream;
    if (stream === null) return;
    this.exchange.bytesSent += end - start;
    this.#owner.session.sendData(stream, bytes, start, end);
    this.#owner.wrote();
  }

  respondEnd(trailers: Trailers | null): void {
    const stream = this.#stream;
    this.#upstream = null;
    if (stream !== null) {
      if (!stream.isRemoteDone && !this.#isRequestDone) stream.resetsWhenSent = true;
      this.#owner.session.sendEnd(stream, trailers);
      this.#owner.wrote();
    }
    this.#finish();
  }

  upstreamFailed(failure: Failure): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    if (!this.#isHeadSent && this.#isRepeatable && upstream !== null && mayRepeat(this.exchange, failure, upstream)) {
      const head = this.#kept.again(REPEAT_LIMITS);
      this.#isRepeatable = false;
      if (head !== null) {
        this.exchange.retry(this.#owner.runtime.snapshot);
        this.#carryHead(head);
        return;
      }
    }
    this.#fail(failure);
  }

  resumeRequest(): void {
    const owed = this.#owed;
    if (owed === 0 || this.#stream === null) return;
    this.#owed = 0;
    this.#owner.session.consumed(this.#stream, owed);
    this.#owner.wrote();
    if (!this.#isRequestDone) this.#owner.runtime.wheel.arm(this, this.#owner.runtime.timeouts.bodyIdleMs);
  }

  /** Ends the exchange from our side. */
  end(failure: Failure, detail: string): void {
    this.#breakRequest(failure, detail);
  }

  #carryHead(head: RequestHead): void {
    const { expectsContinue } = head;
    // RFC 9110, section 8.6: whoever gets a method with content and no length may wait for it.
    if (this.#isRequestDone && head.framing === FRAMING.none && HAS_CONTENT.has(head.method)) head.framing = FRAMING.length;
    const result = this.#owner.carry(this, head);
    freeHead(head);
    if (typeof result === 'string') return this.#fail(result);
    this.#upstream = result;
    if (this.#isRequestDone) {
      result.requestEnd(null);
      return;
    }
    if (expectsContinue) this.#continue();
    this.#owner.runtime.wheel.arm(this, this.#owner.runtime.timeouts.bodyIdleMs);
  }

  #sendHead(head: ResponseHead): void {
    const stream = this.#stream;
    if (stream === null) return;
    const { session } = this.#owner;
    session.head.begin();
    session.head.response(head);
    session.sendHead(stream);
    this.#owner.wrote();
  }

  #continue(): void {
    const stream = this.#stream;
    if (stream === null) return;
    const { session } = this.#owner;
    session.head.begin();
    session.head.status(100);
    session.sendHead(stream);
    this.#owner.wrote();
  }

  /** Answers with a failure, or breaks the response off when it has begun. */
  #fail(failure: Failure): void {
    const { exchange } = this;
    const stream = this.#stream;
    exchange.failure = failure;
    if (stream === null) return this.#finish();
    if (failure === 'svid_expired') return this.#owner.destroy(failure, exchange.detail);
    if (this.#isHeadSent || FAILURES[failure].http === 0) {
      this.#owner.session.reset(stream, this.#isHeadSent ? ERROR_CODE.internalError : ERROR_CODE.cancel);
    } else {
      if (!this.#isRequestDone) stream.resetsWhenSent = true;
      sendReply(this.#owner.session, stream, exchange, failure);
    }
    this.#owner.wrote();
    this.#finish();
  }

  #breakRequest(failure: Failure, detail: string): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    upstream?.abort();
    this.exchange.detail = detail;
    this.#fail(failure);
  }

  #finish(): void {
    const stream = this.#stream;
    if (stream !== null) stream.owner = null;
    this.#stream = null;
    const head = this.#head;
    this.#head = null;
    if (head !== null) freeHead(head);
    this.#owner.runtime.wheel.disarm(this);
    this.#owner.runtime.report.exchange(this.exchange);
    this.#owner.finished(this);
  }
}

const HAS_CONTENT: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);
/** It was within the limits once. */
const REPEAT_LIMITS = { headBytes: 1_048_576, fields: 512 };
const NO_FIELD_POLICY = fieldPolicy('allow', []);
