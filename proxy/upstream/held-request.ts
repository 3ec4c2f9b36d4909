/**
 * A request that waits for a connection: its head copied, at most one read of its body kept. Once there is a connection everything
 * goes to what carries it there. Only the first requests of a connection come this way.
 */
import { Deadline } from '#base/timer-wheel.ts';
import { Trailers } from '#wire/h1/chunked.ts';
import { RequestHead } from '#wire/h1/head.ts';
import type { Exchange } from '../exchange.ts';
import type { Failure } from '../failure.ts';
import type { Downstream, Upstream } from '../forward/streams.ts';
import { copyHead } from '../http/kept-head.ts';
import { flushOutlets } from '../io/outlet.ts';
import type { CallerPool } from './caller-pool.ts';
import type { Endpoint } from './endpoint.ts';

/** Where requests wait. */
export interface Waiting {
  /** The request was given up. */
  dropped(request: HeldRequest): void;
}

export class HeldRequest extends Deadline implements Upstream {
  readonly endpoint: Endpoint;
  /** What it is when nothing has come for it in time. */
  lateness: Failure = 'upstream_connect_timeout';
  readonly downstream: Downstream;
  readonly pool: CallerPool;
  readonly #waiting: Waiting;
  #carrier: Upstream | null = null;
  #head: RequestHead | null = null;
  #exchange: Exchange | null = null;
  readonly #body: Buffer[] = [];
  #isDone = false;
  #trailers: Trailers | null = null;
  #isOver = false;

  constructor(waiting: Waiting, endpoint: Endpoint, downstream: Downstream, pool: CallerPool) {
    super();
    this.#waiting = waiting;
    this.endpoint = endpoint;
    this.downstream = downstream;
    this.pool = pool;
  }

  get isBlocked(): boolean {
    return this.#carrier === null ? this.#body.length > 0 : this.#carrier.isBlocked;
  }

  get isReused(): boolean {
    return this.#carrier !== null && this.#carrier.isReused;
  }

  requestHead(head: RequestHead, exchange: Exchange): void {
    const bytes = Buffer.allocUnsafe(head.end - head.start);
    head.bytes.copy(bytes, 0, head.start, head.end);
    this.#head = new RequestHead();
    copyHead(head, this.#head, bytes);
    this.#exchange = exchange;
  }

  requestBody(bytes: Buffer, start: number, end: number): void {
    if (this.#carrier !== null) this.#carrier.requestBody(bytes, start, end);
    else if (!this.#isOver && end > start) this.#body.push(Buffer.from(bytes.subarray(start, end)));
  }

  requestEnd(trailers: Trailers | null): void {
    if (this.#carrier !== null) return this.#carrier.requestEnd(trailers);
    this.#isDone = true;
    this.#trailers = trailers === null ? null : copyTrailers(trailers);
  }

  abort(): void {
    if (this.#carrier !== null) return this.#carrier.abort();
    if (this.#isOver) return;
    this.#isOver = true;
    this.#waiting.dropped(this);
  }

  resumeResponse(): void {
    this.#carrier?.resumeResponse();
  }

  onDeadline(): void {
    if (this.#carrier !== null || this.#isOver) return;
    this.#waiting.dropped(this);
    this.fail(this.lateness, 'waiting');
    flushOutlets();
  }

  /** Hands over to `carrier`, which has taken the exchange. */
  carryBy(carrier: Upstream): void {
    const head = this.#head;
    const exchange = this.#exchange;
    if (head === null || exchange === null) return;
    this.#carrier = carrier;
    this.#head = null;
    carrier.requestHead(head, exchange);
    const hadBody = this.#body.length > 0;
    for (const run of this.#body) carrier.requestBody(run, 0, run.length);
    this.#body.length = 0;
    if (this.#isDone) carrier.requestEnd(this.#trailers);
    else if (hadBody && !carrier.isBlocked) this.downstream.resumeRequest();
  }

  /** There will be no connection for it. */
  fail(failure: Failure, detail: string): void {
    if (this.#isOver || this.#carrier !== null) return;
    this.#isOver = true;
    this.downstream.exchange.detail = detail;
    this.downstream.upstreamFailed(failure);
  }
}

/** Trailers that outlive the call that brought them. */
export function copyTrailers(trailers: Trailers): Trailers {
  const copy = new Trailers(trailers.end);
  trailers.bytes.copy(copy.bytes, 0, 0, trailers.end);
  copy.end = trailers.end;
  const { fields } = trailers;
  copy.fields.count = fields.count;
  copy.fields.hasUnderscore = fields.hasUnderscore;
  copy.fields.ranges.set(fields.ranges.subarray(0, 4 * fields.count));
  copy.fields.ids.set(fields.ids.subarray(0, fields.count));
  copy.fields.dropped.set(fields.dropped.subarray(0, fields.count));
  return copy;
}
