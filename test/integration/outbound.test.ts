/**
 * The local app's calls: no byte of HTTP for a peer that is not the expected one, no connection shared by two callers, and nobody but
 * those who may lends the workload's identity.
 */
import { spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { request } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

import { afterEach, describe, expect, onTestFinished, test } from 'vitest';

import { statusOf, valuesOf } from '#test/support/http-reader.ts';
import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { plainClient } from '#test/support/raw-client.ts';
import { eventually, figure, startSidecar, type Settings, type Sidecar } from '#test/support/sidecar.ts';
import { startTlsPeer, type TlsPeer } from '#test/support/tls-peer.ts';

const mesh = new MeshIdentities();
const foreign = new MeshIdentities('foreign.test');
/** Another authority that calls itself by our name. */
const impostor = new MeshIdentities();
const GET = 'GET /call HTTP/1.1\r\nHost: peer.test\r\n\r\n';
const disposables: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of disposables.splice(0)) await each[Symbol.asyncDispose]();
});

async function caller(peerPort: number, settings: Settings = {}, timeouts: Settings = {}): Promise<Sidecar> {
  const sidecar = await startSidecar({
    mesh,
    account: 'web',
    otherBundles: [foreign],
    outbound: [{ forwardTo: `127.0.0.1:${peerPort}`, expect: [mesh.id('app')], ...settings }],
    // Who the peer is has to be found out also where handshakes take seconds.
    timeouts: { connect: '20s', response: '20s', ...timeouts },
  });
  disposables.push(sidecar);
  return sidecar;
}

async function peerOf(...args: Parameters<typeof startTlsPeer>): Promise<TlsPeer> {
  const peer = await startTlsPeer(...args);
  disposables.push(peer);
  return peer;
}

/** A server that is no TLS peer at all. */
async function rawPeer(onSocket: (socket: Socket) => void): Promise<{ port: number; text: () => string }> {
  let text = '';
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  // A server that listens on TCP has such an address.
  return { port: (server.address() as AddressInfo).port, text: () => text };
}

describe('a peer that is not the expected one gets no byte of HTTP', () => {
  test.each([
    ['an SVID of another workload', mesh.svid('other'), {}, 'upstream_identity', 'unexpected_id'],
    [
      'an SVID of another workload, where HTTP/2 is agreed on',
      mesh.svid('other'),
      { ALPNProtocols: ['h2'] },
      'upstream_identity',
      'unexpected_id',
    ],
    [
      'the right ID by the wrong authority, where HTTP/2 is agreed on',
      impostor.svid('app'),
      { ALPNProtocols: ['h2'] },
      'upstream_identity',
      '',
    ],
    ['an SVID of another trust domain that we know', foreign.svid('app'), {}, 'upstream_identity', ''],
    ['the right ID by the wrong authority', impostor.svid('app'), {}, 'upstream_identity', ''],
    ['the right ID that is no longer valid', mesh.fresh('app', -1_000), {}, 'upstream_identity', 'expired'],
    ['TLS 1.2', mesh.svid('app'), { maxVersion: 'TLSv1.2' }, 'upstream_connect_failed', ''],
  ] as const)('%s', async (_why, svid, options, reason, detail) => {
    const peer = await peerOf(svid, options);
    const sidecar = await caller(peer.port);
    await using client = await plainClient(sidecar.outboundPort);
    for (let i = 0; i < 5; i++) {
      const response = await client.ask(i % 2 === 0 ? GET : 'POST /call HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi');
      expect([statusOf(response), ...valuesOf(response.fields, 'x-postern-reason')]).toEqual([502, reason]);
      if (client.isOver || valuesOf(response.fields, 'connection').includes('close')) break;
    }
    expect(peer.bytes).toBe(0);
    const line = await sidecar.logged((each) => each['reason'] === reason);
    expect(String(line['response_code_details'])).toContain(detail);
    expect(line).toMatchObject({ listener: `outbound/127.0.0.1:${sidecar.outboundPort}`, verdict: 'failed' });
  });

  test.each([
    ['speaks plain HTTP', (socket: Socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'), 502],
    ['says nothing', () => {}, 504],
    ['closes at once', (socket: Socket) => socket.end(), 502],
    ['resets at once', (socket: Socket) => socket.resetAndDestroy(), 502],
  ] as const)('one that %s', async (_why, behave, status) => {
    const peer = await rawPeer(behave);
    const sidecar = await caller(peer.port, {}, status === 504 ? { connect: '500ms' } : {});
    await using client = await plainClient(sidecar.outboundPort);
    const response = await client.ask('GET /secret HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret\r\n\r\n');
    expect(statusOf(response)).toBe(status);
    expect(response.body.toString()).not.toContain('evil');
    expect(peer.text()).not.toContain('secret');
  });

  test('nobody there is a 502', async () => {
    const sidecar = await caller(1);
    await using client = await plainClient(sidecar.outboundPort);
    const response = await client.ask(GET);
    expect([statusOf(response), ...valuesOf(response.fields, 'x-postern-reason')]).toEqual([502, 'upstream_connect_failed']);
    // The caller's connection is its own affair, and goes on.
    expect(statusOf(await client.ask(GET))).toBe(502);
  });
});

test('the expected peer gets the call, by our SVID, without what the app says of identity', async () => {
  const peer = await peerOf(mesh.svid('app'));
  const sidecar = await caller(peer.port, { sni: 'outbound.peer.test' });
  await using client = await plainClient(sidecar.outboundPort);
  const response = await client.ask(
    'GET /call/../x%2e?q HTTP/1.1\r\nHost: Peer.test\r\nX-Forwarded-Client-Cert: URI=spiffe://cluster.local/ns/test/sa/admin\r\nX-Request-Id: mine\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n',
  );
  expect(response.body.toString()).toBe('peer');
  const [connection] = peer.connections;
  expect(connection?.client).toBe(`URI:${mesh.id('web')}`);
  expect(connection?.socket.servername).toBe('outbound.peer.test');
  const [head = ''] = peer.requests;
  expect(head).toMatch(/^GET \/call\/\.\.\/x%2e\?q HTTP\/1\.1\r\nHost: Peer\.test\r\n/);
  expect(head).toContain('X-Request-Id: mine\r\n');
  expect(head).not.toMatch(/client-cert|x-hop/i);
});

describe('two callers', () => {
  test('never share a connection to the peer, and each uses its own again', async () => {
    const peer = await peerOf(mesh.svid('app'));
    const sidecar = await caller(peer.port);
    const owners = new Map<number, Set<number>>();
    for (let round = 0; round < 5; round++) {
      const clients = await Promise.all(Array.from({ length: 4 }, () => plainClient(sidecar.outboundPort)));
      for (let i = 0; i < 3; i++) {
        await Promise.all(
          clients.map(async (client, index) => {
            const owner = round * 10 + index;
            await client.ask(`GET /owner/${owner} HTTP/1.1\r\nHost: a\r\n\r\n`);
          }),
        );
      }
      for (const client of clients) await client[Symbol.asyncDispose]();
    }
    for (const [index, { reader }] of peer.connections.entries()) {
      const seen = new Set(reader.heads.map((head) => Number(/\/owner\/(\d+)/.exec(head)?.[1])));
      owners.set(index, seen);
    }
    expect([...owners.values()].filter((seen) => seen.size !== 1)).toEqual([]);
    // A stall longer than the idle time costs a caller a second connection, never another's.
    expect(peer.connections.length).toBeGreaterThanOrEqual(20);
    figure(`outbound sharing: 20 callers, 60 calls, ${peer.connections.length} connections, none used by two`);
    await eventually('the end of what nobody may use', () => peer.connections.every(({ socket }) => socket.destroyed));
  });
});

describe('who may connect', () => {
  test('a Unix socket is for our own uid alone', async () => {
    const peer = await peerOf(mesh.svid('app'));
    const sidecar = await caller(peer.port, { listen: 'unix:out.sock' });
    expect(statSync(sidecar.path('out.sock')).mode & 0o777).toBe(0o600);
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const asked = request({ socketPath: sidecar.path('out.sock'), path: '/x', headers: { host: 'a' } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.on('error', reject);
    asked.end();
    expect(await promise).toBe(200);
  });

  const isRoot = process.getuid?.() === 0;
  test.skipIf(!isRoot)('allowUids refuses any other uid with its reason, and takes those listed', async () => {
    const peer = await peerOf(mesh.svid('app'));
    const sidecar = await caller(peer.port, { allowUids: [65_533] });
    expect(await callAs(65_534, sidecar.outboundPort)).toBe('');
    expect(peer.bytes).toBe(0);
    expect(await sidecar.logged((each) => each['reason'] === 'uid_refused')).toMatchObject({ detail: '65534' });
    expect(await callAs(65_533, sidecar.outboundPort)).toContain('200 OK');
    expect(await callAs(process.getuid?.() ?? 0, sidecar.outboundPort)).toContain('200 OK');
    // Two uids are two callers.
    expect(peer.connections).toHaveLength(2);
  });
});

/** What a process of this uid gets; '' when it is cut off. */
async function callAs(uid: number, port: number): Promise<string> {
  const script = `
    const s = require('node:net').connect(${port}, '127.0.0.1', () => s.write('GET /x HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n'));
    s.on('error', () => {}); s.pipe(process.stdout);`;
  const child = spawn(process.execPath, ['-e', script], { uid, gid: uid, stdio: ['ignore', 'pipe', 'ignore'], cwd: '/' });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await once(child, 'close');
  return text;
}
