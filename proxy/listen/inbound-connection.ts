/** What is known of an inbound connection, put together once: for the policy, for the app, and for the log. */
import type { Socket } from 'node:net';
import type { PeerIdentity } from '#certs/verify.ts';
import type { InboundConfig } from '#proto/config/proxy.ts';
import type { ProxyAddress } from '#wire/sniff/proxy-header.ts';
import type { TrustedForwarders } from '../authn/trusted-forwarders.ts';
import { clientCertElement, forwardedFields } from '../http/forwarded-fields.ts';
import { connectionLogFields } from '../report/access-log.ts';
import type { Runtime } from '../runtime.ts';
import type { Connection } from './connection.ts';
import { plainAddress } from './listener.ts';

/** `passthrough` is TLS between the caller and the app, of which nothing is known here. */
export type ConnectionSecurity = 'mutual_tls' | 'passthrough' | 'none';

export interface ConnectionFacts {
  /** The caller as proved; null for anybody. */
  readonly peer: PeerIdentity | null;
  readonly security: ConnectionSecurity;
  /** The server that the ClientHello named. */
  readonly sni: string | null;
  /** The caller as a listed balancer tells it (PROXY protocol), or null. */
  readonly proxied: ProxyAddress | null;
}

export function describeInbound(
  socket: Socket,
  facts: ConnectionFacts,
  listener: { readonly name: string; readonly config: InboundConfig; readonly trusted: TrustedForwarders },
  runtime: Runtime,
): Connection {
  const { name, config, trusted } = listener;
  const { peer, sni, proxied } = facts;
  const id = runtime.nextConnectionId();
  const peerAddress = plainAddress(socket.remoteAddress);
  const localAddress = plainAddress(socket.localAddress);
  const isTls = facts.security === 'mutual_tls';
  const principal = peer?.spiffeId ?? null;
  const own = ownId(runtime);
  const isTrustedForwarder = trusted.includes(principal, peerAddress);
  const element = peer === null ? '' : clientCertElement(own, peer);
  // A balancer speaks for its caller about its address only, and only to what asks for the original client.
  const remoteIp = proxied?.address ?? peerAddress;
  return Object.freeze({
    id,
    listener: name,
    direction: 'inbound',
    peerAddress,
    peerPort: socket.remotePort ?? 0,
    localAddress,
    localPort: socket.localPort ?? 0,
    attributes: Object.freeze({
      principal,
      sourceIp: peerAddress,
      remoteIp,
      destinationIp: localAddress,
      destinationPort: config.workloadPort,
      sni,
      tls: isTls,
      protocol: 'http',
    }),
    notAfterMs: peer?.notAfterMs ?? Infinity,
    callerKey: principal ?? `connection/${id}`,
    isTrustedForwarder,
    forwardedFields: isTrustedForwarder ? NO_FIELDS : forwardedFields(remoteIp, element, isTls),
    clientCertElement: element,
    logFields: inboundLogFields(socket, facts, listener, runtime),
    openedMs: runtime.clock.nowMs(),
  });
}

/** A connection inside of a tunnel: its caller is the one who opened the tunnel, by whatever was proved for `outer`. */
export function describeTunnelled(
  socket: Socket,
  outer: Connection,
  { name, config }: { readonly name: string; readonly config: InboundConfig },
  runtime: Runtime,
): Connection {
  const localAddress = socket.localAddress ?? '';
  const localPort = socket.localPort ?? 0;
  const fields = connectionLogFields({
    peerAddress: outer.peerAddress,
    peerPort: outer.peerPort,
    localAddress,
    localPort,
    listener: name,
    sni: null,
    sourcePrincipal: outer.attributes.principal,
    destinationPrincipal: ownId(runtime),
    upstreamCluster: `inbound|${config.workloadPort}||`,
  });
  return Object.freeze({
    ...outer,
    id: runtime.nextConnectionId(),
    listener: name,
    localAddress,
    localPort,
    attributes: Object.freeze({
      ...outer.attributes,
      destinationIp: localAddress,
      destinationPort: config.workloadPort,
      sni: null,
      protocol: 'http',
    }),
    logFields: `${fields},"connection_security_policy":"mutual_tls","tunnel":"hbone"`,
    openedMs: runtime.clock.nowMs(),
  });
}

/** The part of a log line for a connection of which perhaps nothing more becomes known. */
export function inboundLogFields(
  socket: Socket,
  facts: ConnectionFacts,
  listener: { readonly name: string; readonly config: InboundConfig },
  runtime: Runtime,
): string {
  const { proxied } = facts;
  const fields = connectionLogFields({
    peerAddress: plainAddress(socket.remoteAddress),
    peerPort: socket.remotePort ?? 0,
    localAddress: plainAddress(socket.localAddress),
    localPort: socket.localPort ?? 0,
    listener: listener.name,
    sni: facts.sni,
    sourcePrincipal: facts.peer?.spiffeId ?? null,
    destinationPrincipal: ownId(runtime),
    upstreamCluster: `inbound|${listener.config.workloadPort}||`,
  });
  const told = proxied === null ? '' : `,"proxied_source":"${addressAndPort(proxied)}"`;
  return `${fields},"connection_security_policy":"${facts.security}"${told}`;
}

function ownId(runtime: Runtime): string | null {
  return runtime.snapshot.identity?.svid.spiffeId.uri ?? null;
}

/** From a binary or strictly read address: nothing in it needs escaping. */
function addressAndPort({ address, port }: ProxyAddress): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

const NO_FIELDS = Buffer.alloc(0);
