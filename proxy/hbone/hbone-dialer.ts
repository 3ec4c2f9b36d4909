/**
 * Opens connections through a peer's HBONE port: each is a CONNECT on an HTTP/2 connection over mutual TLS that all tunnels to that
 * peer share. Who the peer is has been proved before it gets the first CONNECT.
 */
import type { Socket } from 'node:net';
import type { HostPort } from '#proto/config/proxy.ts';
import { DEFAULT_HEAD_LIMITS, RequestHead, type ResponseHead } from '#wire/h1/head.ts';
import { parseRequestHead } from '#wire/h1/request.ts';
import { Exchange } from '../exchange.ts';
import type { Failure } from '../failure.ts';
import type { Downstream, Upstream } from '../forward/streams.ts';
import { flushOutlets } from '../io/outlet.ts';
import { startReading } from '../io/tap.ts';
import type { Connection } from '../listen/connection.ts';
import type { Runtime } from '../runtime.ts';
import type { CallerPool } from '../upstream/caller-pool.ts';
import type { Dialer, Opening } from '../upstream/dialer.ts';
import type { UpstreamService } from '../upstream/service.ts';
import { TunnelSocket, type TunnelStream } from './tunnel-socket.ts';

export class HboneDialer implements Dialer {
  /** What goes over it is encrypted, and is written as a TLS socket is (io/outlet.ts): taken or copied at once. */
  readonly isTls = true;
  readonly #runtime: Runtime;
  readonly #peer: UpstreamService;
  readonly #pool: CallerPool;
  readonly #connection: Connection;
  /** The head of every CONNECT, in the layout of HTTP/1.1. */
  readonly #head: Buffer;

  /**
   * @param peer         the HBONE port, spoken to by HTTP/2 alone
   * @param destination  what the CONNECT names
   */
  constructor(runtime: Runtime, peer: UpstreamService, destination: HostPort) {
    const authority = destination.host.includes(':')
      ? `[${destination.host}]:${destination.port}`
      : `${destination.host}:${destination.port}`;
    this.#runtime = runtime;
    this.#peer = peer;
    this.#pool = peer.join('tunnels');
    this.#connection = ownConnection(authority);
    this.#head = Buffer.from(`CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n\r\n`, 'latin1');
  }

  get generation(): number {
    return this.#peer.endpoints[0]?.dialer.generation ?? 0;
  }

  open(opening: Opening): Socket {
    const tunnel = new OpenedTunnel(opening, new Exchange(this.#connection, this.#runtime.snapshot));
    // Whoever asks gets the socket first, and hears of it afterwards.
    setImmediate(() => {
      this.#connect(tunnel);
      flushOutlets();
    });
    return tunnel.socket;
  }

  #connect(tunnel: OpenedTunnel): void {
    if (tunnel.socket.destroyed) return;
    const { exchange } = tunnel;
    exchange.begin(this.#runtime.snapshot, 0, this.#runtime.clock.nowMs(), this.#runtime.clock.monotonicMs());
    exchange.method = 'CONNECT';
    exchange.protocol = 'HTTP/2';
    exchange.tunnel = 'hbone';
    const upstream = this.#peer.acquire(tunnel, this.#pool);
    if (typeof upstream === 'string') return tunnel.upstreamFailed(upstream);
    tunnel.use(upstream);
    const head = new RequestHead();
    parseRequestHead(this.#head, 0, this.#head.length, head, DEFAULT_HEAD_LIMITS);
    upstream.requestHead(head, exchange);
  }
}

/** A tunnel that we open: to the stream that carries it, the downstream of its exchange; to whoever asked for it, a socket. */
class OpenedTunnel implements Downstream, TunnelStream {
  readonly exchange: Exchange;
  readonly socket: TunnelSocket;
  isBlocked = false;
  readonly #opening: Opening;
  #upstream: Upstream | null = null;
  #isOver = false;

  constructor(opening: Opening, exchange: Exchange) {
    this.#opening = opening;
    this.exchange = exchange;
    this.socket = new TunnelSocket(this, NOWHERE);
  }

  use(upstream: Upstream): void {
    this.#upstream = upstream;
  }

  respondInformational(): void {
    // Nothing of the kind concerns a tunnel.
  }

  respondHead(head: ResponseHead): void {
    if (this.exchange.isTunnelOpen) {
      this.#opening.opened(null);
      startReading(this.socket, this.#opening.reader ?? this.#opening);
      return;
    }
    this.#isOver = true;
    this.#upstream?.abort();
    this.#opening.refused('upstream_tunnel_refused', `status_${head.status}`);
  }

  respondBody(bytes: Buffer, start: number, end: number): void {
    if (!this.socket.feed(bytes.subarray(start, end))) this.isBlocked = true;
  }

  respondEnd(): void {
    this.socket.feedEnd();
  }

  upstreamFailed(failure: Failure): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.exchange.isTunnelOpen) this.socket.broken(new Error(failure));
    else this.#opening.refused(failure, this.exchange.detail);
  }

  resumeRequest(): void {
    this.socket.takesMore();
  }

  send(bytes: Buffer): boolean {
    this.#upstream?.requestBody(bytes, 0, bytes.length);
    return this.#upstream === null || !this.#upstream.isBlocked;
  }

  end(): void {
    this.#upstream?.requestEnd(null);
  }

  reset(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#upstream?.abort();
  }

  resume(): void {
    this.isBlocked = false;
    this.#upstream?.resumeResponse();
  }
}

/** The caller of a CONNECT is this workload; what is inside has a record of its own. */
function ownConnection(authority: string): Connection {
  return Object.freeze({
    id: 0,
    listener: 'hbone',
    direction: 'outbound',
    peerAddress: '',
    peerPort: 0,
    localAddress: '',
    localPort: 0,
    attributes: Object.freeze({
      principal: null,
      sourceIp: '',
      remoteIp: '',
      destinationIp: authority,
      destinationPort: 0,
      sni: null,
      tls: true,
      protocol: 'tcp',
    }),
    notAfterMs: Infinity,
    callerKey: 'tunnels',
    isTrustedForwarder: false,
    forwardedFields: Buffer.alloc(0),
    clientCertElement: '',
    logFields: '',
    openedMs: 0,
  });
}

const NOWHERE = { remoteAddress: '', remotePort: 0, localAddress: '', localPort: 0 };
