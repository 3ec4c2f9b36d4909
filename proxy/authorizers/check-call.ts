/**
 * One request of our own to an authorizer, over the connections of its upstream: one that waits for its turn there, is given up at the
 * deadline, and is sent once more when the connection was closed before the authorizer looked at it, since a question changes nothing.
 */
import { performance } from 'node:perf_hooks';
import type { Trailers } from '#wire/h1/chunked.ts';
import type { RequestHead, ResponseHead } from '#wire/h1/head.ts';
import { findGrpcStatus } from '#wire/grpc/status.ts';
import { Exchange } from '../exchange.ts';
import { FAILURES, type Failure } from '../failure.ts';
import type { Downstream, Upstream } from '../forward/streams.ts';
import { flushOutlets } from '../io/outlet.ts';
import type { Connection } from '../listen/connection.ts';
import type { Snapshot } from '../snapshot.ts';
import type { CallerPool } from '../upstream/caller-pool.ts';
import type { UpstreamService } from '../upstream/service.ts';
import type { Asked, FieldPair, NoAnswer } from './authorizer.ts';

/** What came back. */
export interface Reply {
  readonly status: number;
  /** Filtered, names in lower case. */
  readonly fields: readonly FieldPair[];
  readonly body: Buffer;
  /** -1 when none was told. */
  readonly grpcStatus: number;
}

export type CheckOutcome = Reply | { readonly code: NoAnswer; readonly detail: string };

export interface CheckRequest {
  readonly head: RequestHead;
  readonly body: Buffer;
  readonly isGrpc: boolean;
  readonly timeoutMs: number;
  readonly snapshot: Snapshot;
}

export class CheckCall implements Downstream, Asked {
  readonly exchange: Exchange;
  readonly isBlocked = false;
  readonly #service: UpstreamService;
  readonly #pool: CallerPool;
  readonly #request: CheckRequest;
  readonly #done: (outcome: CheckOutcome) => void;
  readonly #timer: NodeJS.Timeout;
  #upstream: Upstream | null = null;
  #isOver = false;
  #sent = 0;
  #status = 0;
  #fields: readonly FieldPair[] = [];
  #grpcStatus = -1;
  readonly #body: Buffer[] = [];
  #bytes = 0;

  /** Asks at once; `done` is called once, and not before this returns. */
  constructor(service: UpstreamService, pool: CallerPool, request: CheckRequest, done: (outcome: CheckOutcome) => void) {
    this.#service = service;
    this.#pool = pool;
    this.#request = request;
    this.#done = done;
    this.exchange = new Exchange(CONNECTION, request.snapshot);
    this.exchange.begin(request.snapshot, 0, Date.now(), performance.now());
    this.exchange.method = request.head.method;
    this.exchange.isGrpc = request.isGrpc;
    // Rare beside the traffic that nobody is asked about, and all of one authorizer have the same length: Node keeps them in one list.
    this.#timer = setTimeout(() => this.#late(), request.timeoutMs);
    this.#send();
  }

  abort(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    const upstream = this.#upstream;
    this.#upstream = null;
    upstream?.abort();
  }

  respondInformational(): void {
    // It says nothing yet.
  }

  respondHead(head: ResponseHead): void {
    this.#status = head.status;
    this.#fields = fieldsOf(head);
    this.#grpcStatus = findGrpcStatus(head.bytes, head.fields);
  }

  respondBody(bytes: Buffer, start: number, end: number): void {
    if (this.#isOver) return;
    this.#bytes += end - start;
    if (this.#bytes > BODY_MAX) {
      this.abort();
      return this.#tell({ code: 'provider_error', detail: 'answer_too_large' });
    }
    this.#body.push(Buffer.from(bytes.subarray(start, end)));
  }

  respondEnd(trailers: Trailers | null): void {
    this.#upstream = null;
    if (trailers !== null) this.#grpcStatus = findGrpcStatus(trailers.bytes, trailers.fields);
    this.#end({ status: this.#status, fields: this.#fields, body: Buffer.concat(this.#body), grpcStatus: this.#grpcStatus });
  }

  upstreamFailed(failure: Failure): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    if (this.#isOver) return;
    if (this.#status === 0 && this.#sent < TRIES && mayAskAgain(failure, upstream)) {
      this.exchange.tries++;
      return this.#send();
    }
    this.#end({ code: codeOf(failure), detail: failure });
  }

  resumeRequest(): void {
    // A question is sent in one go; what does not fit into the socket waits there.
  }

  #send(): void {
    this.#sent++;
    const upstream = this.#service.acquire(this, this.#pool);
    if (typeof upstream === 'string') {
      setImmediate(() => this.#end({ code: codeOf(upstream), detail: upstream }));
      return;
    }
    const { body, head } = this.#request;
    this.#upstream = upstream;
    upstream.requestHead(head, this.exchange);
    if (body.length > 0) upstream.requestBody(body, 0, body.length);
    upstream.requestEnd(null);
  }

  #late(): void {
    if (this.#isOver) return;
    this.abort();
    this.#tell({ code: 'provider_timeout', detail: `${this.#request.timeoutMs}ms` });
    flushOutlets();
  }

  #end(outcome: CheckOutcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#tell(outcome);
    flushOutlets();
  }

  #tell(outcome: CheckOutcome): void {
    this.#done(outcome);
  }
}

function mayAskAgain(failure: Failure, upstream: Upstream | null): boolean {
  return FAILURES[failure].retry === 'always' || (failure === 'upstream_reset' && upstream !== null && upstream.isReused);
}

/** The authorizer could not be reached, has too much to do, did not answer in time, or answered what is no answer. */
function codeOf(failure: Failure): NoAnswer {
  switch (failure) {
    case 'upstream_connect_failed':
    case 'no_healthy_endpoint':
      return 'provider_unavailable';
    case 'circuit_open':
    case 'upstream_overload':
    case 'upstream_refused':
      return 'provider_overloaded';
    case 'upstream_connect_timeout':
    case 'upstream_timeout':
    case 'request_timeout':
      return 'provider_timeout';
    default:
      return 'provider_error';
  }
}

function fieldsOf({ bytes, fields }: ResponseHead): readonly FieldPair[] {
  const { count, dropped, ranges } = fields;
  const found: FieldPair[] = [];
  for (let index = 0; index < count; index++) {
    if (dropped[index] !== 0) continue;
    const [start = 0, end = 0, valueStart = 0, valueEnd = 0] = ranges.subarray(4 * index, 4 * index + 4);
    found.push([bytes.toString('latin1', start, end).toLowerCase(), bytes.toString('latin1', valueStart, valueEnd)]);
  }
  return found;
}

/** Beyond what an authorizer has to say. */
const BODY_MAX = 262_144;
const TRIES = 2;
/**
 * Questions about all callers go over the same connections, the exception to one pool for each caller: the authorizer is believed
 * whatever it says of anybody, streams keep answers apart over HTTP/2, and over HTTP/1.1 a connection with an answer too much is closed.
 */
const CONNECTION: Connection = {
  id: 0,
  listener: 'authorizer',
  direction: 'outbound',
  peerAddress: '',
  peerPort: 0,
  localAddress: '',
  localPort: 0,
  attributes: {
    principal: null,
    sourceIp: '',
    remoteIp: '',
    destinationIp: '',
    destinationPort: 0,
    sni: null,
    tls: false,
    protocol: 'http',
  },
  notAfterMs: Infinity,
  callerKey: 'authorizer',
  isTrustedForwarder: false,
  forwardedFields: Buffer.alloc(0),
  clientCertElement: '',
  logFields: '',
  openedMs: 0,
};
