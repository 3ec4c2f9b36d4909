/**
 * Requests that ask to become something else. Only a WebSocket is taken, and only when its handshake leaves no doubt; `h2c` and every
 * other protocol is refused, so that nothing unjudged can hide behind an answer that was never a switch.
 */
import { FRAMING, type RequestHead } from '#wire/h1/head.ts';
import { dropHandshakeFields, readExtendedConnect, readHandshake } from '#wire/websocket/handshake.ts';
import type { Caller } from '../carry.ts';
import type { Exchange } from '../exchange.ts';
import type { Failure } from '../failure.ts';
import type { Upstream } from '../forward/streams.ts';
import { WebsocketTunnel } from '../forward/websocket-tunnel.ts';
import type { UpstreamService } from '../upstream/service.ts';

/**
 * Notes in the exchange what an upgrade, or an extended CONNECT that the downstream has noted already, asks for. The fields of the
 * handshake end here: each hop makes its own.
 */
export function takeUpgrade(exchange: Exchange, head: RequestHead): Failure | null {
  if (exchange.tunnel === '') {
    const handshake = readHandshake(head);
    if (!handshake.ok) {
      exchange.detail = handshake.fault;
      if (handshake.fault === 'protocol') return 'upgrade_refused';
      return handshake.fault === 'version' ? 'upgrade_version' : 'bad_upgrade';
    }
    exchange.tunnel = 'websocket';
    exchange.tunnelKey = handshake.key;
  } else if (head.hasUpgrade || readExtendedConnect(head) !== null) {
    exchange.detail = 'version';
    return 'upgrade_version';
  }
  dropHandshakeFields(head);
  // A length of nothing is taken back: what follows is no body.
  head.framing = FRAMING.none;
  return null;
}

/** Hands a judged handshake to an upstream, with a tunnel between the two that can be ended by us. */
export function openTunnel(caller: Caller, head: RequestHead, service: UpstreamService): Upstream | Failure {
  const { exchange } = caller;
  const tunnel = new WebsocketTunnel(caller, service.wheel, service.timeouts.tunnelIdleMs);
  const upstream = service.acquire(tunnel.downstream, caller.pool);
  if (typeof upstream === 'string') return upstream;
  exchange.openTunnel = tunnel;
  tunnel.connect(upstream);
  upstream.requestHead(head, exchange);
  return tunnel;
}
