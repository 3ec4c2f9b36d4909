/**
 * Accepts the connections that come to the local workload. Over mutual TLS a connection exists for the rest of the proxy only once
 * its peer has proved an SVID; everything else is refused here with its reason in the log.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Server as TlsServer, TLSSocket } from 'node:tls';
import type { VerifyCache } from '#certs/verify-cache.ts';
import type { PeerIdentity } from '#certs/verify.ts';
import type { InboundConfig } from '#proto/config/proxy.ts';
import type { Failure } from '../failure.ts';
import { forwardedFields, clientCertElement } from '../http/forwarded-fields.ts';
import type { Carry } from '../carry.ts';
import { H1Downstream } from '../http/h1-downstream.ts';
import { H2Downstream } from '../http/h2-downstream.ts';
import { connectionLogFields } from '../report/access-log.ts';
import type { Runtime } from '../runtime.ts';
import { isHttp2 } from '../tls/alpn.ts';
import { createTlsServer, serverContext } from '../tls/server-context.ts';
import { PendingHandshakes } from '../tls/pending-handshakes.ts';
import { presentedChain, verifyPeer } from '../tls/peer.ts';
import type { UpstreamService } from '../upstream/service.ts';
import type { TrustedForwarders } from '../authn/trusted-forwarders.ts';
import type { Connection } from './connection.ts';
import type { DownstreamConnection } from './downstream-connection.ts';
import { addressText, bind, KEEP_ALIVE, plainAddress, type Listener } from './listener.ts';

export interface InboundListenerOptions {
  readonly config: InboundConfig;
  readonly runtime: Runtime;
  readonly carry: Carry;
  readonly app: UpstreamService;
  readonly cache: VerifyCache;
  readonly trusted: TrustedForwarders;
}

export class InboundListener implements Listener {
  readonly name: string;
  readonly #options: InboundListenerOptions;
  #server: Server | null = null;
  #tls: TlsServer | null = null;
  #open = 0;
  readonly #handshakes: PendingHandshakes;
  /** Connections whose caller is proved, to ask again when a bundle changes. */
  readonly #proved = new Map<DownstreamConnection, TLSSocket>();

  constructor(options: InboundListenerOptions) {
    this.#options = options;
    this.name = `inbound/${addressText(options.config.listen)}`;
    const { wheel, timeouts } = options.runtime;
    this.#handshakes = new PendingHandshakes(wheel, timeouts.handshakeMs, (socket) =>
      this.#refuse(socket, 'handshake_timeout', ''),
    );
  }

  /** Binds. A STRICT listener needs an identity: without one it is not bound, and `rotated` binds it later. */
  async listen(): Promise<void> {
    const { config, runtime } = this.#options;
    if (config.mtls === 'DISABLE') {
      const server = createServer({ allowHalfOpen: true, noDelay: true, ...KEEP_ALIVE }, (socket) =>
        this.#accepted(socket, null),
      );
      this.#server = server;
      await bind(server, config.listen, this.name);
      return;
    }
    const { identity } = runtime.snapshot;
    if (identity === null) return;
    const server = createTlsServer(identity, config.protocol, HANDSHAKE_BACKSTOP * runtime.timeouts.handshakeMs);
    this.#server = server;
    this.#tls = server;
    server.on('connection', (socket) => this.#handshakeBegins(socket));
    server.on('tlsClientError', (error, socket) => this.#handshakeFailed(error, socket));
    server.on('secureConnection', (socket) => this.#secured(socket));
    await bind(server, config.listen, this.name);
  }

  close(): void {
    this.#server?.close();
  }

  /** A new own identity, or new bundles: new handshakes use them, and callers that they no longer vouch for are cut off. */
  async rotated(): Promise<void> {
    const { runtime, cache, config } = this.#options;
    const { identity } = runtime.snapshot;
    if (identity === null || config.mtls === 'DISABLE') return;
    if (this.#tls === null) return this.listen();
    this.#tls.setSecureContext(serverContext(identity));
    const nowMs = runtime.clock.nowMs();
    for (const [downstream, socket] of this.#proved) {
      const verified = cache.verify(presentedChain(socket), identity.bundles, nowMs);
      if (!verified.ok) downstream.destroy('svid_expired', verified.code);
    }
  }

  #handshakeBegins(socket: Socket): void {
    const { limits } = this.#options.runtime;
    if (this.#open >= limits.connections) return this.#refuse(socket, 'connection_limit', 'listener');
    if (this.#handshakes.count >= limits.pendingHandshakes) return this.#refuse(socket, 'connection_limit', 'pending_handshakes');
    this.#handshakes.begin(socket);
  }

  #handshakeFailed(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    // Refused before it began, or given up by its deadline: this is only the echo.
    if (!this.#handshakeOver(socket)) return;
    const failure = handshakeFailure(error);
    this.#refuse(socket, failure, failure === 'tls_handshake' ? (error.code ?? error.message).toLowerCase() : '');
  }

  #secured(socket: TLSSocket): void {
    const { runtime, cache, config } = this.#options;
    this.#handshakeOver(socket);
    const { identity } = runtime.snapshot;
    if (identity === null) return this.#refuse(socket, 'not_ready', '');
    const peer = verifyPeer(socket, identity, cache, runtime.clock.nowMs());
    if (!peer.ok) return this.#refuse(socket, peer.failure, peer.detail);
    if (config.requireAlpn && socket.alpnProtocol === false) return this.#refuse(socket, 'alpn_required', '');
    runtime.report.handshakes++;
    this.#accepted(socket, peer.identity);
  }

  #accepted(socket: Socket, peer: PeerIdentity | null): void {
    const { runtime, carry, config, app } = this.#options;
    const connection = this.#describe(socket, peer);
    if (this.#open >= runtime.limits.connections) return this.#refuse(socket, 'connection_limit', 'listener', connection);
    if (!runtime.admits(connection.callerKey)) return this.#refuse(socket, 'connection_limit', 'identity', connection);
    if (runtime.isDraining) return this.#refuse(socket, 'draining', '', connection);
    this.#open++;
    const pool = app.join(connection.callerKey);
    const isTls = config.mtls !== 'DISABLE';
    const Spoken = this.#speaksHttp2(socket, isTls) ? H2Downstream : H1Downstream;
    const downstream = new Spoken(socket, connection, pool, runtime, carry, isTls);
    downstream.onClosed = () => {
      this.#open--;
      this.#proved.delete(downstream);
      // Nobody else may use what was opened for an anonymous caller.
      app.leave(pool, peer === null);
    };
    // Only a TLS listener has peers with an identity.
    if (peer !== null) this.#proved.set(downstream, socket as TLSSocket);
    runtime.opened(downstream);
  }

  #speaksHttp2(socket: Socket, isTls: boolean): boolean {
    const { protocol } = this.#options.config;
    // A TLS listener's sockets are TLS sockets.
    if (isTls) return isHttp2((socket as TLSSocket).alpnProtocol);
    return protocol === 'http2' || protocol === 'grpc';
  }

  #describe(socket: Socket, peer: PeerIdentity | null): Connection {
    const { config, runtime, trusted } = this.#options;
    const { identity } = runtime.snapshot;
    const id = runtime.nextConnectionId();
    const peerAddress = plainAddress(socket.remoteAddress);
    const localAddress = plainAddress(socket.localAddress);
    const isTls = config.mtls !== 'DISABLE';
    const sni = isTls ? ((socket as TLSSocket).servername ?? null) || null : null; // a TLS listener's sockets are TLS sockets
    const principal = peer?.spiffeId ?? null;
    const own = identity?.svid.spiffeId.uri ?? null;
    const isTrustedForwarder = trusted.includes(principal, peerAddress);
    const element = peer === null ? '' : clientCertElement(own, peer);
    return Object.freeze({
      id,
      listener: this.name,
      direction: 'inbound',
      peerAddress,
      peerPort: socket.remotePort ?? 0,
      localAddress,
      localPort: socket.localPort ?? 0,
      attributes: Object.freeze({
        principal,
        sourceIp: peerAddress,
        remoteIp: peerAddress,
        destinationIp: localAddress,
        destinationPort: config.workloadPort,
        sni,
        tls: isTls,
        protocol: 'http',
      }),
      notAfterMs: peer?.notAfterMs ?? Infinity,
      callerKey: principal ?? `connection/${id}`,
      isTrustedForwarder,
      forwardedFields: isTrustedForwarder ? NO_FIELDS : forwardedFields(peerAddress, element, isTls),
      clientCertElement: element,
      logFields: connectionLogFields({
        peerAddress,
        peerPort: socket.remotePort ?? 0,
        localAddress,
        localPort: socket.localPort ?? 0,
        listener: this.name,
        sni,
        sourcePrincipal: principal,
        destinationPrincipal: own,
        upstreamCluster: `inbound|${config.workloadPort}||`,
      }),
      openedMs: runtime.clock.nowMs(),
    });
  }

  /** Whether the handshake was still under way. */
  #handshakeOver(socket: TLSSocket): boolean {
    // The TLS socket's parent is the one that `connection` announced; Node shows it under this name only.
    const parent = (socket as TLSSocket & { readonly _parent?: Socket })._parent;
    return parent !== undefined && this.#handshakes.over(parent);
  }

  #refuse(socket: Socket, failure: Failure, detail: string, connection?: Connection): void {
    const { report } = this.#options.runtime;
    const refused = connection ?? {
      logFields: connectionLogFields({
        peerAddress: plainAddress(socket.remoteAddress),
        peerPort: socket.remotePort ?? 0,
        localAddress: plainAddress(socket.localAddress),
        localPort: socket.localPort ?? 0,
        listener: this.name,
        sni: null,
        sourcePrincipal: null,
        destinationPrincipal: this.#options.runtime.snapshot.identity?.svid.spiffeId.uri ?? null,
        upstreamCluster: `inbound|${this.#options.config.workloadPort}||`,
      }),
    };
    report.refusal(refused, failure, detail);
    socket.on('error', () => {});
    socket.destroy();
  }
}

function handshakeFailure(error: NodeJS.ErrnoException): Failure {
  switch (error.code) {
    case 'ERR_SSL_HTTP_REQUEST':
    case 'ERR_SSL_HTTPS_PROXY_REQUEST':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
    case 'ERR_SSL_RECORD_LAYER_FAILURE':
      return 'plaintext_on_mtls';
    default:
      return 'tls_handshake';
  }
}

/** Node's own timer, which fires also when it was we who stood still, is only there in case the wheel does not turn. */
const HANDSHAKE_BACKSTOP = 10;
const NO_FIELDS = Buffer.alloc(0);
