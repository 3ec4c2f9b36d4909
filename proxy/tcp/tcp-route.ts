/** Where the raw TCP connections of a listener go, and whether they may. */
import type { Socket } from 'node:net';
import type { HostPort, OutboundConfig } from '#proto/config/proxy.ts';
import { decideConnection } from '../enforce/decide-connection.ts';
import type { Failure } from '../failure.ts';
import { plainDialer, type Dialer, type Opening } from '../upstream/dialer.ts';
import type { TcpExchange } from './tcp-exchange.ts';

export interface TcpRoute {
  /** Asked once, before anything is dialled; null lets it go on. */
  judge(exchange: TcpExchange): Failure | null;
  /** Dials the endpoint for this try, counted from 0; null when there is no other. */
  dial(opening: Opening, tries: number): Dial | null;
}

export interface Dial {
  readonly socket: Socket;
  readonly isTls: boolean;
  /** `host:port`, for the log. */
  readonly host: string;
}

/** To the local workload, where the policy allows it. */
export function inboundRoute(workload: HostPort): TcpRoute {
  const dialer = plainDialer(workload);
  const host = hostText(workload);
  return {
    judge: decideConnection,
    dial: (opening, tries) => (tries > 0 ? null : { socket: dialer.open(opening), isTls: false, host }),
  };
}

/**
 * To a peer's sidecar, whose policy decides: one TLS connection for each of the app's, never shared, as many as
 * `circuit.connections` allows. Endpoints take turns.
 *
 * @param dialerOf  makes a dialer of mutual TLS that offers `TCP_PROTOCOLS`
 */
export function outboundRoute(config: OutboundConfig, dialerOf: (endpoint: HostPort) => Dialer): TcpRoute {
  const endpoints = config.endpoints.map((endpoint) => ({ dialer: dialerOf(endpoint), host: hostText(endpoint) }));
  let turn = 0;
  let open = 0;
  return {
    judge({ snapshot }) {
      if (snapshot.identity === null) return 'not_ready';
      return open >= config.circuit.connections ? 'circuit_open' : null;
    },
    dial(opening, tries) {
      if (tries >= endpoints.length) return null;
      const endpoint = endpoints[turn++ % endpoints.length];
      if (endpoint === undefined) return null;
      const socket = endpoint.dialer.open(opening);
      open++;
      socket.once('close', () => open--);
      return { socket, isTls: true, host: endpoint.host };
    },
  };
}

function hostText({ host, port }: HostPort): string {
  return `${host}:${port}`;
}

/** What Istio's sidecars offer for raw TCP; the peer looks at the first bytes behind the handshake. */
export const TCP_PROTOCOLS: readonly string[] = ['istio'];
