/**
 * WebSockets through a sidecar: judged like any request, then a tunnel that changes nothing; and handshakes that only look like one,
 * behind which nothing must reach the app.
 */
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { acceptOf } from '#wire/websocket/handshake.ts';
import { statusOf, valuesOf } from '#test/support/http-reader.ts';
import { startUpstream, ok } from '#test/support/raw-upstream.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import { eventually, policyYaml, startSidecar, type Sidecar, type SidecarOptions } from '#test/support/sidecar.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { startEchoingApp, websocket, type EchoingApp } from '#test/support/websocket-peers.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const HANDSHAKE =
  `Host: app.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${KEY}\r\n` +
  'Sec-WebSocket-Version: 13\r\n';

async function withEcho(options: Partial<SidecarOptions> = {}): Promise<{ app: EchoingApp; sidecar: Sidecar }> {
  const app = keep(await startEchoingApp({ perMessageDeflate: true, handleProtocols: (offered) => [...offered][0] ?? false }));
  const forwardTo = `127.0.0.1:${app.port}`;
  const inbound = [
    { mtls: 'STRICT', forwardTo },
    { mtls: 'DISABLE', forwardTo },
  ];
  return { app, sidecar: keep(await startSidecar({ mesh, inbound, ...options })) };
}

describe('a WebSocket through a sidecar', () => {
  test('carries text, binary, fragments, pings and frames of a mebibyte', async () => {
    const { sidecar } = await withEcho();
    await using client = await websocket(sidecar.inboundPort, '/chat', web, { perMessageDeflate: false });
    expect(await client.echo('hello')).toBe('hello');
    expect(await client.echo('')).toBe('');
    for (const size of [1, 125, 126, 65_535, 65_536, 1_048_576]) {
      const bytes = randomBytes(size);
      expect(sha(await client.echo(bytes))).toBe(sha(bytes));
    }
    client.socket.send('frag', { fin: false });
    client.socket.send('ments', { fin: true });
    expect((await client.next()).data.toString()).toBe('fragments');
    const pong = Promise.withResolvers<string>();
    client.socket.once('pong', (data) => pong.resolve(data.toString()));
    client.socket.ping('are you there');
    expect(await pong.promise).toBe('are you there');
    client.socket.close(4001, 'enough');
    expect(await client.over()).toEqual({ code: 4001, reason: 'enough' });
    const line = await sidecar.logged((each) => each['path'] === '/chat');
    expect(line).toMatchObject({ response_code: 101, reason: null, verdict: 'forwarded', protocol: 'HTTP/1.1' });
    expect(Number(line['bytes_received'])).toBeGreaterThan(1_048_576);
    expect(Number(line['bytes_sent'])).toBeGreaterThan(1_048_576);
  });

  test('negotiates compression and a subprotocol end to end', async () => {
    const { sidecar } = await withEcho();
    await using client = await websocket(sidecar.inboundPort, '/', web, { perMessageDeflate: true, protocols: ['v2', 'v1'] });
    expect(client.socket.extensions).toContain('permessage-deflate');
    expect(client.socket.protocol).toBe('v2');
    const text = 'again and '.repeat(50_000);
    expect(await client.echo(text)).toBe(text);
  });

  test('passes by two sidecars, and ends when either side does', async () => {
    const { app, sidecar } = await withEcho();
    const caller = keep(
      await startSidecar({
        mesh,
        account: 'web',
        outbound: [{ forwardTo: `127.0.0.1:${sidecar.inboundPort}`, expect: [mesh.id('app')] }],
      }),
    );
    await using client = await websocket(caller.outboundPort, '/two', null);
    const bytes = randomBytes(300_000);
    expect(sha(await client.echo(bytes))).toBe(sha(bytes));
    for (const each of app.server.clients) each.close(1012, 'restarting');
    expect(await client.over()).toEqual({ code: 1012, reason: 'restarting' });
    expect(await sidecar.logged((each) => each['path'] === '/two')).toMatchObject({ response_code: 101, reason: null });
    expect(await caller.logged((each) => each['path'] === '/two')).toMatchObject({ response_code: 101, reason: null });

    await using other = await websocket(caller.outboundPort, '/gone', null);
    expect(await other.echo('x')).toBe('x');
    other.socket.terminate();
    await eventually('the app to see the end', () => app.open === 0);
  });

  test('is judged by its path before the app hears of it', async () => {
    const policies = {
      'p.yaml': policyYaml('chat', { action: 'ALLOW', rules: [{ to: [{ operation: { methods: ['GET'], paths: ['/chat'] } }] }] }),
    };
    const { app, sidecar } = await withEcho({ policies });
    await using client = await websocket(sidecar.inboundPort, '/chat', web);
    expect(await client.echo('in')).toBe('in');
    await expect(websocket(sidecar.inboundPort, '/admin', web)).rejects.toThrow('refused with 403');
    expect(app.open).toBe(1);
  });

  test('ends by a silence of tunnelIdle, with 1001', async () => {
    const { sidecar } = await withEcho({ timeouts: { tunnelIdle: '3s' } });
    await using client = await websocket(sidecar.inboundPort, '/idle', web);
    for (let i = 0; i < 4; i++) {
      expect(await client.echo('alive')).toBe('alive');
      await sleep(1_000);
    }
    expect(await client.over(8_000)).toEqual({ code: 1001, reason: 'tunnel_idle' });
    expect(await sidecar.logged((each) => each['path'] === '/idle')).toMatchObject({ reason: 'tunnel_idle', response_code: 101 });
  });

  test('takes nothing before the app has switched, and then what came early', async () => {
    const seen: string[] = [];
    const upstream = keep(
      await startUpstream({
        onRequest: (connection) => {
          const key = /sec-websocket-key: (\S+)/i.exec(connection.reader.heads[0] ?? '')?.[1] ?? '';
          setTimeout(() => {
            seen.push(`before ${connection.bytes - (connection.reader.heads[0] ?? '').length}`);
            connection.socket.removeAllListeners('data');
            connection.socket.on('data', (chunk: Buffer) => seen.push(chunk.toString('latin1')));
            connection.write(
              `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(key)}\r\n\r\nfrom app`,
            );
          }, 200);
        },
      }),
    );
    const sidecar = keep(await startSidecar({ mesh, inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }] }));
    await using client = await tlsClient(sidecar.inboundPort, web);
    let text = '';
    client.socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    client.write(`GET /early HTTP/1.1\r\n${HANDSHAKE}\r\nfrom caller`);
    await eventually('both directions', () => text.endsWith('from app') && seen.length === 2);
    expect(seen).toEqual(['before 0', 'from caller']);
    expect(text).toContain(`sec-websocket-accept: ${acceptOf(KEY)}\r\n`);
    expect(text.toLowerCase().match(/sec-websocket-accept/g)).toHaveLength(1);
  });
});

const SECOND = 'GET /secret HTTP/1.1\r\nHost: app.test\r\n\r\n';

describe('WebSocket smuggling', () => {
  test.each([
    { why: 'a bad version', head: `GET / HTTP/1.1\r\n${HANDSHAKE.replace(': 13', ': 777')}\r\n`, status: 426 },
    { why: 'no version', head: `GET / HTTP/1.1\r\n${HANDSHAKE.replace('Sec-WebSocket-Version: 13\r\n', '')}\r\n`, status: 426 },
    { why: 'a bad key', head: `GET / HTTP/1.1\r\n${HANDSHAKE.replace(KEY, 'short')}\r\n`, status: 400 },
    { why: 'POST', head: `POST / HTTP/1.1\r\n${HANDSHAKE}\r\n`, status: 400 },
    {
      why: 'no Connection option',
      head: `GET / HTTP/1.1\r\n${HANDSHAKE.replace('Connection: Upgrade', 'Connection: close')}\r\n`,
      status: 400,
    },
    { why: 'a body', head: `GET / HTTP/1.1\r\n${HANDSHAKE}Content-Length: 40\r\n\r\n`, status: 400 },
    {
      why: 'h2c',
      head: 'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n',
      status: 501,
    },
    {
      why: 'h2c beside websocket',
      head: `GET / HTTP/1.1\r\n${HANDSHAKE.replace('websocket', 'h2c, websocket')}\r\n`,
      status: 501,
    },
    { why: 'HTTP/1.0', head: `GET / HTTP/1.0\r\n${HANDSHAKE}\r\n`, status: 501 },
    { why: 'CONNECT', head: 'CONNECT app.test:80 HTTP/1.1\r\nHost: app.test:80\r\n\r\n', status: 501 },
  ])('$why opens no tunnel, and what follows reaches nobody', async ({ head, status }) => {
    // It would say yes to anything.
    const upstream = keep(
      await startUpstream({
        onRequest: (connection) =>
          connection.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'),
      }),
    );
    const sidecar = await smuggled(upstream.port);
    await using client = await tlsClient(sidecar.inboundPort, web);
    client.reader.expect('GET');
    client.write(head + SECOND);
    const response = await client.response();
    expect(statusOf(response)).toBe(status);
    if (status === 426) expect(valuesOf(response.fields, 'sec-websocket-version')).toEqual(['13']);
    await client.over();
    expect(upstream.bytes).toBe(0);
  });

  test.each([
    { why: 'without an accept', answer: 'Upgrade: websocket\r\nConnection: Upgrade\r\n' },
    {
      why: 'with a wrong accept',
      answer: 'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n',
    },
    { why: 'to another protocol', answer: 'Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n' },
    { why: 'without Connection', answer: 'Upgrade: websocket\r\nSec-WebSocket-Accept: ACCEPT\r\n' },
  ])('an app that switches $why gets nothing, the caller 502', async ({ answer }) => {
    const upstream = keep(
      await startUpstream({
        onRequest: (connection) => {
          const key = /sec-websocket-key: (\S+)/i.exec(connection.reader.heads[0] ?? '')?.[1] ?? '';
          connection.write(`HTTP/1.1 101 Switching Protocols\r\n${answer.replace('ACCEPT', acceptOf(key))}\r\n`);
        },
      }),
    );
    const sidecar = await smuggled(upstream.port);
    await using client = await tlsClient(sidecar.inboundPort, web);
    client.reader.expect('GET');
    client.write(`GET /x HTTP/1.1\r\n${HANDSHAKE}\r\n`);
    const response = await client.response();
    expect([statusOf(response), ...valuesOf(response.fields, 'x-postern-reason')]).toEqual([502, 'upstream_malformed']);
    expect(upstream.open).toHaveLength(0);
  });

  test('a switch that nobody asked for is a malformed answer', async () => {
    const upstream = keep(
      await startUpstream({
        onRequest: (connection) =>
          connection.write(
            `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf('')}\r\n\r\n`,
          ),
      }),
    );
    const sidecar = await smuggled(upstream.port);
    await using client = await tlsClient(sidecar.inboundPort, web);
    expect(statusOf(await client.ask('GET /x HTTP/1.1\r\nHost: a\r\n\r\n'))).toBe(502);
  });

  test('a refused upgrade stays HTTP: the request behind it is judged as a request', async () => {
    const upstream = keep(await startUpstream({ onRequest: (connection) => connection.write(ok('no')) }));
    const sidecar = await smuggled(upstream.port);
    await using client = await tlsClient(sidecar.inboundPort, web);
    client.reader.expect('GET');
    client.reader.expect('GET');
    client.write(`GET /x HTTP/1.1\r\n${HANDSHAKE}\r\n${SECOND}`);
    expect(statusOf(await client.response())).toBe(200);
    expect(statusOf(await client.response())).toBe(403);
    expect(upstream.requests).toHaveLength(1);
    expect(upstream.requests.some(({ head }) => head.includes('secret'))).toBe(false);
  });
});

/** Allows everything but what must never be reached. */
async function smuggled(port: number): Promise<Sidecar> {
  const policies = {
    'p.yaml': policyYaml('open', { action: 'ALLOW', rules: [{ to: [{ operation: { notPaths: ['/secret'] } }] }] }),
  };
  return keep(await startSidecar({ mesh, policies, inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${port}` }] }));
}

function sha(bytes: string | Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
