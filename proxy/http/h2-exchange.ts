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
import type { H2Stream } from '#wire/h2/stream.ts';
import { respondedHead } from '../authorizers/changes.ts';
import type { Caller } from '../carry.ts';
import { Exchange } from '../exchange.ts';
import { FAILURES, type Failure } from '../failure.ts';
import { mayRepeat } from '../forward/repeat.ts';
import type { Upstream } from '../forward/streams.ts';
import { flushOutlets } from '../io/outlet.ts';
import type { Connection } from '../listen/connection.ts';
import type { Judge } from '../revoke/judge.ts';
import type { CallerPool } from '../upstream/caller-pool.ts';
import type { CanonicalTarget } from './canonicalise.ts';
import { fieldPolicy, filterTrailers, type FieldPolicy } from './fields.ts';
import { failureTrailers, GrpcCall } from './grpc-call.ts';
import { isTaken, sendReply } from './h2-reply.ts';
import { freeHead, KeptHead } from './kept-head.ts';
import type { StreamOwner } from './stream-owner.ts';

export class H2Exchange extends Deadline implements Caller {
  readonly exchange: Exchange;
  readonly connection: Connection;
  readonly pool: CallerPool;
  readonly target: CanonicalTarget;
  fieldPolicy: FieldPolicy = NO_FIELD_POLICY;
  readonly #owner: StreamOwner;
  readonly #kept = new KeptHead();
  readonly #call = new GrpcCall();
  /** INVARIANT: null from the moment that the exchange is over; whatever an upstream still says then is passed over. */
  #stream: H2Stream<H2Exchange> | null = null;
  #upstream: Upstream | null = null;
  /** The request's head until it is carried. */
  #head: RequestHead | null = null;
  #isRequestDone = false;
  #isResponseDone = false;
  #isHeadSent = false;
  #isRepeatable = false;
  /** The caller waits for a 100 that it gets once its request is allowed. */
  #owesContinue = false;
  /** Bytes of the request that the upstream has not taken yet, so that the caller gets no window for them. */
  #owed = 0;
  /** When the exchange has to be over, and when content of the request has to come, in the wheel's time; 0 for never. */
  #dueOverMs = 0;
  #dueBodyMs = 0;

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
    this.#isResponseDone = false;
    this.#isHeadSent = false;
    this.#isRepeatable = false;
    this.#owed = 0;
    this.#owesContinue = false;
    this.#dueOverMs = 0;
    this.#dueBodyMs = 0;
    exchange.begin(runtime.snapshot, ++runtime.sequence, this.#owner.readMs, this.#owner.readAt);
    exchange.method = head.method;
    exchange.protocol = 'HTTP/2';
    this.#head = this.#kept.keep(head);
  }

  /** Carries the request, unless it was reset before it cost anything. */
  dispatch(): void {
    const head = this.#head;
    if (head === null || this.#stream === null) return;
    this.#head = null;
    this.#isRepeatable = this.#isRequestDone;
    const { protocol } = this.#stream;
    if (protocol !== '') {
      if (protocol !== 'websocket') {
        freeHead(head);
        this.exchange.detail = 'protocol';
        return this.#fail('upgrade_refused');
      }
      this.exchange.tunnel = 'websocket';
      this.#isRepeatable = false;
    }
    this.#carryHead(head);
  }

  onData(bytes: Buffer, start: number, end: number): void {
    if (this.#head !== null) this.dispatch();
    const upstream = this.#upstream;
    const stream = this.#stream;
    if (stream === null) return;
    const { exchange } = this;
    exchange.bytesReceived += end - start;
    if (upstream === null) {
      this.#owner.session.consumed(stream, end - start);
      return;
    }
    // RFC 6455, section 4.1: a client waits for the answer to its handshake; before it the bytes would belong to nobody.
    if (exchange.tunnel !== '' && !exchange.isTunnelOpen) return this.#breakRequest('bad_body', 'early_tunnel_data');
    if (this.#call.isCall) {
      const fault = this.#call.requestBody(exchange, bytes, start, end, this.#owner.runtime.limits.grpcMessageBytes);
      if (fault !== null) return this.#breakRequest(fault, exchange.detail);
    }
    upstream.requestBody(bytes, start, end);
    if (upstream.isBlocked) this.#owed += end - start;
    else this.#owner.session.consumed(stream, end - start);
    if (this.#dueBodyMs !== 0) this.#bodyMoved();
  }

  onEnd(trailers: Trailers | null): void {
    this.#isRequestDone = true;
    if (this.#head !== null) {
      // Without trailers the head alone waits for its turn.
      if (trailers === null) return;
      this.#isRequestDone = false;
      this.dispatch();
      this.#isRequestDone = true;
    }
    const hasTrailers = trailers !== null && filterTrailers(trailers, this.fieldPolicy) > 0;
    if (this.#dueBodyMs !== 0) {
      this.#dueBodyMs = 0;
      this.#arm();
    }
    this.#upstream?.requestEnd(hasTrailers ? trailers : null);
    if (this.#isResponseDone) this.#finish();
  }

  /** The stream is gone. */
  onReset(failure: Failure, detail: string): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    upstream?.abort();
    if (this.exchange.openTunnel?.isDone !== true) {
      this.#note(failure);
      if (detail !== '') this.exchange.detail = detail;
    }
    this.#finish();
  }

  onWritable(): void {
    this.#upstream?.resumeResponse();
  }

  onDeadline(): void {
    const { nowMs } = this.#owner.runtime.wheel;
    if (this.#dueOverMs !== 0 && this.#dueOverMs <= nowMs) this.#breakRequest('request_timeout', '');
    else if (this.#dueBodyMs === 0 || this.#dueBodyMs > nowMs) this.#arm();
    // Window was withheld because the upstream takes nothing: the silence is not the caller's.
    else if (this.#owed > 0) this.#breakRequest('upstream_timeout', 'request_body');
    else this.#breakRequest('body_timeout', '');
    flushOutlets();
  }

  respondInformational(head: ResponseHead): void {
    this.#sendHead(head);
  }

  carried(upstream: Upstream): void {
    this.#upstream = upstream;
    if (this.#owesContinue) this.#continue();
    this.#owesContinue = false;
  }

  respondHead(said: ResponseHead): void {
    const { exchange } = this;
    if (this.#stream === null) return;
    const head = respondedHead(said, exchange.responseFields);
    // Over HTTP/2 nothing is switched: a tunnel is opened by a success (RFC 8441, section 5).
    if (exchange.isTunnelOpen) head.status = 200;
    else if (exchange.tunnel !== '' && head.status < 300) return this.#breakRequest('upstream_malformed', 'tunnel_not_opened');
    if (!isTaken(this.#owner.session, head)) return this.#breakRequest('upstream_malformed', 'head_too_large_for_caller');
    exchange.status = head.status;
    this.#isHeadSent = true;
    this.#isRepeatable = false;
    // From here on both directions may live for as long as they like.
    this.#dueBodyMs = 0;
    if (exchange.isTunnelOpen) this.#dueOverMs = 0;
    if (this.#call.isCall) this.#call.responseHead(exchange, head);
    this.#sendHead(head);
  }

  respondBody(bytes: Buffer, start: number, end: number): void {
    const stream = this.#stream;
    if (stream === null) return;
    const { exchange } = this;
    if (this.#call.isCall) {
      const fault = this.#call.responseBody(exchange, bytes, start, end, this.#owner.runtime.limits.grpcMessageBytes);
      if (fault !== null) return this.#breakRequest(fault, exchange.detail);
    }
    exchange.bytesSent += end - start;
    this.#owner.session.sendData(stream, bytes, start, end);
    this.#owner.wrote();
  }

  respondEnd(trailers: Trailers | null): void {
    const stream = this.#stream;
    if (stream === null) return;
    const isHalfClose = this.exchange.isTunnelOpen && !this.#isRequestDone && this.exchange.failure === null;
    if (this.#call.isCall) this.#call.responseEnd(this.exchange, trailers);
    this.#isResponseDone = true;
    if (!isHalfClose) {
      this.#upstream = null;
      stream.resetsWhenSent = !this.#isRequestDone;
    }
    this.#owner.session.sendEnd(stream, trailers);
    this.#owner.wrote();
    if (!isHalfClose) this.#finish();
  }

  upstreamFailed(failure: Failure): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    if (this.#isRepeatable && upstream !== null && mayRepeat(this.exchange, failure, upstream)) {
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
    if (this.#dueBodyMs !== 0) this.#bodyMoved();
  }

  /** Judges it again by the snapshot in force, and ends it when it may not go on. */
  rejudge(judge: Judge): void {
    const failure = judge.request(this, this.#kept);
    if (failure !== null) this.end(failure, this.exchange.detail);
  }

  /** Ends the exchange by our will, in the words of what it carries. */
  end(failure: Failure, detail: string): void {
    const { openTunnel } = this.exchange;
    if (openTunnel === null || !this.exchange.isTunnelOpen) return this.#breakRequest(failure, detail);
    this.exchange.failure ??= failure;
    this.exchange.detail = detail;
    openTunnel.end();
  }

  #carryHead(head: RequestHead): void {
    const { exchange } = this;
    const { timeouts } = this.#owner.runtime;
    const { expectsContinue } = head;
    const fault = this.#call.begin(head, exchange, timeouts.requestMs);
    if (this.#dueOverMs === 0 && this.#call.timeoutMs > 0) {
      // By the true time: the wheel's is a tick old, and a deadline must not come early.
      this.#dueOverMs = this.#owner.readAt + this.#call.timeoutMs;
      this.#arm();
    }
    // RFC 9110, section 8.6: whoever gets a method with content and no length may wait for it.
    if (this.#isRequestDone && head.framing === FRAMING.none && HAS_CONTENT.has(head.method)) head.framing = FRAMING.length;
    const result = fault ?? this.#owner.carry(this, head);
    freeHead(head);
    if (typeof result === 'string') return this.#fail(result);
    this.#upstream = result;
    if (this.#isRequestDone) {
      result.requestEnd(null);
      return;
    }
    if (expectsContinue && exchange.isPending) this.#owesContinue = true;
    else if (expectsContinue) this.#continue();
    // A stream of messages may be silent for as long as it likes (rules of long-lived things); content that has an end may not.
    if (!this.#call.isCall && exchange.tunnel === '') this.#bodyMoved();
  }

  #bodyMoved(): void {
    const { timeouts, wheel } = this.#owner.runtime;
    this.#dueBodyMs = wheel.nowMs + timeouts.bodyIdleMs;
    this.#arm();
  }

  #arm(): void {
    const { wheel } = this.#owner.runtime;
    let due = this.#dueOverMs;
    if (due === 0 || (this.#dueBodyMs !== 0 && this.#dueBodyMs < due)) due = this.#dueBodyMs;
    if (due === 0) wheel.disarm(this);
    else wheel.arm(this, due - wheel.nowMs);
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

  #note(failure: Failure): void {
    const { exchange } = this;
    // Whoever ended it first knows why.
    exchange.failure ??= failure;
    if (exchange.isGrpc) exchange.grpcStatus = FAILURES[exchange.failure].grpc;
  }

  /** Answers with a failure, or breaks the response off when it has begun. */
  #fail(failure: Failure): void {
    const { exchange } = this;
    const stream = this.#stream;
    if (stream === null) return;
    // What was proved for the whole connection holds no longer.
    if (failure === 'svid_expired' && !this.#owner.isEnding) return this.#owner.destroy(failure, exchange.detail);
    this.#note(failure);
    const { session } = this.#owner;
    stream.resetsWhenSent = !this.#isRequestDone;
    if (FAILURES[failure].http === 0 && !exchange.isGrpc) session.reset(stream, ERROR_CODE.cancel);
    else if (!this.#isHeadSent) sendReply(session, stream, exchange, failure);
    // A call says why in its trailers, unless the caller takes nothing before them.
    else if (exchange.isGrpc && !stream.isBlocked) session.sendEnd(stream, failureTrailers(exchange, failure));
    else session.reset(stream, FAILURES[failure].source === 'upstream' ? ERROR_CODE.internalError : ERROR_CODE.cancel);
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
    if (stream === null) return;
    stream.owner = null;
    this.#stream = null;
    this.#upstream = null;
    const head = this.#head;
    this.#head = null;
    if (head !== null) freeHead(head);
    this.#dueOverMs = 0;
    this.#dueBodyMs = 0;
    const { report, wheel } = this.#owner.runtime;
    wheel.disarm(this);
    report.exchange(this.exchange);
    this.#owner.finished(this);
  }
}

const HAS_CONTENT: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);
/** It was within the limits once. */
const REPEAT_LIMITS = { headBytes: 1_048_576, fields: 512 };
const NO_FIELD_POLICY = fieldPolicy('allow', []);
