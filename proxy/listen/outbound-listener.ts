/**
 * Accepts the local app's calls to one peer. Whoever can connect here acts with this workload's identity: the listener is bound to
 * loopback or to a Unix socket with mode 0600, and may ask the kernel under which uid the caller runs.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { OutboundConfig } from '#proto/config/proxy.ts';
import type { Carry } from '../carry.ts';
import { Dispatcher } from '../detect/dispatcher.ts';
import type { Failure } from '../failure.ts';
import { connectionLogFields } from '../report/access-log.ts';
import type { Runtime } from '../runtime.ts';
import type { TcpRoute } from '../tcp/tcp-route.ts';
import type { UpstreamService } from '../upstream/service.ts';
import type { Connection } from './connection.ts';
import { isAmongLastDescriptors } from './descriptor-limit.ts';
import { addressText, bind, KEEP_ALIVE, plainAddress, type Listener } from './listener.ts';
import { peerUid } from './peer-uid.ts';

export interface OutboundListenerOptions {
  readonly config: OutboundConfig;
  readonly runtime: Runtime;
  readonly carry: Carry;
  readonly peer: UpstreamService;
  /** Where raw TCP goes. */
  readonly route: TcpRoute;
}

export class OutboundListener implements Listener {
  readonly name: string;
  readonly #options: OutboundListenerOptions;
  readonly #server: Server;
  readonly #dispatcher: Dispatcher;

  constructor(options: OutboundListenerOptions) {
    this.#options = options;
    this.name = `outbound/${addressText(options.config.listen)}`;
    const { config, runtime, carry, peer, route } = options;
    // Whether a call is allowed is the callee's to say, and so is what a port of its own may speak.
    this.#dispatcher = new Dispatcher({
      protocol: config.protocol,
      runtime,
      carry,
      service: peer,
      route,
      readsHttp: () => false,
    });
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, ...KEEP_ALIVE }, (socket) => this.#accepted(socket));
  }

  async listen(): Promise<void> {
    await bind(this.#server, this.#options.config.listen, this.name);
  }

  close(): void {
    this.#server.close();
  }

  #accepted(socket: Socket): void {
    const { runtime, config } = this.#options;
    const uid = config.allowUids === null ? null : this.#uidOf(socket);
    const connection = this.#describe(socket, uid);
    if (config.allowUids !== null && (uid === null || !isAllowed(uid, config.allowUids))) {
      return this.#refuse(socket, connection, 'uid_refused', uid === null ? 'unknown' : String(uid));
    }
    if (isAmongLastDescriptors(socket)) return this.#refuse(socket, connection, 'connection_limit', 'descriptors');
    if (this.#dispatcher.open >= runtime.limits.connections)
      return this.#refuse(socket, connection, 'connection_limit', 'listener');
    this.#dispatcher.serve({
      socket,
      connection,
      isTls: false,
      alpn: null,
      isAnonymous: uid === null,
      first: null,
      isSilent: false,
    });
  }

  #uidOf(socket: Socket): number | null {
    // A Unix socket of mode 0600 lets only our own uid, and root, through.
    if (socket.remoteAddress === undefined) return process.getuid?.() ?? null;
    return peerUid(socket.remoteAddress, socket.remotePort ?? 0, socket.localAddress ?? '', socket.localPort ?? 0);
  }

  #describe(socket: Socket, uid: number | null): Connection {
    const { config, runtime } = this.#options;
    const id = runtime.nextConnectionId();
    const peerAddress = plainAddress(socket.remoteAddress);
    const localAddress = plainAddress(socket.localAddress);
    const own = runtime.snapshot.identity?.svid.spiffeId.uri ?? null;
    return Object.freeze({
      id,
      listener: this.name,
      direction: 'outbound',
      peerAddress,
      peerPort: socket.remotePort ?? 0,
      localAddress,
      localPort: socket.localPort ?? 0,
      attributes: Object.freeze({
        principal: null,
        sourceIp: peerAddress,
        remoteIp: peerAddress,
        destinationIp: config.forwardTo.host,
        destinationPort: config.forwardTo.port,
        sni: config.sni,
        tls: false,
        protocol: 'http',
      }),
      notAfterMs: Infinity,
      callerKey: uid === null ? `connection/${id}` : `uid/${uid}`,
      isTrustedForwarder: false,
      forwardedFields: Buffer.alloc(0),
      clientCertElement: '',
      logFields: connectionLogFields({
        peerAddress,
        peerPort: socket.remotePort ?? 0,
        localAddress,
        localPort: socket.localPort ?? 0,
        listener: this.name,
        sni: config.sni,
        sourcePrincipal: own,
        destinationPrincipal: config.expect.length === 1 ? (config.expect[0] ?? null) : null,
        upstreamCluster: `outbound|${config.forwardTo.port}||${config.forwardTo.host}`,
      }),
      openedMs: runtime.clock.nowMs(),
    });
  }

  #refuse(socket: Socket, connection: Connection, failure: Failure, detail: string): void {
    this.#options.runtime.report.refusal(connection, failure, detail);
    socket.on('error', () => {});
    socket.destroy();
  }
}

/** Our own uid may always; others when they are listed. */
function isAllowed(uid: number, listed: readonly number[]): boolean {
  return uid === process.getuid?.() || listed.includes(uid);
}
