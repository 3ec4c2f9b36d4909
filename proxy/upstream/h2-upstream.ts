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
import type { Exchange } from '../exchange.ts';
import type { Failure } from '../failure.ts';
import type { Downstream, Upstream } from '../forward/streams.ts';
import { fieldPolicy, filterResponseFields, filterTrailers } from '../http/fields.ts';
import type { H2Connection } from './h2-connection.ts';

export class H2Upstream implements Upstream {
  readonly isReused: boolean;
  /** When the wait that is under way is over, in the wheel's time; Infinity for none. */
  dueMs = Infinity;
  readonly #connection: H2Connection;
  /** When the exchange has to be over, in the wheel's time; Infinity for never. */
  readonly #overMs: number;
  #downstream: Downstream | null;
  #stream: H2Stream<H2Upstream> | null = null;
  #informational = 0;
  #hasHead = false;
  #isRequestDone = false;
  #isPaused = false;

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
    const { session } = this.#connection;
    const { addedFields } = exchange;
    const { forwardedFields } = exchange.connection;
    const listBytes =
      head.end - head.start + FIELD_OVERHEAD * (head.fields.count + 8) + forwardedFields.length + addedFields.length;
    const stream = listBytes > session.peer.maxHeaderListBytes ? null : session.open(this, head.method);
    this.#stream = stream;
    if (stream === null) return this.#connection.failLater(this);
    const writer = session.head;
    writer.begin();
    writer.request(head, exchange.rewrittenTarget, this.#connection.scheme, '');
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
    if (!this.#hasHead) this.#due(this.#connection.host.responseMs);
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
      // A caller that takes nothing keeps neither stream nor window for ever.
      this.#due(this.#connection.host.timeouts.bodyIdleMs);
      return;
    }
    this.#connection.session.consumed(stream, end - start);
  }

  end(trailers: Trailers | null): void {
    const downstream = this.#downstream;
    if (downstream === null) return;
    this.#downstream = null;
    this.dueMs = Infinity;
    // An answer that did not wait for the whole request: the rest of it is not sent.
    if (this.#isRequestDone) this.#stream = null;
    else this.#breakOff();
    this.#connection.left(this);
    this.#connection.host.answered(this.#connection.endpoint, downstream.exchange);
    const hasTrailers = trailers !== null && filterTrailers(trailers, NO_FIELD_POLICY) > 0;
    downstream.respondEnd(hasTrailers ? trailers : null);
  }

  writable(): void {
    this.#downstream?.resumeRequest();
  }

  /** The stream was broken off; `fault` when it was for a fault of the upstream's, else by its own `code`. */
  reset(code: number, fault: H2Fault | null): void {
    this.#stream = null;
    if (fault !== null) this.fail(faultFailure(fault), fault);
    else if (code === ERROR_CODE.refusedStream) this.fail('upstream_refused', 'refused_stream');
    else if (code === ERROR_CODE.http11Required) this.fail('upstream_refused', 'http_1_1_required');
    else this.fail('upstream_reset', `rst_stream_${code}`);
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
