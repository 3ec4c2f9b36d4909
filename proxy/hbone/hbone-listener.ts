/** The port of HBONE as an inbound listener: mutual TLS always, HTTP/2 always, and nothing behind it but tunnels. */
import type { InboundConfig, ListenAddress } from '#proto/config/proxy.ts';

export function hboneListener(listen: ListenAddress): InboundConfig {
  return {
    listen,
    mtls: 'STRICT',
    protocol: 'http2',
    proxyProtocolFrom: [],
    // Never dialled: tunnels end at the ports of other listeners.
    forwardTo: { host: '', port: 0 },
    upstreamProtocol: 'http2',
    workloadPort: 'port' in listen ? listen.port : 0,
    pathPolicy: 'base',
    underscores: 'allow',
    requireAlpn: true,
  };
}
