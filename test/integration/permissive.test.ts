/** A PERMISSIVE port: mutual TLS of the mesh, plaintext that is counted, and other TLS that passes only where Istio lets it. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';

import { describe, expect, test } from 'vitest';

import { statusOf, valuesOf } from '#test/support/http-reader.ts';
import { plainClient, RawClient, tlsSocket } from '#test/support/raw-client.ts';
import { startUpstream } from '#test/support/raw-upstream.ts';
import { policyYaml, startSidecar } from '#test/support/sidecar.ts';
import { GET, keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { echo, startTcpApp, tcpClient, TcpConnection } from '#test/support/tcp-app.ts';

/** An app with TLS of its own, which no mesh knows. */
async function tlsApp(): Promise<AsyncDisposable & { readonly port: number }> {
  const { certificatePem, keyPem } = mesh.svid('own-tls');
  const server = createTlsServer(
    { cert: certificatePem, key: keyPem, ALPNProtocols: ['http/1.1', 'own'] },
    (socket: TLSSocket) => {
      socket.on('error', () => {});
      socket.write(`own tls ${String(socket.alpnProtocol)}`);
      socket.on('data', (chunk: Buffer) => socket.write(chunk));
    },
  );
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    async [Symbol.asyncDispose]() {
      server.close();
      await Promise.resolve();
    },
  };
}

/** The first bytes one by one, then the rest. */
async function trickle(socket: Socket, bytes: Buffer): Promise<void> {
  const slow = Math.min(200, bytes.length);
  for (let at = 0; at < slow; at++) {
    socket.write(bytes.subarray(at, at + 1));
    if (at % 8 === 0) await sleep(1);
  }
  socket.write(bytes.subarray(slow));
}

describe('a PERMISSIVE port', () => {
  test('serves mutual TLS with the identity and plaintext without, and counts the latter by caller', async () => {
    const upstream = keep(await startUpstream());
    const inbound = [{ mtls: 'PERMISSIVE', forwardTo: `127.0.0.1:${upstream.port}` }];
    const policies = {
      'any.yaml': policyYaml('any', { rules: [{ to: [{ operation: { paths: ['/x'] } }] }] }),
      'deny.yaml': policyYaml('deny', {
        action: 'DENY',
        rules: [{ from: [{ source: { notPrincipals: ['*'] } }], to: [{ operation: { paths: ['/secret'] } }] }],
      }),
    };
    const sidecar = keep(await startSidecar({ mesh, inbound, policies }));
    const socket = tlsSocket(sidecar.inboundPort, web, { alpn: ['istio-http/1.1', 'istio', 'http/1.1'] });
    await using meshed = new RawClient(socket);
    await once(socket, 'secureConnect');
    expect(statusOf(await meshed.ask(GET))).toBe(200);
    expect(valuesOf(upstream.requests[0]?.fields ?? [], 'x-forwarded-client-cert')[0]).toContain(
      'URI=spiffe://cluster.local/ns/test/sa/web',
    );
    await using plain = await plainClient(sidecar.inboundPort);
    expect(statusOf(await plain.ask(GET))).toBe(200);
    expect(valuesOf(upstream.requests[1]?.fields ?? [], 'x-forwarded-client-cert')).toEqual([]);
    expect(statusOf(await plain.ask(GET.replace('/x', '/secret')))).toBe(403);

    expect(await sidecar.logged((line) => line['source_principal'] === mesh.id('web'))).toMatchObject({
      connection_security_policy: 'mutual_tls',
    });
    expect(await sidecar.logged(({ path }) => path === '/secret')).toMatchObject({
      connection_security_policy: 'none',
      source_principal: null,
    });
    expect(await sidecar.metric('postern_plaintext_connections_total', 'source="127.0.0.1"')).toBe(1);
  });

  test.each([
    { what: 'an auto port', settings: {}, isPassed: true },
    { what: 'a port declared tcp', settings: { protocol: 'tcp' }, isPassed: true },
    { what: 'a port declared http', settings: { protocol: 'http' }, isPassed: false },
    { what: 'a port declared grpc', settings: { protocol: 'grpc' }, isPassed: false },
  ])("passes the app's own TLS through on $what: $isPassed", async ({ settings, isPassed }) => {
    const app = keep(await tlsApp());
    const inbound = [{ mtls: 'PERMISSIVE', forwardTo: `127.0.0.1:${app.port}`, ...settings }];
    const sidecar = keep(await startSidecar({ mesh, inbound }));
    // Also with an SVID: what is offered tells, not what is shown later.
    for (const alpn of [['http/1.1', 'h2'], ['own'], null]) {
      const socket = tlsSocket(sidecar.inboundPort, web, { alpn, servername: 'own.test' });
      await using client = new TcpConnection(socket);
      if (isPassed) {
        await client.until(({ text }) => text === `own tls ${alpn === null ? 'false' : (alpn[0] ?? '')}`);
        client.write(', and more');
        await client.until(({ text }) => text.endsWith(', and more'));
      } else {
        await client.over();
      }
    }
    if (isPassed) {
      expect(await sidecar.logged((line) => line['close_reason'] !== undefined)).toMatchObject({
        connection_security_policy: 'passthrough',
        requested_server_name: 'own.test',
        source_principal: null,
        verdict: 'forwarded',
      });
      expect(await sidecar.metric('postern_plaintext_connections_total')).toBe(0);
    } else {
      await sidecar.logged(({ reason }) => reason === 'foreign_tls');
    }
  });

  test.each([
    { what: 'principals', rule: { from: [{ source: { principals: ['*'] } }] }, isAllowed: false },
    { what: 'the server name', rule: { when: [{ key: 'connection.sni', values: ['own.test'] }] }, isAllowed: true },
    { what: 'addresses', rule: { from: [{ source: { ipBlocks: ['127.0.0.0/8'] } }] }, isAllowed: true },
    { what: 'paths', rule: { to: [{ operation: { paths: ['*'] } }] }, isAllowed: false },
  ])('judges passed TLS as raw TCP without a principal, by rules about $what: $isAllowed', async ({ rule, isAllowed }) => {
    const app = keep(await tlsApp());
    const inbound = [{ mtls: 'PERMISSIVE', forwardTo: `127.0.0.1:${app.port}` }];
    const sidecar = keep(await startSidecar({ mesh, inbound, policies: { 'p.yaml': policyYaml('p', { rules: [rule] }) } }));
    await using client = new TcpConnection(tlsSocket(sidecar.inboundPort, web, { servername: 'own.test' }));
    if (isAllowed) await client.until(({ text }) => text.startsWith('own tls'));
    else await client.over();
    expect(client.bytes > 0).toBe(isAllowed);
  });

  test('gives raw TCP to callers in the clear, also to a server that speaks first', async () => {
    const app = keep(await startTcpApp(({ socket }) => void socket.write('220 ready\r\n')));
    const inbound = [
      { mtls: 'PERMISSIVE', forwardTo: `127.0.0.1:${app.port}` },
      { mtls: 'PERMISSIVE', protocol: 'tcp', forwardTo: `127.0.0.1:${app.port}` },
    ];
    const sidecar = keep(await startSidecar({ mesh, inbound, timeouts: { detect: '1s' } }));
    for (const port of sidecar.inbound) {
      await using client = await tcpClient(port);
      await client.until(({ text }) => text === '220 ready\r\n');
      await using meshed = new TcpConnection(tlsSocket(port, web, { alpn: ['istio'] }));
      await meshed.until(({ text }) => text === '220 ready\r\n');
    }
    expect(app.connections).toHaveLength(4);
  });

  test('takes a ClientHello that comes byte by byte, and refuses one that is none', async () => {
    const app = keep(await startTcpApp(echo));
    const sidecar = keep(await startSidecar({ mesh, inbound: [{ mtls: 'PERMISSIVE', forwardTo: `127.0.0.1:${app.port}` }] }));
    await using client = await tcpClient(sidecar.inboundPort);
    client.write(Buffer.from('1603010008010000040303ffff', 'hex'));
    await client.over();
    expect(await sidecar.logged(({ reason }) => reason === 'tls_handshake')).toMatchObject({ detail: 'hello_malformed' });
    // A relay in between makes many segments of one.
    const relay = keep(
      await startTcpApp(({ socket }) => {
        const onward = connect({ port: sidecar.inboundPort, host: '127.0.0.1', noDelay: true });
        onward.pipe(socket);
        socket.on('data', (chunk: Buffer) => void trickle(onward, chunk));
        socket.on('close', () => onward.destroy());
      }),
    );
    await using meshed = new TcpConnection(tlsSocket(relay.port, web, { alpn: ['istio'] }));
    meshed.write('\0\0ping');
    await meshed.until(({ text }) => text === '\0\0ping');
  });
});
