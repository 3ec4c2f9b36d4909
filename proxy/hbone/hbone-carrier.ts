/**
 * What comes to the port of HBONE, as ztunnel and waypoints of Istio's ambient mode speak it: HTTP/2 over mutual TLS, one CONNECT for
 * each connection. A tunnel may end at this workload's own addresses and declared ports only; what it carries then goes the way of any
 * connection to that port, detection and policy included, with the sender of the CONNECT as its principal.
 */
import { networkInterfaces } from 'node:os';
import type { HostPort } from '#proto/config/proxy.ts';
import { parseHostPort } from '#proto/config/units.ts';
import { DEFAULT_HEAD_LIMITS, ResponseHead, type RequestHead } from '#wire/h1/head.ts';
import { parseResponseHead } from '#wire/h1/response.ts';
import type { Carry, Caller } from '../carry.ts';
import { decideByConnection } from '../enforce/decide-connection.ts';
import { enforce } from '../enforce/decide.ts';
import type { Failure } from '../failure.ts';
import type { Upstream } from '../forward/streams.ts';
import { identifyRequest } from '../http/request-identity.ts';
import type { Connection } from '../listen/connection.ts';
import type { TunnelEntry } from '../listen/inbound-listener.ts';
import { readsHttp, type PolicySnapshot } from '../snapshot.ts';
import { AcceptedTunnel } from './accepted-tunnel.ts';

/**
 * The carrier of the HBONE listener.
 *
 * @param addresses  that a tunnel may name; empty is those of this machine
 * @param entries    the declared ports, by what policies know them by
 */
export function hboneCarrier(addresses: readonly string[], entries: readonly TunnelEntry[]): Carry {
  const isOwn = ownAddresses(addresses);
  const byPort = new Map(entries.toReversed().map((entry) => [entry.config.workloadPort, entry]));

  return function carryTunnel(caller: Caller, head: RequestHead): Upstream | Failure {
    const { exchange, connection } = caller;
    if (exchange.startedMs >= connection.notAfterMs) return 'svid_expired';
    if (head.method !== 'CONNECT' || exchange.tunnel !== '') return 'not_a_tunnel';
    const authority = head.bytes.toString('latin1', head.targetStart, head.targetEnd);
    exchange.authority = authority;
    // `baggage` and `forwarded` are what the sender says of others: they name nobody here.
    identifyRequest(exchange, head);
    const target = parseHostPort(authority);
    const entry = target === null || !isOwn(target.host) ? undefined : byPort.get(target.port);
    if (target === null || entry === undefined) {
      exchange.detail = target === null ? 'authority' : isOwn(target.host) ? 'port' : 'address';
      return 'bad_tunnel';
    }
    const denied = denies(connection, entry, exchange.snapshot.policy);
    if (denied !== null) {
      exchange.decision = denied;
      const failure = enforce(denied);
      return failure === null || failure === 'denied_by_policy' ? 'tunnel_denied' : failure;
    }
    return open(caller, target, entry);
  };
}

/** Takes the tunnel: its answer goes out first, then what is inside may be spoken. */
function open(caller: Caller, target: HostPort, entry: TunnelEntry): Upstream | Failure {
  const { exchange, connection } = caller;
  exchange.tunnel = 'hbone';
  exchange.isTunnelOpen = true;
  exchange.upstreamHost = entry.name;
  const tunnel = new AcceptedTunnel(caller, {
    remoteAddress: connection.peerAddress,
    remotePort: connection.peerPort,
    localAddress: target.host,
    localPort: target.port,
  });
  const refused = entry.acceptTunnel(tunnel.socket, connection);
  if (refused !== null || tunnel.socket.destroyed) {
    exchange.isTunnelOpen = false;
    return refused ?? 'upstream_reset';
  }
  caller.respondHead(OPENED);
  tunnel.isOpen = true;
  return tunnel;
}

/** A port on which only connections are judged refuses before it opens; where requests are, each of them is judged inside. */
function denies(
  connection: Connection,
  entry: TunnelEntry,
  policy: PolicySnapshot,
): ReturnType<typeof decideByConnection> | null {
  const { workloadPort, protocol } = entry.config;
  if (protocol !== 'tcp' && readsHttp(policy, workloadPort)) return null;
  const attributes = { ...connection.attributes, destinationPort: workloadPort, protocol: 'tcp' as const };
  const decision = decideByConnection({ ...connection, attributes }, policy.engine);
  return decision.effect === 'deny' ? decision : null;
}

function ownAddresses(listed: readonly string[]): (address: string) => boolean {
  if (listed.length > 0) {
    const set = new Set(listed);
    return (address) => set.has(address);
  }
  // Asked each time: a machine gets and loses addresses.
  return (address) => Object.values(networkInterfaces()).some((all) => all?.some((one) => one.address === address) === true);
}

const OPENED = new ResponseHead();
const OPENED_BYTES = Buffer.from('HTTP/1.1 200 OK\r\n\r\n', 'latin1');
parseResponseHead(OPENED_BYTES, 0, OPENED_BYTES.length, OPENED, DEFAULT_HEAD_LIMITS, 'CONNECT');
