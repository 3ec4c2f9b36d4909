/**
 * Accepts the connections that come to the local workload. Over mutual TLS a connection exists for the rest of the proxy only once
 * its peer has proved an SVID; everything else is refused here with its reason in the log. A port that takes more than mutual TLS, or
 * PROXY protocol headers, is looked at before TLS is spoken (`Peek`); a STRICT port is not.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Server as TlsServer, TLSSocket } from 'node:tls';
import type { VerifyCache } from '#certs/verify-cache.ts';
import type { InboundConfig } from '#proto/config/proxy.ts';
import type { ProxyAddress } from '#wire/sniff/proxy-header.ts';
import { AddressRanges } from '../authn/address-ranges.ts';
import type { TrustedForwarders } from '../authn/trusted-forwarders.ts';
import type { Carry } from '../carry.ts';
import { Dispatcher } from '../detect/dispatcher.ts';
import { helloOutcome } from '../detect/outcome.ts';
import { Peek, type Peeked } from '../detect/peek.ts';
import type { Failure } from '../failure.ts';
import type { ProvedConnections } from '../revoke/revoker.ts';
import type { Runtime } from '../runtime.ts';
import { readsHttp } from '../snapshot.ts';
import { inboundRoute } from '../tcp/tcp-route.ts';
import { createTlsServer, handshakeFailure, serverContext } from '../tls/server-context.ts';
import { PendingHandshakes } from '../tls/pending-handshakes.ts';
import { verifyPeer } from '../tls/peer.ts';
import type { UpstreamService } from '../upstream/service.ts';
import type { Connection } from './connection.ts';
import { isAmongLastDescriptors } from './descriptor-limit.ts';
import { describeInbound, describeTunnelled, inboundLogFields, type ConnectionFacts } from './inbound-connection.ts';
import { addressText, bind, KEEP_ALIVE, plainAddress, type Listener } from './listener.ts';

export interface InboundListenerOptions {
  readonly config: InboundConfig;
  readonly runtime: Runtime;
  readonly carry: Carry;
  readonly app: UpstreamService;
  readonly cache: VerifyCache;
  readonly trusted: TrustedForwarders;
}

/** Where the tunnels to a declared port come in. */
export interface TunnelEntry {
  readonly name: string;
  readonly config: InboundConfig;
  /** Serves what is inside of a tunnel as a connection to this port, of the one who opened `outer`. */
  acceptTunnel(socket: Socket, outer: Connection): Failure | null;
}

export class InboundListener implements Listener, TunnelEntry {
  readonly name: string;
  readonly config: InboundConfig;
  readonly trusted: TrustedForwarders;
  readonly #runtime: Runtime;
  readonly #cache: VerifyCache;
  readonly #dispatcher: Dispatcher;
  readonly #balancers: AddressRanges;
  /** Connections of which too little is known yet. */
  readonly #handshakes: PendingHandshakes;
  /** What balancers said of connections that are still on their way through TLS, by raw socket. */
  readonly #proxied = new WeakMap<Socket, ProxyAddress>();
  #server: Server | null = null;
  #tls: TlsServer | null = null;

  constructor({ config, runtime, carry, app, cache, trusted }: InboundListenerOptions) {
    this.name = `inbound/${addressText(config.listen)}`;
    this.config = config;
    this.trusted = trusted;
    this.#runtime = runtime;
    this.#cache = cache;
    this.#balancers = new AddressRanges(config.proxyProtocolFrom);
    this.#dispatcher = new Dispatcher({
      protocol: config.protocol,
      runtime,
      carry,
      service: app,
      route: inboundRoute(config.forwardTo),
      readsHttp: () => readsHttp(runtime.snapshot.policy, config.workloadPort),
    });
    this.#handshakes = new PendingHandshakes(runtime.wheel, runtime.timeouts.handshakeMs, (socket) =>
      this.#refuse(socket, 'handshake_timeout', ''),
    );
  }

  /** Binds. What terminates TLS needs an identity: without one it is not bound, and `rotated` binds it later. */
  async listen(): Promise<void> {
    const { config } = this;
    const { identity } = this.#runtime.snapshot;
    if (config.mtls !== 'DISABLE') {
      if (identity === null) return;
      const tls = createTlsServer(identity, config.protocol, HANDSHAKE_BACKSTOP * this.#runtime.timeouts.handshakeMs);
      this.#tls = tls;
      tls.on('tlsClientError', (error, socket) => this.#handshakeFailed(error, socket));
      tls.on('secureConnection', (socket) => this.#secured(socket));
    }
    const isPeeked = config.mtls === 'PERMISSIVE' || this.#balancers.size > 0;
    if (this.#tls !== null && !isPeeked) {
      this.#server = this.#tls;
      this.#server.on('connection', (socket: Socket) => void this.#mayHandshake(socket));
    } else {
      const accept = isPeeked
        ? (socket: Socket) => this.#peek(socket)
        : (socket: Socket) => this.#acceptPlain(socket, null, false);
      this.#server = createServer({ allowHalfOpen: true, noDelay: true, ...KEEP_ALIVE }, accept);
    }
    await bind(this.#server, config.listen, this.name);
  }

  close(): void {
    this.#server?.close();
  }

  /** Connections whose caller is proved, to ask again when a bundle changes. */
  get proved(): ProvedConnections {
    return this.#dispatcher.proved;
  }

  acceptTunnel(socket: Socket, outer: Connection): Failure | null {
    if (this.#dispatcher.open >= this.#runtime.limits.connections) return 'connection_limit';
    if (!this.#runtime.admits(outer.callerKey)) return 'connection_limit';
    this.#dispatcher.serve({
      socket,
      connection: describeTunnelled(socket, outer, this, this.#runtime),
      isTls: false,
      alpn: null,
      isAnonymous: false,
      first: null,
      isSilent: false,
    });
    return null;
  }

  /** A new own identity, or new bundles: new handshakes use them. */
  async rotated(): Promise<void> {
    const { identity } = this.#runtime.snapshot;
    if (identity === null || this.config.mtls === 'DISABLE') return;
    if (this.#tls === null) return this.listen();
    this.#tls.setSecureContext(serverContext(identity));
  }

  #peek(socket: Socket): void {
    const { listen, mtls } = this.config;
    // A prober that is gone by now, and whether it is a balancer can't be told any more.
    if ('host' in listen && socket.remoteAddress === undefined) return void socket.destroy();
    const isListed = this.#balancers.includes(plainAddress(socket.remoteAddress));
    if (!isListed && mtls === 'DISABLE') return this.#acceptPlain(socket, null, false);
    if (!this.#mayHandshake(socket)) return;
    if (!isListed && mtls === 'STRICT') return this.#handshake(socket, null);
    const { wheel, timeouts } = this.#runtime;
    // It lives as long as the socket tells it something.
    void new Peek(socket, {
      wheel,
      timeoutMs: timeouts.detectMs,
      wantsProxyHeader: isListed,
      wantsHello: mtls === 'PERMISSIVE',
      onFound: (peek, found) => this.#peeked(peek, found),
    });
  }

  #peeked({ socket, proxyHeader }: Peek, found: Peeked): void {
    if (proxyHeader !== null && proxyHeader.source !== null) this.#proxied.set(socket, proxyHeader.source);
    if (found.kind === 'fault') {
      if (!this.#handshakes.over(socket)) return;
      if (found.fault === 'ended') return void socket.destroy();
      const failure = found.fault.startsWith('proxy_') ? 'bad_proxy_header' : 'tls_handshake';
      return this.#refuse(socket, failure, found.fault);
    }
    const { mtls, protocol } = this.config;
    const hello = found.kind === 'tls' ? found.hello : null;
    const outcome = hello === null ? 'terminate' : helloOutcome(hello, protocol);
    if (found.kind === 'tls' && mtls !== 'DISABLE' && outcome === 'terminate') return this.#handshake(socket, found.first);
    this.#handshakes.over(socket);
    if (hello === null) this.#acceptPlain(socket, found.first, found.kind === 'plain' && found.isSilent);
    else if (outcome === 'pass')
      this.#accept(socket, { peer: null, security: 'passthrough', sni: hello.serverName }, found.first, false);
    else if (outcome !== 'terminate') this.#refuse(socket, outcome, '');
  }

  /** Counts one more handshake, if there is room. */
  #mayHandshake(socket: Socket): boolean {
    const { limits } = this.#runtime;
    if (isAmongLastDescriptors(socket)) this.#refuse(socket, 'connection_limit', 'descriptors');
    else if (this.#dispatcher.open >= limits.connections) this.#refuse(socket, 'connection_limit', 'listener');
    else if (this.#handshakes.count >= limits.pendingHandshakes) this.#refuse(socket, 'connection_limit', 'pending_handshakes');
    else {
      this.#handshakes.begin(socket);
      return true;
    }
    return false;
  }

  /** Begins TLS on a connection of which `first` was read. */
  #handshake(socket: Socket, first: Buffer | null): void {
    if (first !== null) socket.unshift(first);
    this.#tls?.emit('connection', socket);
  }

  #handshakeFailed(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    // Refused before it began, or given up by its deadline: this is only the echo.
    if (!this.#handshakeOver(socket)) return;
    const failure = handshakeFailure(error);
    this.#refuse(socket, failure, failure === 'tls_handshake' ? (error.code ?? error.message).toLowerCase() : '');
  }

  #secured(socket: TLSSocket): void {
    const runtime = this.#runtime;
    this.#handshakeOver(socket);
    const { identity } = runtime.snapshot;
    if (identity === null) return this.#refuse(socket, 'not_ready', '');
    const peer = verifyPeer(socket, identity, this.#cache, runtime.clock.nowMs());
    if (!peer.ok) return this.#refuse(socket, peer.failure, peer.detail);
    if (this.config.requireAlpn && socket.alpnProtocol === false) return this.#refuse(socket, 'alpn_required', '');
    runtime.report.handshakes++;
    this.#accept(socket, { peer: peer.identity, security: 'mutual_tls', sni: socket.servername || null }, null, false);
  }

  #acceptPlain(socket: Socket, first: Buffer | null, isSilent: boolean): void {
    if (this.config.mtls === 'DISABLE' && isAmongLastDescriptors(socket))
      return this.#refuse(socket, 'connection_limit', 'descriptors');
    if (this.config.mtls === 'PERMISSIVE') this.#runtime.report.plaintextCallers.add(plainAddress(socket.remoteAddress));
    this.#accept(socket, { peer: null, security: 'none', sni: null }, first, isSilent);
  }

  #accept(socket: Socket, known: Omit<ConnectionFacts, 'proxied'>, first: Buffer | null, isSilent: boolean): void {
    const { limits } = this.#runtime;
    const facts = { ...known, proxied: this.#proxied.get(rawSocket(socket)) ?? null };
    const connection = describeInbound(socket, facts, this, this.#runtime);
    if (this.#dispatcher.open >= limits.connections) return this.#refuse(socket, 'connection_limit', 'listener', connection);
    if (!this.#runtime.admits(connection.callerKey)) return this.#refuse(socket, 'connection_limit', 'identity', connection);
    const isTls = facts.security === 'mutual_tls';
    this.#dispatcher.serve({
      socket,
      connection,
      isTls,
      alpn: isTls ? (socket as TLSSocket).alpnProtocol : null, // mutual TLS is spoken on TLS sockets
      isAnonymous: facts.peer === null,
      first,
      isSilent,
    });
  }

  /** Whether the handshake was still under way. */
  #handshakeOver(socket: TLSSocket): boolean {
    return this.#handshakes.over(rawSocket(socket));
  }

  #refuse(socket: Socket, failure: Failure, detail: string, connection?: { readonly logFields: string }): void {
    const refused = connection ?? {
      logFields: inboundLogFields(
        socket,
        { ...UNKNOWN, proxied: this.#proxied.get(rawSocket(socket)) ?? null },
        this,
        this.#runtime,
      ),
    };
    this.#runtime.report.refusal(refused, failure, detail);
    socket.on('error', () => {});
    socket.destroy();
  }
}

/** The socket that was accepted: below TLS it is the parent, which Node shows under this name only. */
function rawSocket(socket: Socket): Socket {
  return (socket as Socket & { readonly _parent?: Socket | null })._parent ?? socket;
}

/** Node's own timer, which fires also when it was we who stood still, is only there in case the wheel does not turn. */
const HANDSHAKE_BACKSTOP = 10;
const UNKNOWN = { peer: null, security: 'none', sni: null } as const;
