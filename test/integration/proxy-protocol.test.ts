/** PROXY protocol headers: from listed balancers they are demanded and believed about the caller's address, from others they are refused. */
import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { valuesOf } from '#test/support/http-reader.ts';
import { startUpstream } from '#test/support/raw-upstream.ts';
import { policyYaml, startSidecar } from '#test/support/sidecar.ts';
import { GET, keep, mesh } from '#test/support/sidecar-pair.ts';
import { echo, startTcpApp, tcpClient } from '#test/support/tcp-app.ts';

const V1 = 'PROXY TCP4 203.0.113.9 10.0.0.1 51201 443\r\n';
const V2 = Buffer.from('0d0a0d0a000d0a515549540a2111000ccb0071090a000001c80101bb', 'hex').toString('latin1');
const LOCAL = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex').toString('latin1');
const listed = { proxyProtocolFrom: ['127.0.0.0/30'] };
/** An address that is not listed. */
const STRANGER = '127.0.0.77';

describe('a PROXY protocol header of a listed balancer', () => {
  test.each([
    { what: 'version 1', header: V1, remote: '203.0.113.9' },
    { what: 'version 2', header: V2, remote: '203.0.113.9' },
    { what: 'LOCAL', header: LOCAL, remote: '127.0.0.1' },
    { what: 'UNKNOWN', header: 'PROXY UNKNOWN\r\n', remote: '127.0.0.1' },
  ])('sets remote.ip and nothing else: $what', async ({ header, remote }) => {
    const upstream = keep(await startUpstream());
    const forwardTo = `127.0.0.1:${upstream.port}`;
    const policies = {
      'p.yaml': policyYaml('p', {
        rules: [
          {
            when: [
              { key: 'remote.ip', values: [remote] },
              { key: 'source.ip', values: ['127.0.0.1'] },
            ],
          },
        ],
      }),
    };
    const sidecar = keep(await startSidecar({ mesh, policies, inbound: [{ mtls: 'DISABLE', forwardTo, ...listed }] }));
    await using client = await tcpClient(sidecar.inboundPort);
    for (const byte of header) {
      client.write(byte);
      await sleep(1);
    }
    client.write(GET);
    await client.until(({ text }) => text.startsWith('HTTP/1.1 200'));
    expect(valuesOf(upstream.requests[0]?.fields ?? [], 'x-forwarded-for')).toEqual([remote]);
    const line = await sidecar.logged(({ verdict }) => verdict === 'forwarded');
    expect(line['proxied_source']).toBe(remote === '127.0.0.1' ? undefined : '203.0.113.9:51201');
    expect(line['downstream_remote_address']).toMatch(/^127\.0\.0\.1:/);
  });

  test('stands before TLS, on STRICT and PERMISSIVE ports, and before raw TCP', async () => {
    const app = keep(await startTcpApp(echo));
    const forwardTo = `127.0.0.1:${app.port}`;
    const inbound = [
      { mtls: 'STRICT', forwardTo, ...listed },
      { mtls: 'PERMISSIVE', forwardTo, ...listed },
      { mtls: 'DISABLE', protocol: 'tcp', forwardTo, ...listed },
    ];
    const sidecar = keep(await startSidecar({ mesh, inbound }));
    const { certificatePem, keyPem } = mesh.svid('web');
    for (const port of sidecar.inbound.slice(0, 2)) {
      const raw = await tcpClient(port);
      raw.write(V2);
      raw.socket.removeAllListeners('data');
      const socket = connectTls({
        socket: raw.socket,
        cert: certificatePem,
        key: keyPem,
        ca: mesh.bundlePem,
        ALPNProtocols: ['istio'],
        checkServerIdentity: () => undefined,
      });
      await once(socket, 'secureConnect');
      socket.write('\0ping');
      const [bytes] = (await once(socket, 'data')) as [Buffer]; // no encoding is set
      expect(bytes.toString('latin1')).toBe('\0ping');
      socket.destroy();
      const ended = await sidecar.logged(
        (line) => String(line['listener']).endsWith(String(port)) && line['close_reason'] !== undefined,
      );
      expect(ended).toMatchObject({ proxied_source: '203.0.113.9:51201', source_principal: mesh.id('web') });
    }
    await using plain = await tcpClient(sidecar.inbound[2] ?? 0);
    plain.write(`${V1}\0pong`);
    await plain.until(({ text }) => text === '\0pong');
  });

  test.each([
    { what: 'is missing', bytes: GET, detail: 'proxy_missing' },
    { what: 'is malformed', bytes: 'PROXY TCP4 1.2.3.4 5.6.7.8 080 443\r\n', detail: 'proxy_port' },
    { what: 'has a wrong length', bytes: V2.replace('\x0c', '\x0b'), detail: 'proxy_length' },
    { what: 'is late', bytes: V1.slice(0, 20), detail: 'proxy_timeout' },
    { what: 'does not come', bytes: '', detail: 'proxy_timeout' },
    { what: 'is TLS', bytes: '\x16\x03\x01\x02\x00\x01\x00\x01', detail: 'proxy_missing' },
  ])('is demanded: $what', async ({ bytes, detail }) => {
    const app = keep(await startTcpApp(echo));
    const forwardTo = `127.0.0.1:${app.port}`;
    const inbound = (['STRICT', 'PERMISSIVE', 'DISABLE'] as const).map((mtls) => ({ mtls, forwardTo, ...listed }));
    const sidecar = keep(await startSidecar({ mesh, inbound, timeouts: { detect: '300ms' } }));
    for (const port of sidecar.inbound) {
      await using client = await tcpClient(port);
      if (bytes !== '') client.write(bytes);
      await client.over(4_000);
      await sidecar.logged(
        (line) =>
          line['detail'] === detail && line['reason'] === 'bad_proxy_header' && String(line['listener']).endsWith(String(port)),
      );
    }
    expect(app.connections).toHaveLength(0);
  });
});

describe('a PROXY protocol header of anybody else', () => {
  test.each([V1, V2])('is refused, and sets nothing', async (header) => {
    const upstream = keep(await startUpstream());
    const forwardTo = `127.0.0.1:${upstream.port}`;
    const inbound = [
      { mtls: 'DISABLE', forwardTo, ...listed },
      { mtls: 'PERMISSIVE', forwardTo },
      { mtls: 'STRICT', forwardTo, ...listed },
      { mtls: 'DISABLE', protocol: 'http1', forwardTo },
    ];
    const sidecar = keep(await startSidecar({ mesh, inbound }));
    for (const [index, port] of sidecar.inbound.entries()) {
      await using client = await tcpClient(port, STRANGER);
      client.write(header + GET);
      await client.over();
      expect(client.text).not.toContain(' 200 ');
      const reason = ['bad_proxy_header', 'bad_proxy_header', 'plaintext_on_mtls', 'bad_request'][index];
      if (index < 3) await sidecar.logged((line) => line['reason'] === reason && String(line['listener']).endsWith(String(port)));
    }
    expect(upstream.bytes).toBe(0);
    // Without a header they are served as ever.
    await using client = await tcpClient(sidecar.inboundPort, STRANGER);
    client.write(GET);
    await client.until(({ text }) => text.startsWith('HTTP/1.1 200'));
  });
});
