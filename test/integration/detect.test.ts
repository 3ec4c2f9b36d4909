/** One port finds out what is spoken on it, in the clear and inside of TLS, and never lets pass unjudged what a policy reads. */
import { once } from 'node:events';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { statusOf } from '#test/support/http-reader.ts';
import { runProcess } from '#test/support/processes.ts';
import { plainClient, RawClient, tlsSocket } from '#test/support/raw-client.ts';
import { startUpstream } from '#test/support/raw-upstream.ts';
import { eventually, policyYaml, startSidecar, type LogLine, type Settings, type Sidecar } from '#test/support/sidecar.ts';
import { GET, keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { echo, startTcpApp, tcpClient, TcpConnection, type TcpApp } from '#test/support/tcp-app.ts';

const LAUNCHER = resolve(import.meta.dirname, '../../bin/postern.js');
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const SETTINGS_FRAME = Buffer.from('000000040000000000', 'hex');
/** A request of a policy: with it a port is about HTTP. */
const PATHS = { 'paths.yaml': policyYaml('paths', { rules: [{ to: [{ operation: { paths: ['/x'] } }] }] }) };
/** One that raw TCP can be judged by. */
const WEB_ONLY = {
  'web.yaml': policyYaml('web', { rules: [{ from: [{ source: { principals: ['cluster.local/ns/test/sa/web'] } }] }] }),
};

async function withApp(
  behaviour: (connection: TcpConnection) => void,
  inbound: readonly Settings[],
  more: Settings = {},
): Promise<{ app: TcpApp; sidecar: Sidecar }> {
  const app = keep(await startTcpApp(behaviour));
  const listeners = inbound.map((each) => ({ forwardTo: `127.0.0.1:${app.port}`, ...each }));
  const sidecar = keep(await startSidecar({ mesh, inbound: listeners, timeouts: { detect: '700ms' }, ...more }));
  return { app, sidecar };
}

async function tlsConnection(port: number, alpn: string[] | null): Promise<TcpConnection> {
  const socket = tlsSocket(port, web, { alpn, allowHalfOpen: true });
  const connection = new TcpConnection(socket);
  await once(socket, 'secureConnect');
  return connection;
}

describe('one port that is mutual TLS, and one that is plain', () => {
  test.each([
    { alpn: ['h2', 'http/1.1'], selected: 'h2' },
    { alpn: ['istio-h2', 'istio', 'h2'], selected: 'h2' },
    { alpn: ['istio-http/1.1', 'istio', 'http/1.1'], selected: 'http/1.1' },
    { alpn: ['istio-peer-exchange', 'istio'], selected: 'istio' },
    { alpn: ['istio'], selected: 'istio' },
    { alpn: null, selected: false },
  ])('speak each protocol behind ALPN $alpn', async ({ alpn, selected }) => {
    const upstream = keep(await startUpstream());
    const forwardTo = `127.0.0.1:${upstream.port}`;
    const sidecar = keep(await startSidecar({ mesh, inbound: [{ forwardTo }, { mtls: 'DISABLE', forwardTo }] }));
    const socket = tlsSocket(sidecar.inboundPort, web, { alpn });
    await using client = new RawClient(socket);
    await once(socket, 'secureConnect');
    expect(socket.alpnProtocol).toBe(selected);
    if (selected !== 'h2') expect(statusOf(await client.ask(GET))).toBe(200);
    if (selected === 'http/1.1') return;
    await using h2 = await tlsConnection(sidecar.inboundPort, alpn);
    h2.write(PREFACE);
    h2.write(SETTINGS_FRAME);
    await h2.until(({ bytes }) => bytes >= 9);
    // A SETTINGS frame.
    expect(h2.text.charCodeAt(3)).toBe(4);
  });

  test('read what comes byte by byte', async () => {
    const upstream = keep(await startUpstream());
    const sidecar = keep(await startSidecar({ mesh, inbound: [{ mtls: 'DISABLE', forwardTo: `127.0.0.1:${upstream.port}` }] }));
    await using client = await plainClient(sidecar.inboundPort);
    client.reader.expect('PURGE');
    for (const byte of GET.replace('GET', 'PURGE')) {
      client.write(byte);
      await sleep(1);
    }
    expect(statusOf(await client.response())).toBe(200);
    await using h2 = await tcpClient(sidecar.inboundPort);
    for (const byte of PREFACE) {
      h2.write(byte);
      await sleep(1);
    }
    h2.write(SETTINGS_FRAME);
    await h2.until(({ bytes }) => bytes >= 9);
    expect(h2.text.charCodeAt(3)).toBe(4);
  });
});

describe('bytes of no known protocol', () => {
  test.each([
    { what: 'raw bytes', first: '*1\r\n$4\r\nPING\r\n', detail: 'raw' },
    { what: 'silence', first: '', detail: 'silence' },
    { what: 'the beginning of several', first: 'PRI * HTT', detail: 'unclear' },
    { what: 'TLS of the caller', first: '\x16\x03\x01\x02\x00\x01', detail: 'tls' },
  ])('are refused where a policy reads requests: $what', async ({ first, detail }) => {
    const { app, sidecar } = await withApp(echo, [{ mtls: 'DISABLE' }, {}], { policies: PATHS });
    for (const isTls of [false, true]) {
      await using caller = await (isTls ? tlsConnection(sidecar.inbound[1] ?? 0, ['istio']) : tcpClient(sidecar.inboundPort));
      if (first !== '') caller.write(first);
      await caller.over(5_000);
    }
    expect(app.connections).toHaveLength(0);
    const told = (): readonly LogLine[] => sidecar.log().filter(({ reason }) => reason === 'undetected');
    await eventually('two lines of the log', () => told().length === 2);
    const lines = told();
    expect(lines).toEqual([expect.objectContaining({ detail }), expect.objectContaining({ detail })]);
    expect(await sidecar.metric('postern_failures_total', 'reason="undetected"')).toBe(2);
  });

  test('pass as raw TCP where policies are about connections, by their decision', async () => {
    const { app, sidecar } = await withApp(echo, [{}], { policies: WEB_ONLY });
    await using client = await tlsConnection(sidecar.inboundPort, ['istio']);
    client.write('*1\r\n$4\r\nPING\r\n');
    await client.until(({ text }) => text === '*1\r\n$4\r\nPING\r\n');
    expect(app.connections).toHaveLength(1);
    const other = tlsSocket(sidecar.inboundPort, { mesh, svid: mesh.svid('other') }, { alpn: ['istio'] });
    await using refused = new TcpConnection(other);
    await once(other, 'secureConnect');
    refused.write('*1\r\n$4\r\nPING\r\n');
    await refused.over(5_000);
    expect(refused.bytes).toBe(0);
    expect(app.connections).toHaveLength(1);
    const line = await sidecar.logged(({ verdict }) => verdict === 'denied');
    expect(line).toMatchObject({
      method: null,
      protocol: null,
      reason: 'denied_by_policy',
      response_flags: 'RBAC',
      close_reason: 'refused',
      decision: 'deny',
    });
    // `postern explain` knows it.
    const decisions = await sidecar.admin('/decisions');
    expect(decisions).toMatchObject([{ id: line['decision_id'], input: { request: null } }]);
    for (const from of [
      ['--admin', sidecar.path('admin.sock')],
      ['--log', sidecar.path('access.log')],
    ]) {
      const { code, stdout } = await runProcess(process.execPath, [LAUNCHER, 'explain', String(line['decision_id']), ...from]);
      expect([code, stdout]).toEqual([0, expect.stringContaining('denied_no_match')]);
    }
  });
});

describe('a server that speaks first', () => {
  const greet = ({ socket }: TcpConnection): void => {
    socket.write('220 ready\r\n');
    socket.on('data', (chunk: Buffer) => socket.write(chunk));
  };

  test.each([
    { what: 'an auto port, after a silence', settings: { mtls: 'DISABLE' } },
    { what: 'a port that is declared tcp, at once', settings: { mtls: 'DISABLE', protocol: 'tcp' } },
  ])('is heard on $what', async ({ settings }) => {
    const { sidecar } = await withApp(greet, [settings, { ...settings, mtls: 'STRICT' }], { policies: null });
    for (const client of [await tcpClient(sidecar.inboundPort), await tlsConnection(sidecar.inbound[1] ?? 0, ['istio'])]) {
      await using caller = client;
      await caller.until(({ text }) => text === '220 ready\r\n', 5_000);
      caller.write('QUIT\r\n');
      await caller.until(({ text }) => text === '220 ready\r\nQUIT\r\n', 5_000);
      expect(caller.end).toBe('open');
    }
  });

  test('is not, where a policy reads requests and the port is not declared tcp', async () => {
    const { app, sidecar } = await withApp(greet, [{ mtls: 'DISABLE' }], { policies: PATHS });
    await using client = await tcpClient(sidecar.inboundPort);
    await client.over(5_000);
    expect([client.text, app.connections.length]).toEqual(['', 0]);
  });

  test('is not waited for while the sidecar drains, if it has said nothing', async () => {
    const { sidecar } = await withApp(() => {}, [{ mtls: 'DISABLE' }], { policies: null, timeouts: { detect: '200ms' } });
    await using client = await tcpClient(sidecar.inboundPort);
    await eventually('the dial', async () => (await sidecar.metric('postern_connections_open')) === 1);
    await sleep(800);
    const started = performance.now();
    const { code } = await sidecar.process.end('SIGTERM', 20_000);
    expect(code).toBe(0);
    expect(performance.now() - started).toBeLessThan(10_000);
    await client.over();
  });

  test('does not make raw TCP of an HTTP caller that was silent for long', async () => {
    const upstream = keep(await startUpstream());
    const inbound = [{ mtls: 'DISABLE', forwardTo: `127.0.0.1:${upstream.port}` }];
    const sidecar = keep(await startSidecar({ mesh, inbound, timeouts: { detect: '200ms' } }));
    await using client = await plainClient(sidecar.inboundPort);
    await sleep(900);
    const response = await client.ask(
      'GET /x HTTP/1.1\r\nHost: a\r\nX-Forwarded-Client-Cert: URI=spiffe://cluster.local/ns/a/sa/b\r\n\r\n',
    );
    expect(statusOf(response)).toBe(200);
    expect(upstream.requests).toHaveLength(1);
    expect(upstream.requests[0]?.head.toLowerCase()).not.toContain('spiffe://');
    expect(await sidecar.logged(({ path }) => path === '/x')).toMatchObject({ protocol: 'HTTP/1.1', verdict: 'forwarded' });
  });
});

test.each([{ policies: PATHS }, { policies: null }])(
  'a caller that closes without a word leaves nothing behind',
  async ({ policies }) => {
    const { app, sidecar } = await withApp(echo, [{ mtls: 'DISABLE' }], { policies });
    for (const how of ['end', 'destroy', 'resetAndDestroy'] as const) {
      const client = await tcpClient(sidecar.inboundPort);
      client.socket[how]();
      await client.over();
    }
    expect(app.connections).toHaveLength(0);
    await eventually('the end of all', async () => (await sidecar.metric('postern_connections_open')) === 0);
    expect(sidecar.log()).toEqual([]);
  },
);
