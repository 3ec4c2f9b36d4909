/**
 * One HTTP/1.1 connection to an upstream: carries one exchange after another, never two at once. Whatever the upstream sends
 * outside a response that was asked for ends the connection, so that no response reaches another request. Hot path.
 */
import { performance } from 'node:perf_hooks';
import type { Socket } from 'node:net';
import { Deadline } from '#base/timer-wheel.ts';
import { BodyDecoder } from '#wire/h1/body.ts';
import type { Trailers } from '#wire/h1/chunked.ts';
import { FRAMING, ResponseHead, wireFault, type RequestHead } from '#wire/h1/head.ts';
import { parseResponseHead } from '#wire/h1/response.ts';
import { writeText } from '#wire/h1/serialise.ts';
import type { Exchange } from '../exchange.ts';
import type { Failure } from '../failure.ts';
import type { Downstream, Upstream } from '../forward/streams.ts';
import { fieldPolicy, filterResponseFields, filterTrailers } from '../http/fields.ts';
import { flushOutlets, Outlet, scratch } from '../io/outlet.ts';
import { resumeReading, resumeShared, SHARED_READ_BUFFER, type Reader } from '../io/tap.ts';
import { HTTP1_PROTOCOLS } from '../tls/alpn.ts';
import type { CallerPool } from './caller-pool.ts';
import type { Endpoint } from './endpoint.ts';
import { writeRequestBody, writeRequestEnd } from './h1-request-body.ts';
import { requestHeadRoom, writeRequestHead } from './h1-request-head.ts';
import type { IdleConnection } from './idle-connections.ts';
import type { UpstreamService } from './service.ts';
import { handshakeKey, handshakeLines, switchFault } from './websocket-handshake.ts';

export class H1Upstream extends Deadline implements Reader, Upstream, IdleConnection {
  isReused = false;
  isDead = false;
  /** Generation of the own identity that it was opened with; stale ones are not used again. */
  readonly generation: number;
  readonly endpoint: Endpoint;
  /** Where it waits for its caller's next request. */
  readonly pool: CallerPool;
  idlePrevious: IdleConnection | null = null;
  idleNext: IdleConnection | null = null;
  isListedIdle = false;
  /** When it went idle, in the wheel's coarse time. */
  idleSinceMs = 0;
  readonly #service: UpstreamService;
  readonly #socket: Socket;
  readonly #outlet: Outlet;
  readonly #isTls: boolean;
  #downstream: Downstream | null = null;
  #state: State = CONNECTING;
  #isRequestChunked = false;
  #isRequestDone = false;
  #isPersistent = true;
  /** A byte of the upstream's has come. */
  #hasHeard = false;
  readonly #body = new BodyDecoder();
  #informational = 0;
  /** When the exchange has to be over, in the wheel's time; Infinity for never. */
  #overMs = Infinity;
  #method = '';
  /** Of the WebSocket handshake under way, else ''. */
  #tunnelKey = '';
  #hasTunnelEnded = false;
  /** Bytes of an incomplete head. */
  #stash: Buffer | null = null;
  #isPaused = false;

  /** @param socket  one that is open and whose peer is proved; null opens one */
  constructor(service: UpstreamService, endpoint: Endpoint, pool: CallerPool, socket: Socket | null) {
    super();
    this.#service = service;
    this.endpoint = endpoint;
    this.pool = pool;
    this.generation = endpoint.dialer.generation;
    this.#isTls = endpoint.dialer.isTls;
    this.#socket = socket ?? endpoint.dialer.open(this, HTTP1_PROTOCOLS);
    this.#outlet = new Outlet(this.#socket, this.#isTls);
    if (socket !== null) this.#state = IDLE;
    else if (this.#isTls) this.#outlet.hold();
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#closed(error.code ?? error.message));
    this.#socket.on('close', () => this.#closed(''));
    this.#socket.on('drain', () => this.#drained());
  }

  get isBlocked(): boolean {
    return this.#outlet.isBlocked;
  }

  /** Called by the dialer when requests may be sent: connected and, over TLS, the peer is who it should be. */
  opened(): void {
    if (this.isDead) return;
    this.#outlet.release();
    this.#wait(this.#isRequestDone ? this.#service.responseMs : Infinity);
    if (this.#state === CONNECTING) this.#state = HEAD;
    if (!this.#outlet.isBlocked) this.#downstream?.resumeRequest();
    flushOutlets();
  }

  refused(failure: Failure, detail: string): void {
    this.#fail(failure, detail);
  }

  /** Binds it to an exchange. */
  take(downstream: Downstream): void {
    this.#downstream = downstream;
    this.#tunnelKey = '';
    this.#isRequestDone = false;
    this.#informational = 0;
    this.#overMs = this.#service.overMs(downstream.exchange);
    this.#service.begun(this.endpoint, downstream.exchange);
    this.#wait(this.#state === CONNECTING ? this.#service.connectMs : Infinity);
    if (this.#state !== CONNECTING) this.#state = HEAD;
  }

  requestHead(head: RequestHead, exchange: Exchange): void {
    this.#method = exchange.method;
    this.#isRequestChunked = head.framing === FRAMING.chunked;
    let at = this.#outlet.reserve(requestHeadRoom(head, exchange));
    const bytes = scratch;
    at = writeRequestHead(head, exchange, bytes, at);
    if (exchange.tunnel !== '') {
      this.#tunnelKey = handshakeKey();
      at = writeText(bytes, at, handshakeLines(this.#tunnelKey));
    }
    bytes[at++] = 13;
    bytes[at++] = 10;
    this.#outlet.commit(at);
    // What the caller sends in the tunnel waits for the answer.
    if (exchange.tunnel !== '') this.#requestSent();
  }

  requestBody(bytes: Buffer, start: number, end: number): void {
    writeRequestBody(this.#outlet, this.#isRequestChunked, bytes, start, end);
  }

  requestEnd(trailers: Trailers | null): void {
    if (this.#state === TUNNEL) {
      this.#isRequestDone = true;
      this.#outlet.flush();
      this.#socket.end();
      if (this.#hasTunnelEnded) this.#tunnelDone();
      return;
    }
    writeRequestEnd(this.#outlet, this.#isRequestChunked, trailers);
    this.#requestSent();
  }

  abort(): void {
    const downstream = this.#downstream;
    this.#downstream = null;
    if (downstream !== null) this.#service.givenUp(this.endpoint, downstream.exchange);
    this.#destroy();
  }

  resumeResponse(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#wait(this.#state === HEAD && this.#isRequestDone ? this.#service.responseMs : Infinity);
    if (this.#isTls) resumeReading(this.#socket);
    else resumeShared(this.#socket);
  }

  onBytes(input: Buffer, inputEnd: number): boolean {
    this.#hasHeard = true;
    let bytes = input;
    let end = inputEnd;
    let at = 0;
    if (this.#stash !== null) {
      bytes = Buffer.concat([this.#stash, end === input.length ? input : input.subarray(0, end)]);
      end = bytes.length;
      this.#stash = null;
    }
    while (at < end) {
      const downstream = this.#downstream;
      if (downstream === null) {
        this.#service.report.unsolicitedResponses++;
        this.#destroy();
        break;
      }
      if (this.#state === HEAD) {
        const next = this.#readHead(downstream, bytes, at, end);
        if (next < 0) break;
        at = next;
      } else if (this.#state === BODY) {
        at = this.#readBody(downstream, bytes, at, end);
        if (at < 0) break;
      } else if (this.#state === TUNNEL) {
        downstream.respondBody(bytes, at, end);
        break;
      } else {
        // Bytes before our request was allowed out: nobody asked for them.
        this.#fail('upstream_malformed', 'early_bytes');
        break;
      }
    }
    flushOutlets();
    if (this.#downstream !== null && this.#downstream.isBlocked) {
      this.#isPaused = true;
      // A caller that takes nothing keeps neither connection for ever; a tunnel lives by the probes of TCP.
      if (this.#state !== TUNNEL) this.#wait(this.#service.timeouts.bodyIdleMs);
      return false;
    }
    return true;
  }

  onEnd(): void {
    const downstream = this.#downstream;
    if (this.#state === BODY && this.#body.isUntilClose && downstream !== null) {
      this.#isPersistent = false;
      this.#responseDone(downstream, null, false);
      flushOutlets();
      return;
    }
    if (this.#state !== TUNNEL || downstream === null) return this.#closed('');
    this.#hasTunnelEnded = true;
    if (this.#isRequestDone) this.#tunnelDone();
    downstream.respondEnd(null);
    flushOutlets();
  }

  onDeadline(): void {
    if (this.#state === IDLE || this.#state === TUNNEL) this.#destroy();
    else if (this.#overMs <= this.#service.wheel.nowMs) this.#fail('request_timeout', '');
    else if (this.#state === CONNECTING) this.#fail('upstream_connect_timeout', '');
    else if (this.#isPaused) this.#fail('downstream_closed', 'response_not_taken');
    else this.#fail('upstream_timeout', '');
  }

  evict(): void {
    this.#destroy();
  }

  #readHead(downstream: Downstream, bytes: Buffer, at: number, end: number): number {
    const head = HEAD_RECORD;
    const next = parseResponseHead(bytes, at, end, head, this.#service.headLimits, this.#method);
    if (next === 0) {
      this.#stash = bytes === SHARED_READ_BUFFER ? Buffer.from(bytes.subarray(at, end)) : bytes.subarray(at, end);
      return -1;
    }
    if (next < 0) {
      this.#fail('upstream_malformed', wireFault(next));
      return -1;
    }
    if (head.status === 101) return this.#switch(downstream, head) ? next : -1;
    if (head.status < 200) {
      if (++this.#informational > this.#service.informationalResponses) {
        this.#fail('upstream_malformed', 'too_many_1xx');
        return -1;
      }
      if (head.status !== 100) {
        filterResponseFields(head, this.#isTls);
        downstream.respondInformational(head);
      }
      return next;
    }
    downstream.exchange.respondedAt = performance.now();
    this.#wait(Infinity);
    this.#isPersistent = head.isPersistent && head.framing !== FRAMING.untilClose;
    if (!filterResponseFields(head, this.#isTls)) {
      this.#fail('upstream_malformed', 'connection_option');
      return -1;
    }
    downstream.respondHead(head);
    this.#body.begin(head.framing, head.contentLength);
    this.#state = BODY;
    if (this.#body.isDone) this.#responseDone(downstream, null, next < end);
    return next;
  }

  #requestSent(): void {
    this.#isRequestDone = true;
    const downstream = this.#downstream;
    if (downstream !== null) downstream.exchange.requestedAt = performance.now();
    // A response that began before the request was complete has its head already.
    if (this.#state === HEAD) this.#wait(this.#service.responseMs);
  }

  /** Begins the tunnel when a 101 is the answer to our handshake. */
  #switch(downstream: Downstream, head: ResponseHead): boolean {
    const fault = switchFault(head, this.#tunnelKey);
    if (fault !== null) {
      this.#fail('upstream_malformed', fault);
      return false;
    }
    downstream.exchange.respondedAt = performance.now();
    this.#overMs = Infinity;
    this.#wait(Infinity);
    filterResponseFields(head, this.#isTls);
    this.#state = TUNNEL;
    this.#isRequestDone = false;
    downstream.exchange.isTunnelOpen = true;
    downstream.respondHead(head);
    return true;
  }

  /** Both directions have ended, and the socket closes by itself when the last byte is out. */
  #tunnelDone(): void {
    const downstream = this.#downstream;
    this.#downstream = null;
    if (downstream !== null) this.#service.answered(this.endpoint, downstream.exchange);
    this.#service.wheel.arm(this, this.#service.timeouts.bodyIdleMs);
  }

  #readBody(downstream: Downstream, bytes: Buffer, from: number, end: number): number {
    const body = this.#body;
    let at = from;
    while (at < end) {
      at = body.next(bytes, at, end);
      if (at < 0) {
        this.#fail('upstream_malformed', wireFault(at));
        return -1;
      }
      downstream.respondBody(bytes, body.dataStart, body.dataEnd);
      if (body.isDone) {
        const { trailers } = body;
        const hasTrailers = trailers !== null && filterTrailers(trailers, NO_FIELD_POLICY) > 0;
        this.#responseDone(downstream, hasTrailers ? trailers : null, at < end);
        break;
      }
    }
    return at;
  }

  /** INVARIANT: a connection goes back to the pool only when both messages are complete and nothing came behind the response. */
  #responseDone(downstream: Downstream, trailers: Trailers | null, hasExcess: boolean): void {
    const isReusable = this.#isPersistent && this.#isRequestDone && !hasExcess && !this.isDead;
    this.#downstream = null;
    this.#service.answered(this.endpoint, downstream.exchange);
    if (hasExcess) this.#service.report.unsolicitedResponses++;
    if (isReusable) {
      this.isReused = true;
      this.#state = IDLE;
      this.#service.wheel.arm(this, this.#service.timeouts.upstreamIdleMs);
      this.#service.release(this);
    } else {
      this.#destroy();
    }
    downstream.respondEnd(trailers);
  }

  #drained(): void {
    this.#outlet.isBlocked = false;
    this.#downstream?.resumeRequest();
    flushOutlets();
  }

  #closed(detail: string): void {
    if (this.isDead) return;
    if (this.#state === CONNECTING) this.#fail('upstream_connect_failed', detail);
    else if (this.#isTls && !this.#hasHeard) this.#fail('upstream_refused_svid', detail);
    else this.#fail('upstream_reset', detail);
  }

  #fail(failure: Failure, detail: string): void {
    if (this.isDead) return;
    const downstream = this.#downstream;
    this.#downstream = null;
    this.#destroy();
    if (downstream !== null) {
      this.#service.failed(this.endpoint, downstream.exchange, failure);
      downstream.exchange.detail = detail;
      downstream.upstreamFailed(failure);
      flushOutlets();
    }
  }

  /** Waits for so long, but never beyond the end of the exchange. */
  #wait(delayMs: number): void {
    const { wheel } = this.#service;
    const leftMs = this.#overMs - wheel.nowMs;
    const dueMs = delayMs < leftMs ? delayMs : leftMs;
    if (dueMs === Infinity) wheel.disarm(this);
    else wheel.arm(this, dueMs);
  }

  #destroy(): void {
    if (this.isDead) return;
    // Nothing was sent, or nothing is left unsaid. A reset would wait for a connection that may never come.
    const isQuiet = this.#state === IDLE || this.#state === CONNECTING;
    this.isDead = true;
    this.#state = CLOSED;
    this.#service.wheel.remove(this);
    this.#service.forget(this);
    if (this.#isTls || isQuiet) this.#socket.destroy();
    // A reset, so that half a request never looks like a whole one.
    else this.#socket.resetAndDestroy();
  }
}

type State = 0 | 1 | 2 | 3 | 4 | 5;
const CONNECTING = 0;
const IDLE = 1;
const HEAD = 2;
const BODY = 3;
const CLOSED = 4;
const TUNNEL = 5;

/** Heads are parsed and used within one call. */
const HEAD_RECORD = new ResponseHead();

const NO_FIELD_POLICY = fieldPolicy('allow', []);
