/**
 * Gives each accepted connection of a listener to whoever speaks its protocol: at once where the port's declaration or ALPN tells, after
 * a look at the first bytes where they do not. Counts what is open. Hot path of connections.
 */
import type { Socket } from 'node:net';
import type { PortProtocol } from '#proto/config/proxy.ts';
import type { Carry } from '../carry.ts';
import { H1Downstream } from '../http/h1-downstream.ts';
import { H2Downstream } from '../http/h2-downstream.ts';
import { readProvisionally, type Reader } from '../io/tap.ts';
import type { Connection } from '../listen/connection.ts';
import type { DownstreamConnection } from '../listen/downstream-connection.ts';
import type { Runtime } from '../runtime.ts';
import { TcpDownstream } from '../tcp/tcp-downstream.ts';
import type { TcpRoute } from '../tcp/tcp-route.ts';
import { isHttp2 } from '../tls/alpn.ts';
import type { UpstreamService } from '../upstream/service.ts';
import { Detection } from './detection.ts';
import { isDetected } from './outcome.ts';

export interface DispatcherOptions {
  readonly protocol: PortProtocol;
  readonly runtime: Runtime;
  readonly carry: Carry;
  readonly service: UpstreamService;
  readonly route: TcpRoute;
  /** Whether a policy in force reads what only requests have; asked when bytes are of no known protocol. */
  readonly readsHttp: () => boolean;
}

/** A connection that may be served. */
export interface Accepted {
  readonly socket: Socket;
  /** Its attributes say `http`; raw TCP gets a copy that says so. */
  readonly connection: Connection;
  readonly isTls: boolean;
  /** What TLS negotiated; false is nothing, null is no TLS. */
  readonly alpn: string | false | null;
  /** Nobody else may use what was opened for it. */
  readonly isAnonymous: boolean;
  /** What was read of it already. */
  readonly first: Buffer | null;
  /** The time to wait for first bytes is over. */
  readonly isSilent: boolean;
}

export class Dispatcher {
  /** Connections that are open. */
  open = 0;
  /** Those over TLS whose caller is proved, to ask again when a bundle changes. */
  readonly proved = new Map<Socket, DownstreamConnection>();
  readonly #options: DispatcherOptions;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  serve(accepted: Accepted): void {
    const { protocol, runtime } = this.#options;
    this.open++;
    switch (protocol) {
      case 'tcp':
        return this.#serveTcp(accepted);
      case 'http1':
        return this.#serveHttp(accepted, false);
      case 'http2':
      case 'grpc':
        return this.#serveHttp(accepted, true);
      default:
        if (isHttp2(accepted.alpn)) this.#serveHttp(accepted, true);
        else if (typeof accepted.alpn === 'string' && accepted.alpn !== 'istio') this.#serveHttp(accepted, false);
        else this.#detect(accepted, isDetected(protocol) ? protocol : 'auto', runtime);
    }
  }

  #serveHttp(accepted: Accepted, isH2: boolean): void {
    const reader = accepted.first === null ? null : readProvisionally(accepted.socket, NO_READER);
    this.#options.runtime.opened(this.#http(accepted, isH2));
    if (accepted.first !== null) reader?.onBytes(accepted.first, accepted.first.length);
  }

  #serveTcp(accepted: Accepted): void {
    const reader = accepted.first === null ? null : readProvisionally(accepted.socket, NO_READER);
    const downstream = this.#tcp(accepted);
    this.#options.runtime.opened(downstream);
    downstream.start();
    downstream.readCaller();
    if (accepted.first !== null) reader?.onBytes(accepted.first, accepted.first.length);
  }

  #detect(accepted: Accepted, protocol: 'auto' | 'http', runtime: Runtime): void {
    const { socket, connection, first, isSilent } = accepted;
    const detection = new Detection({
      socket,
      connection,
      protocol,
      runtime,
      readsHttp: this.#options.readsHttp,
      takers: {
        http1: () => this.#http(accepted, false),
        http2: () => this.#http(accepted, true),
        tcp: () => this.#tcp(accepted),
      },
    });
    detection.onClosed = () => this.#closed(accepted);
    this.#remember(accepted, detection);
    runtime.opened(detection);
    detection.begin(first, isSilent);
  }

  #http(accepted: Accepted, isH2: boolean): DownstreamConnection {
    const { runtime, carry, service } = this.#options;
    const { socket, connection, isTls } = accepted;
    const pool = service.join(connection.callerKey);
    const Spoken = isH2 ? H2Downstream : H1Downstream;
    const downstream = new Spoken(socket, connection, pool, runtime, carry, isTls);
    downstream.onClosed = () => {
      service.leave(pool, accepted.isAnonymous);
      this.#closed(accepted);
    };
    this.#remember(accepted, downstream);
    return downstream;
  }

  #tcp(accepted: Accepted): TcpDownstream {
    const { runtime, route } = this.#options;
    const { socket, connection, isTls } = accepted;
    const attributes = Object.freeze({ ...connection.attributes, protocol: 'tcp' as const });
    const downstream = new TcpDownstream(socket, Object.freeze({ ...connection, attributes }), route, runtime, isTls);
    downstream.onClosed = () => this.#closed(accepted);
    this.#remember(accepted, downstream);
    return downstream;
  }

  #remember({ socket, connection, isTls }: Accepted, downstream: DownstreamConnection): void {
    if (isTls && connection.attributes.principal !== null) this.proved.set(socket, downstream);
  }

  #closed({ socket }: Accepted): void {
    this.open--;
    this.proved.delete(socket);
  }
}

/** Stands in for a moment, until the one that is to read is made. */
const NO_READER: Reader = { onBytes: () => true, onEnd: () => {} };
