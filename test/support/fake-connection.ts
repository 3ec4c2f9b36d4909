/** A downstream connection for unit tests of what comes behind the socket. */
import type { Connection } from '#proxy/listen/connection.ts';
import { connectionLogFields } from '#proxy/report/access-log.ts';

export function fakeConnection(changes: Partial<Connection> = {}): Connection {
  return {
    id: 1,
    listener: 'inbound/127.0.0.1:15006',
    direction: 'inbound',
    peerAddress: '127.0.0.1',
    peerPort: 40_000,
    localAddress: '127.0.0.1',
    localPort: 15_006,
    attributes: {
      principal: 'spiffe://cluster.local/ns/test/sa/web',
      sourceIp: '127.0.0.1',
      remoteIp: '127.0.0.1',
      destinationIp: '127.0.0.1',
      destinationPort: 8080,
      sni: null,
      tls: true,
      protocol: 'http',
    },
    notAfterMs: Infinity,
    callerKey: 'spiffe://cluster.local/ns/test/sa/web',
    isTrustedForwarder: false,
    forwardedFields: Buffer.from('x-forwarded-for: 127.0.0.1\r\n'),
    clientCertElement: '',
    logFields: connectionLogFields({
      peerAddress: '127.0.0.1',
      peerPort: 40_000,
      localAddress: '127.0.0.1',
      localPort: 15_006,
      listener: 'inbound/127.0.0.1:15006',
      sni: null,
      sourcePrincipal: 'spiffe://cluster.local/ns/test/sa/web',
      destinationPrincipal: 'spiffe://cluster.local/ns/test/sa/app',
      upstreamCluster: 'inbound|8080||',
    }),
    openedMs: 0,
    ...changes,
  };
}
