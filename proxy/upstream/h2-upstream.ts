/**
 * One exchange on a stream of an HTTP/2 connection to an upstream: a request out, its response back, back-pressure both ways through
 * the stream's windows. It never touches the socket. Hot path.
 */
import { performance } from 'node:perf_hooks';
import type { Trailers } from '#wire/h1/chunked.ts';
import type { RequestHead, ResponseHead } from '#wire/h1/head.ts';
import { writeText } from '#wire/h1/serialise.ts';
import { ERROR_CODE } from '#wire/h2/error-codes.ts';
import type { H2Fault } from '#wire/h2/faults.ts';
import type { H2Stream } from '#wire/h2/stream.ts';
import { dropHandshakeFields } from '#wire/websocket/handshake.ts';
import type { Exchange } from '../exchange.ts';
import type { Failure } from '../failure.ts';
import type { Downstream, Upstream } from '../forward/streams.ts';
import { fieldPolicy, filterResponseFields, filterTrailers } from '../http/fields.ts';
import { freeHead, KeptHead } from '../http/kept-head.ts';
import type { H2Connection } from './h2-connection.ts';

export class H2Upstream implements Upstream {
  readonly isReused: boolean;
  /** When the wait that is under way is over, in the wheel's time; Infinity for none. */
  dueMs = Infinity;
  /** Neighbours among the exchanges of the connection. */
  previous: H2Upstream | null = null;
  next: H2Upstream | null = null;
  readonly #connection: H2Connection;
  /** Why no stream could be opened for it, once that is so. */
  unsent: Failure = 'upstream_head_too_large';
  /** When the exchange has to be over, in the wheel's time; Infinity for never. */
  #overMs: number;
  #downstream: Downstream | null;
  #stream: H2Stream<H2Upstream> | null = null;
  #informational = 0;
  #hasHead = false;
  #isRequestDone = false;
  #isPaused = false;
  /** The head of a tunnel's request that waits for the upstream's SETTINGS. */
  #held: RequestHead | null = null;
  /** The upstream has ended its direction of a tunnel. */
  #hasTunnelEnded = false;

  constructor(connection: H2Connection, downstream: Downstream) {
    this.#connection = connection;
    this.#downstream = downstream;
    this.isReused = connection.isReused;
    this.#overMs = connection.host.overMs(downstream.exchange);
    this.dueMs = this.#overMs;
    connection.host.begun(connection.endpoint, downstream.exchange);
  }

  get isBlocked(): boolean {
    return this.#stream !== null && this.#stream.isBlocked;
  }

  requestHead(head: RequestHead, exchange: Exchange): void {
    if (exchange.tunnel !== 'websocket') return this.#send(head, exchange, '');
    this.#due(this.#connection.host.responseMs);
    if (this.#connection.session.hasPeerSettings) return this.#connect(head, exchange);
    // RFC 8441, section 3: nothing of the kind is asked for before the upstream has said that it takes it.
    this.#held = new KeptHead().keep(head);
    this.#connection.awaitSettings(this);
  }

  /** The upstream's SETTINGS have come, which this waited for. */
  settled(): void {
    const held = this.#held;
    this.#held = null;
    if (held === null) return;
    if (this.#downstream !== null) this.#connect(held, this.#downstream.exchange);
    freeHead(held);
  }

  #connect(head: RequestHead, exchange: Exchange): void {
    if (this.#connection.session.peer.connectProtocol) return this.#send(head, exchange, 'websocket');
    this.unsent = 'upstream_no_tunnel';
    this.#connection.failLater(this);
  }

  #send(head: RequestHead, exchange: Exchange, protocol: string): void {
    const { session } = this.#connection;
    const { addedFields } = exchange;
    const { forwardedFields } = exchange.connection;
    const listBytes =
      head.end - head.start + FIELD_OVERHEAD * (head.fields.count + 8) + forwardedFields.length + addedFields.length;
    const stream =
      listBytes > session.peer.maxHeaderListBytes ? null : session.open(this, protocol === '' ? head.method : 'CONNECT');
    this.#stream = stream;
    if (stream === null) return this.#connection.failLater(this);
    stream.protocol = protocol;
    const writer = session.head;
    writer.begin();
    writer.request(head, exchange.rewrittenTarget, this.#connection.scheme, protocol);
    if (protocol !== '') writer.text('sec-websocket-version', '13');
    writer.lines(forwardedFields, 0, forwardedFields.length);
    if (addedFields !== '') {
      const bytes = addedFields.length <= TEXT.length ? TEXT : Buffer.allocUnsafe(addedFields.length);
      writer.lines(bytes, 0, writeText(bytes, 0, addedFields));
    }
    session.sendHead(stream);
    this.#connection.touch();
  }

  requestBody(bytes: Buffer, start: number, end: number): void {
    if (this.#stream === null) return;
    this.#connection.session.sendData(this.#stream, bytes, start, end);
    this.#connection.touch();
  }

  requestEnd(trailers: Trailers | null): void {
    this.#isRequestDone = true;
    const downstream = this.#downstream;
    if (downstream !== null) downstream.exchange.requestedAt = performance.now();
    if (this.#stream === null) return;
    this.#connection.session.sendEnd(this.#stream, trailers);
    if (this.#hasTunnelEnded && downstream !== null) this.#over(downstream);
    // A gRPC call may be silent until its own deadline.
    if (!this.#hasHead && downstream?.exchange.isGrpc !== true) this.#due(this.#connection.host.responseMs);
    this.#connection.touch();
  }

  abort(): void {
    const downstream = this.#downstream;
    this.#downstream = null;
    this.#breakOff();
    if (downstream === null) return;
    this.#connection.left(this);
    this.#connection.host.givenUp(this.#connection.endpoint, downstream.exchange);
  }

  resumeResponse(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.dueMs = this.#overMs;
    const stream = this.#stream;
    if (stream === null) return;
    this.#connection.session.consumed(stream, stream.unconsumed);
    this.#connection.touch();
  }

  informational(head: ResponseHead): void {
    const downstream = this.#downstream;
    if (downstream === null) return;
    if (++this.#informational > this.#connection.host.informationalResponses) {
      this.#breakOff();
      this.fail('upstream_malformed', 'too_many_1xx');
      return;
    }
    if (head.status === 100) return;
    filterResponseFields(head, this.#connection.isTls);
    downstream.respondInformational(head);
  }

  response(head: ResponseHead): void {
    const downstream = this.#downstream;
    if (downstream === null) return;
    this.#hasHead = true;
    if (downstream.exchange.tunnel !== '' && head.status < 300) {
      // A tunnel lives for as long as its ends like, and looks to everybody as if it had been switched to.
      downstream.exchange.isTunnelOpen = true;
      this.#overMs = Infinity;
      head.status = 101;
      dropHandshakeFields(head);
    }
    this.dueMs = this.#overMs;
    downstream.exchange.respondedAt = performance.now();
    filterResponseFields(head, this.#connection.isTls);
    downstream.respondHead(head);
  }

  data(stream: H2Stream<H2Upstream>, bytes: Buffer, start: number, end: number): void {
    const downstream = this.#downstream;
    if (downstream === null) return;
    downstream.respondBody(bytes, start, end);
    if (downstream.isBlocked) {
      this.#isPaused = true;
      // A caller that takes nothing keeps neither stream nor window for ever, but for a tunnel.
      if (!downstream.exchange.isTunnelOpen) this.#due(this.#connection.host.timeouts.bodyIdleMs);
      return;
    }
    this.#connection.session.consumed(stream, end - start);
  }

  end(trailers: Trailers | null): void {
    const downstream = this.#downstream;
    if (downstream === null) return;
    if (downstream.exchange.isTunnelOpen && !this.#isRequestDone) {
      this.#hasTunnelEnded = true;
      downstream.respondEnd(null);
      return;
    }
    this.#over(downstream);
    const hasTrailers = trailers !== null && filterTrailers(trailers, NO_FIELD_POLICY) > 0;
    downstream.respondEnd(hasTrailers ? trailers : null);
  }

  writable(): void {
    this.#downstream?.resumeRequest();
  }

  /** The stream was broken off; `fault` when it was for a fault of the upstream's, else by its own `code`. */
  reset(code: number, fault: H2Fault | null): void {
    this.#stream = null;
    // RFC 9113, section 8.1: having said everything, it wants to hear no more.
    if (this.#hasTunnelEnded && code === ERROR_CODE.noError && fault === null && this.#downstream !== null) {
      this.#isRequestDone = true;
      return this.#over(this.#downstream);
    }
    if (fault !== null) this.fail(faultFailure(fault), fault);
    else if (code === ERROR_CODE.refusedStream) this.fail('upstream_refused', 'refused_stream');
    else if (code === ERROR_CODE.http11Required) {
      this.#connection.endpoint.wantsHttp1(this.#connection.host.wheel.nowMs);
      this.fail('upstream_refused', 'http_1_1_required');
    } else this.fail('upstream_reset', `rst_stream_${code}`);
  }

  /** What was waited for did not come in time. */
  overdue(): void {
    this.#breakOff();
    if (this.#overMs <= this.#connection.host.wheel.nowMs) this.fail('request_timeout', '');
    else if (this.#isPaused) this.fail('downstream_closed', 'response_not_taken');
    else this.fail('upstream_timeout', '');
  }

  /** Tells the caller that nothing more comes; the stream is gone already. */
  fail(failure: Failure, detail: string): void {
    const downstream = this.#downstream;
    this.#downstream = null;
    this.#stream = null;
    if (downstream === null) return;
    this.#connection.left(this);
    this.#connection.host.failed(this.#connection.endpoint, downstream.exchange, failure);
    downstream.exchange.detail = detail;
    downstream.upstreamFailed(failure);
  }

  /** Both directions are complete, or the answer did not wait for the whole request: then the rest of it is not sent. */
  #over(downstream: Downstream): void {
    this.#downstream = null;
    this.dueMs = Infinity;
    if (this.#isRequestDone) this.#stream = null;
    else this.#breakOff();
    this.#connection.left(this);
    this.#connection.host.answered(this.#connection.endpoint, downstream.exchange);
  }

  /** Waits for so long, but never beyond the end of the exchange. */
  #due(delayMs: number): void {
    const dueMs = this.#connection.host.wheel.nowMs + delayMs;
    this.dueMs = dueMs < this.#overMs ? dueMs : this.#overMs;
  }

  #breakOff(): void {
    const stream = this.#stream;
    this.#stream = null;
    if (stream !== null) this.#connection.session.reset(stream, ERROR_CODE.cancel);
  }
}

function faultFailure(fault: H2Fault): Failure {
  switch (fault) {
    case 'ping_timeout':
    case 'settings_timeout':
    case 'stream_stalled':
    case 'stream_idle_timeout':
      return 'upstream_timeout';
    default:
      return 'upstream_malformed';
  }
}

/** What a field adds to the size of a list beside its bytes (RFC 9113, section 6.5.2), less what HTTP/1.1 puts between them. */
const FIELD_OVERHEAD = 28;
const NO_FIELD_POLICY = fieldPolicy('allow', []);
const TEXT = Buffer.allocUnsafeSlow(4096);
