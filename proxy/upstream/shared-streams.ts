/**
 * The HTTP/2 connections to the endpoints of one upstream that all calls of the local app share: which of them takes a request, when
 * one more is opened, and which requests wait meanwhile. An endpoint that speaks HTTP/1.1 only is found out here, and its requests
 * go over connections of their own caller.
 *
 * Two callers on one connection is the exception of multiplexed connections from one sidecar to one endpoint: what goes over them
 * are its own app's calls alone, and a stream keeps its response apart. Hot path once a connection is open.
 */
import type { Socket } from 'node:net';
import type { Failure } from '../failure.ts';
import type { Downstream, Upstream } from '../forward/streams.ts';
import { isHttp2 } from '../tls/alpn.ts';
import type { CallerPool } from './caller-pool.ts';
import type { Opening } from './dialer.ts';
import type { Endpoint } from './endpoint.ts';
import type { H1Upstream } from './h1-upstream.ts';
import { H2Connection } from './h2-connection.ts';
import { Handshake, type HandshakeOwner } from './handshake.ts';
import { HeldRequest, type Waiting } from './held-request.ts';
import type { UpstreamService } from './service.ts';

export class SharedStreams implements Waiting, HandshakeOwner {
  /** Requests that wait, over all endpoints. */
  waiting = 0;
  readonly #service: UpstreamService;
  readonly #kept: number;

  /** @param kept  connections to each endpoint; more are opened only while those are full */
  constructor(service: UpstreamService, kept: number) {
    this.#service = service;
    this.#kept = kept;
  }

  /** What carries one exchange to `endpoint`, or why nothing does. */
  acquire(endpoint: Endpoint, downstream: Downstream, pool: CallerPool): Upstream | Failure {
    const connection = roomiest(endpoint, this.#kept);
    if (connection !== null) {
      if (endpoint.multiplexed.length + endpoint.handshakes < this.#kept) this.#dial(endpoint);
      return connection.take(downstream);
    }
    if (this.waiting >= this.#service.circuit.pendingRequests) {
      this.#service.overflows.pendingRequests++;
      return 'circuit_open';
    }
    if (mayHelp(endpoint) && !this.#dial(endpoint) && endpoint.multiplexed.length === 0) return 'circuit_open';
    const request = new HeldRequest(this, endpoint, downstream, pool);
    endpoint.waiting.push(request);
    this.waiting++;
    this.#service.begun(endpoint, downstream.exchange);
    this.#arm(request);
    return request;
  }

  /** Hands requests that wait to connections that take more. */
  serve(endpoint: Endpoint): void {
    while (endpoint.waiting.length > 0) {
      const connection = roomiest(endpoint, this.#kept);
      if (connection === null) {
        if (mayHelp(endpoint)) this.#dial(endpoint);
        return;
      }
      const request = this.#next(endpoint);
      if (request !== null) request.carryBy(connection.take(request.downstream));
    }
  }

  dropped(request: HeldRequest): void {
    const { endpoint } = request;
    const index = endpoint.waiting.indexOf(request);
    if (index < 0) return;
    endpoint.waiting.splice(index, 1);
    this.#left(request);
  }

  handshakeDone(handshake: Handshake, socket: Socket, alpn: string | null): Opening | null {
    const { endpoint } = handshake;
    const service = this.#service;
    this.#over(handshake);
    endpoint.protocol = isHttp2(alpn) ? 'http2' : 'http1';
    endpoint.learnedAtMs = service.wheel.nowMs;
    if (endpoint.protocol === 'http1') return this.#fallBack(endpoint, socket);
    const connection = new H2Connection(service, endpoint, endpoint, handshake.generation);
    service.opening(connection);
    endpoint.multiplexed.push(connection);
    connection.attach(socket);
    connection.opened();
    this.serve(endpoint);
    return connection;
  }

  handshakeFailed(handshake: Handshake, failure: Failure, detail: string): void {
    const { endpoint } = handshake;
    this.#over(handshake);
    this.#service.health.failed(endpoint, failure);
    // Those that wait for room on a connection that is open go on waiting.
    if (endpoint.handshakes > 0 || endpoint.multiplexed.length > 0) return;
    // Whoever is tried again may come back to this very endpoint: what waits is taken off first.
    const waiting = endpoint.waiting.splice(0);
    for (const request of waiting) {
      this.#left(request);
      request.fail(failure, detail);
    }
  }

  /** The endpoint speaks HTTP/1.1: one request gets this connection, each of the others one of its own. */
  #fallBack(endpoint: Endpoint, socket: Socket): Opening | null {
    let first: H1Upstream | null = null;
    const waiting = endpoint.waiting.splice(0);
    for (const request of waiting) {
      this.#left(request);
      if (first === null) {
        first = this.#service.adopt(endpoint, request.pool, socket);
        first.take(request.downstream);
        request.carryBy(first);
        continue;
      }
      const carrier = this.#service.connection(endpoint, request.downstream, request.pool);
      if (typeof carrier === 'string') request.fail(carrier, '');
      else request.carryBy(carrier);
    }
    return first;
  }

  /** Opens one more connection; false when there may be no more. */
  #dial(endpoint: Endpoint): boolean {
    if (!this.#service.mayConnect()) return false;
    endpoint.handshakes++;
    const handshake = new Handshake(this, endpoint);
    this.#service.opening(handshake);
    this.#service.wheel.arm(handshake, this.#service.connectMs);
    return true;
  }

  #over(handshake: Handshake): void {
    handshake.endpoint.handshakes--;
    this.#service.wheel.remove(handshake);
    this.#service.closed(handshake);
  }

  /** It waits no longer than for a connection, and not beyond the end of its exchange. */
  #arm(request: HeldRequest): void {
    const { connectMs, wheel } = this.#service;
    const leftMs = this.#service.overMs(request.downstream.exchange) - wheel.nowMs;
    if (leftMs < connectMs) request.lateness = 'request_timeout';
    wheel.arm(request, Math.min(connectMs, leftMs));
  }

  #next(endpoint: Endpoint): HeldRequest | null {
    const request = endpoint.waiting.shift() ?? null;
    if (request !== null) this.#left(request);
    return request;
  }

  #left(request: HeldRequest): void {
    this.waiting--;
    this.#service.wheel.remove(request);
    this.#service.givenUp(request.endpoint, request.downstream.exchange);
  }
}

/** Whether one more connection would take what waits: none is on its way, and those that are there are full of streams. */
function mayHelp({ handshakes, multiplexed }: Endpoint): boolean {
  if (handshakes > 0) return false;
  for (const { session } of multiplexed) if (session.openStreams === 0) return false;
  return true;
}

/**
 * Of the first `kept` connections that take a stream the one with the fewest; of the others the first that does, so that those of a past
 * rush run idle and end. Connections of an identity or bundle of the past are let go.
 */
function roomiest({ dialer, multiplexed }: Endpoint, kept: number): H2Connection | null {
  const { generation } = dialer;
  let found: H2Connection | null = null;
  let index = 0;
  while (index < multiplexed.length) {
    const connection = multiplexed[index];
    if (connection === undefined) break;
    if (connection.generation !== generation) {
      // It takes itself out of the list.
      connection.retire();
      if (multiplexed[index] !== connection) continue;
    }
    index++;
    if (!connection.hasRoom) continue;
    if (index > kept) return found ?? connection;
    if (found === null || connection.session.openStreams < found.session.openStreams) found = connection;
  }
  return found;
}
