/**
 * Tunnels of HBONE, as server and as client, with node:http2 and a second sidecar as peers: what is inside is judged as if it had come
 * to the port that the CONNECT names.
 */
import { once } from 'node:events';
import { connect as connectHttp2, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createConnection } from 'node:net';
import type { Duplex } from 'node:stream';

import { describe, expect, test } from 'vitest';

import { grpcClient, startGrpcApp } from '#test/support/grpc-app.ts';
import { freePort } from '#test/support/free-port.ts';
import type { CallerIdentity } from '#test/support/raw-client.ts';
import { policyYaml, startSidecar, type Settings, type Sidecar } from '#test/support/sidecar.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { echo, startTcpApp, tcpClient } from '#test/support/tcp-app.ts';
import { startEchoingApp, websocket } from '#test/support/websocket-peers.ts';

const other: CallerIdentity = { mesh, svid: mesh.svid('other') };
const READERS = policyYaml('readers', {
  action: 'ALLOW',
  rules: [
    {
      from: [{ source: { principals: ['cluster.local/ns/test/sa/web'] } }],
      to: [{ operation: { methods: ['GET'], paths: ['/read*'] } }],
    },
  ],
});

describe('as server', () => {
  test('judges requests inside of a tunnel as over a connection of their own', async () => {
    const app = keep(await startHttpApp());
    const sidecar = await before(app.port, { policies: { 'p.yaml': READERS } });
    const answers = async (caller: CallerIdentity): Promise<number[]> => {
      const session = keep(await open(sidecar, caller));
      const found: number[] = [];
      for (const [method, path] of [
        ['GET', '/read/1'],
        ['POST', '/read/1'],
        ['GET', '/write'],
        ['GET', '/read/../write'],
      ] as const) {
        const tunnel = await session.tunnel(`127.0.0.1:${app.port}`);
        found.push(await ask(tunnel, method, path));
      }
      return found;
    };
    expect(await answers(web)).toEqual([200, 403, 403, 403]);
    expect(await answers(other)).toEqual([403, 403, 403, 403]);
    expect(app.seen).toEqual(['GET /read/1 spiffe://cluster.local/ns/test/sa/web']);
    expect(await sidecar.logged((line) => line['path'] === '/write')).toMatchObject({
      tunnel: 'hbone',
      source_principal: web.mesh.id('web'),
      listener: `inbound/127.0.0.1:${sidecar.inboundPort}`,
      decision: 'deny',
    });
  });

  test.each([
    { why: 'another address', authority: (port: number) => `127.9.9.9:${port}`, status: 400 },
    { why: 'a name', authority: (port: number) => `localhost:${port}`, status: 400 },
    { why: 'a port that is not declared', authority: () => '127.0.0.1:1', status: 400 },
    { why: 'no port', authority: () => '127.0.0.1', status: 400 },
    { why: 'a port of the sidecar', authority: (_port: number, own: number) => `127.0.0.1:${own}`, status: 400 },
  ])('refuses $why', async ({ authority, status }) => {
    const app = keep(await startTcpApp(echo));
    const sidecar = await before(app.port);
    const session = keep(await open(sidecar, web));
    await expect(session.tunnel(authority(app.port, sidecar.inboundPort))).rejects.toThrow(String(status));
    expect(app.connections).toHaveLength(0);
  });

  test('refuses what is no CONNECT, and a caller that does not offer HTTP/2', async () => {
    const app = keep(await startTcpApp(echo));
    const sidecar = await before(app.port);
    const session = keep(await open(sidecar, web));
    const stream = session.session.request({ ':method': 'GET', ':path': '/', ':authority': `127.0.0.1:${app.port}` });
    const [head] = (await once(stream, 'response')) as [Record<string, unknown>]; // what the event brings
    expect(head[':status']).toBe(400);
    expect(await sidecar.logged((line) => line['reason'] === 'not_a_tunnel')).toMatchObject({ response_code: 400 });
    expect(app.connections).toHaveLength(0);
  });

  test('answers 401 where the policy denies connections, and lets raw TCP through where it allows them', async () => {
    const app = keep(await startTcpApp(echo));
    const onlyWeb = policyYaml('web', {
      action: 'ALLOW',
      rules: [
        { from: [{ source: { principals: ['cluster.local/ns/test/sa/web'] } }], to: [{ operation: { ports: [`${app.port}`] } }] },
      ],
    });
    const sidecar = await before(app.port, { policies: { 'p.yaml': onlyWeb }, inbound: { protocol: 'tcp' } });
    const session = keep(await open(sidecar, web));
    const tunnel = await session.tunnel(`127.0.0.1:${app.port}`);
    tunnel.write('hello');
    expect(String((await once(tunnel, 'data'))[0])).toBe('hello');
    tunnel.end('bye');
    expect(await text(tunnel)).toBe('bye');
    await expect(keep(await open(sidecar, other)).tunnel(`127.0.0.1:${app.port}`)).rejects.toThrow('401');
    expect(app.connections).toHaveLength(1);
    expect(await sidecar.logged((line) => line['reason'] === 'tunnel_denied')).toMatchObject({
      verdict: 'denied',
      decision: 'deny',
    });
  });

  test('a policy that changes ends what is inside', async () => {
    const app = keep(await startTcpApp(echo));
    const sidecar = await before(app.port, {
      policies: { 'p.yaml': policyYaml('all', { action: 'ALLOW', rules: [{}] }) },
      inbound: { protocol: 'tcp' },
    });
    const session = keep(await open(sidecar, web));
    const tunnel = await session.tunnel(`127.0.0.1:${app.port}`);
    tunnel.on('error', () => {});
    tunnel.write('a');
    await once(tunnel, 'data');
    const closed = new Promise((settle) => tunnel.once('close', settle));
    sidecar.put('policies/p.yaml', policyYaml('none', { action: 'ALLOW', rules: [] }));
    await closed;
    expect(await sidecar.logged((line) => line['reason'] === 'revoked')).toMatchObject({ tunnel: 'hbone' });
  });

  test('200 tunnels at once over two connections carry their own bytes each', async () => {
    const app = keep(await startTcpApp(echo));
    const sidecar = await before(app.port, { inbound: { protocol: 'tcp' } });
    const sessions = [keep(await open(sidecar, web)), keep(await open(sidecar, other))];
    const talk = async (index: number): Promise<string> => {
      const tunnel = await (sessions[index % 2] ?? sessions[0])?.tunnel(`127.0.0.1:${app.port}`);
      if (tunnel === undefined) throw new Error('no tunnel');
      const said = `${index} `.repeat(20_000);
      const got = text(tunnel);
      tunnel.end(said);
      return (await got) === said ? 'same' : 'other';
    };
    expect(new Set(await Promise.all(Array.from({ length: 200 }, (_, index) => talk(index))))).toEqual(new Set(['same']));
  });
});

describe('as client, to a sidecar', () => {
  test('carries HTTP, WebSocket, gRPC and a server that speaks first', async () => {
    const http = keep(await startHttpApp());
    const chat = keep(await startEchoingApp());
    const grpc = keep(await startGrpcApp());
    const greeter = keep(await startTcpApp((connection) => connection.write('welcome')));
    const hbonePort = await freePort();
    const callee = keep(
      await startSidecar({
        mesh,
        inbound: [
          { forwardTo: `127.0.0.1:${http.port}` },
          { forwardTo: `127.0.0.1:${chat.port}` },
          { forwardTo: `h2c://127.0.0.1:${grpc.port}` },
          { forwardTo: `127.0.0.1:${greeter.port}`, protocol: 'tcp' },
        ],
        spec: { hbone: { listen: `127.0.0.1:${hbonePort}` } },
      }),
    );
    const through = [http.port, chat.port, grpc.port, greeter.port].map((port) => ({
      forwardTo: `127.0.0.1:${hbonePort}`,
      hboneDestination: `127.0.0.1:${port}`,
      expect: [mesh.id('app')],
    }));
    const caller = keep(await startSidecar({ mesh, account: 'web', outbound: through }));
    const [toHttp = 0, toChat = 0, toGrpc = 0, toGreeter = 0] = caller.outbound;

    expect(await ask(createConnection(toHttp, '127.0.0.1'), 'GET', '/read/1')).toBe(200);
    expect(http.seen).toEqual([`GET /read/1 ${mesh.id('web')}`]);
    await using client = await websocket(toChat, '/chat', null);
    expect(await client.echo('hello')).toBe('hello');
    const echoClient = grpcClient(toGrpc, null);
    const call = echoClient.Chat();
    // The client is closed before the call's status has come.
    call.on('error', () => {});
    call.write({ payload: Buffer.alloc(300_000, 7) });
    const [answer] = (await once(call, 'data')) as [{ payload: Buffer }]; // what the event brings
    expect(answer.payload).toHaveLength(300_000);
    call.end();
    echoClient.close();
    const greeted = keep(await tcpClient(toGreeter));
    await greeted.until(({ text: said }) => said === 'welcome');
    expect(callee.log().every((line) => line['tunnel'] === 'hbone' || line['path'] !== '/read/1')).toBe(true);
  });

  test('a peer that refuses the tunnel, or is not the expected one, gets nothing of it', async () => {
    const app = keep(await startTcpApp(echo));
    const callee = await before(app.port);
    const outbound = [
      { forwardTo: `127.0.0.1:${callee.hbonePort}`, hboneDestination: '127.0.0.1:1', expect: [mesh.id('app')] },
      { forwardTo: `127.0.0.1:${callee.hbonePort}`, hboneDestination: `127.0.0.1:${app.port}`, expect: [mesh.id('somebody')] },
    ];
    const caller = keep(await startSidecar({ mesh, account: 'web', outbound }));
    for (const [index, reason] of [
      [0, 'upstream_tunnel_refused'],
      [1, 'upstream_identity'],
    ] as const) {
      const client = keep(await tcpClient(caller.outbound[index] ?? 0));
      client.write('x');
      await client.over();
      expect(await caller.logged((line) => line['reason'] === reason)).toMatchObject({ verdict: 'failed' });
    }
    expect(app.connections).toHaveLength(0);
  });
});

interface WithTunnels extends AsyncDisposable {
  readonly session: ClientHttp2Session;
  tunnel(authority: string): Promise<ClientHttp2Stream>;
}

async function before(
  appPort: number,
  options: { policies?: Record<string, string>; inbound?: Settings } = {},
): Promise<Sidecar & { readonly hbonePort: number }> {
  const hbonePort = await freePort();
  const sidecar = keep(
    await startSidecar({
      mesh,
      inbound: [{ forwardTo: `127.0.0.1:${appPort}`, ...options.inbound }],
      policies: options.policies ?? null,
      spec: { hbone: { listen: `127.0.0.1:${hbonePort}` } },
    }),
  );
  return Object.assign(sidecar, { hbonePort });
}

async function open({ hbonePort }: { readonly hbonePort: number }, { svid }: CallerIdentity): Promise<WithTunnels> {
  const session = connectHttp2(`https://127.0.0.1:${hbonePort}`, {
    ca: mesh.bundlePem,
    checkServerIdentity: () => undefined,
    ...(svid === null ? {} : { cert: svid.certificatePem, key: svid.keyPem }),
  });
  session.on('error', () => {});
  await once(session, 'connect');
  return {
    session,
    async tunnel(authority) {
      const stream = session.request({ ':method': 'CONNECT', ':authority': authority, baggage: 'k8s.namespace.name=forged' });
      stream.on('error', () => {});
      const [head] = (await once(stream, 'response')) as [Record<string, unknown>]; // what the event brings
      if (head[':status'] !== 200) throw new Error(`refused with ${String(head[':status'])}`);
      return stream;
    },
    async [Symbol.asyncDispose]() {
      session.destroy();
    },
  };
}

/** Asks over a stream that is connected already; the status. */
function ask(stream: Duplex, method: string, path: string): Promise<number> {
  return new Promise((settle, fail) => {
    const asked = request({ method, path, host: 'app.test', createConnection: () => stream }, (response) => {
      response.resume();
      response.on('end', () => settle(response.statusCode ?? 0));
    });
    asked.on('error', fail);
    asked.end();
  });
}

async function text(stream: Duplex): Promise<string> {
  let all = '';
  for await (const chunk of stream as AsyncIterable<Buffer>) all += chunk.toString('latin1');
  return all;
}

async function startHttpApp(): Promise<AsyncDisposable & { readonly port: number; readonly seen: string[] }> {
  const seen: string[] = [];
  const server = createServer((asked, response) => {
    const by = /URI=([^;,]+)/u.exec(String(asked.headers['x-forwarded-client-cert']))?.[1] ?? 'nobody';
    seen.push(`${asked.method} ${asked.url} ${by}`);
    response.end('ok');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port, // it listens on TCP
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}
