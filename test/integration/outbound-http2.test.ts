/**
 * Sidecars speak HTTP/2 to each other: all calls of the local app share a connection, whoever can't is spoken to in HTTP/1.1, and a
 * connection lives no longer than what was proved on it.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, describe, expect, test } from 'vitest';

import { echoPath, startHttp2Peer } from '#test/support/http2-peer.ts';
import { statusOf, valuesOf, type Message } from '#test/support/http-reader.ts';
import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { seededBytes } from '#test/support/random.ts';
import { plainClient } from '#test/support/raw-client.ts';
import { startUpstream } from '#test/support/raw-upstream.ts';
import { eventually, startSidecar, type Settings, type Sidecar } from '#test/support/sidecar.ts';
import { startTlsPeer } from '#test/support/tls-peer.ts';

const mesh = new MeshIdentities();
const disposables: AsyncDisposable[] = [];
const GET = 'GET /call HTTP/1.1\r\nHost: peer.test\r\n\r\n';

afterEach(async () => {
  for (const each of disposables.splice(0)) await each[Symbol.asyncDispose]();
});

describe('a peer that speaks HTTP/2', () => {
  test('gets the calls of all callers over one connection, each answered to who made it', async () => {
    const peer = keep(await startHttp2Peer(echoPath, mesh.svid('app')));
    const sidecar = await caller(peer.port);
    await Promise.all(Array.from({ length: 20 }, (_, i) => callsOf(sidecar, i, 5)));
    expect(peer.streams).toBe(100);
    expect(peer.sessions).toHaveLength(1);
    expect(peer.clients).toEqual([`URI:${mesh.id('web')}`]);
    // What an Istio sidecar takes for its mesh, and what anybody takes for HTTP/2 or HTTP/1.1.
    expect(peer.offers[0]).toEqual(['istio-h2', 'istio', 'h2', 'istio-http/1.1', 'http/1.1']);
    await sidecar.logged((line) => line['upstream_host'] === `127.0.0.1:${peer.port}` && line['response_code'] === 200);
  });

  test('gets bodies that waited for the first handshake whole', async () => {
    const peer = keep(await startHttp2Peer((stream) => echo(stream), mesh.svid('app')));
    const sidecar = await caller(peer.port);
    await Promise.all(
      [0, 1, 70_000, 2_000_000].map(async (size, index) => {
        await using client = await plainClient(sidecar.outboundPort);
        const body = seededBytes(index, size);
        const head = `POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`;
        const response = await client.ask(Buffer.concat([Buffer.from(head), body]));
        expect([size, statusOf(response), response.body.equals(body)]).toEqual([size, 200, true]);
      }),
    );
  });

  test('is never asked for more streams than it takes: what is too much goes over another connection', async () => {
    const slow = (stream: ServerHttp2Stream): void => {
      setTimeout(() => {
        if (stream.destroyed) return;
        stream.respond({ ':status': 200 });
        stream.end('ok');
      }, 30);
    };
    const peer = keep(await startHttp2Peer(slow, mesh.svid('app'), { maxConcurrentStreams: 5 }));
    const sidecar = await caller(peer.port);
    // Its SETTINGS are known from here on.
    await callsOf(sidecar, 0, 1, 'ok');
    await Promise.all(Array.from({ length: 40 }, (_, i) => callsOf(sidecar, i, 4, 'ok')));
    expect(peer.streams).toBe(161);
    for (const session of peer.sessions) expect(session.localSettings.maxConcurrentStreams).toBe(5);
    expect(peer.sessions.length).toBeGreaterThan(1);
    expect(peer.sessions.length).toBeLessThanOrEqual(9);
  });

  test('gets as many connections as it is said to have processes', async () => {
    const peer = keep(await startHttp2Peer(echoPath, mesh.svid('app')));
    const sidecar = await caller(peer.port, { connectionsPerEndpoint: 3 });
    await Promise.all(Array.from({ length: 10 }, (_, i) => callsOf(sidecar, i, 10)));
    expect(peer.sessions).toHaveLength(3);
  });

  test('keeps no more connections than it should after a rush', async () => {
    const peer = keep(
      await startHttp2Peer((stream, headers) => later(stream, headers), mesh.svid('app'), { maxConcurrentStreams: 4 }),
    );
    const sidecar = await caller(peer.port, {}, [], { idle: '1s' });
    await callsOf(sidecar, 0, 1);
    await Promise.all(Array.from({ length: 20 }, (_, i) => callsOf(sidecar, i, 2)));
    expect(peer.openSessions.length).toBeGreaterThan(1);
    const stop = performance.now() + 20_000;
    while (peer.openSessions.length > 1 && performance.now() < stop) await callsOf(sidecar, 1, 1);
    expect(peer.openSessions).toHaveLength(1);
  });

  test('that goes away answers what it has, and is called again on a new connection without a failure', async () => {
    const peer = keep(
      await startHttp2Peer((stream, headers, { sessions }) => {
        if (headers[':path'] === '/last') sessions.at(-1)?.close();
        setTimeout(() => !stream.destroyed && echoPath(stream, headers), 50);
      }, mesh.svid('app')),
    );
    const sidecar = await caller(peer.port);
    await callsOf(sidecar, 1, 1);
    await using last = await plainClient(sidecar.outboundPort);
    const [response] = await Promise.all([
      last.ask('GET /last HTTP/1.1\r\nHost: a\r\n\r\n'),
      sleep(20).then(() => callsOf(sidecar, 2, 3)),
    ]);
    expect(response.body.toString()).toBe('/last');
    expect(peer.sessions).toHaveLength(2);
    await eventually('the end of the first', () => peer.openSessions.length === 1);
  });

  test('that refuses our certificate after the handshake is told as such, tried again only where that does no harm', async () => {
    const peer = keep(await startHttp2Peer(echoPath, mesh.svid('app'), {}, { maxVersion: 'TLSv1.3' }));
    peer.server.prependListener('secureConnection', (socket: { destroy(): void }) => socket.destroy());
    const sidecar = await caller(peer.port);
    await using client = await plainClient(sidecar.outboundPort);
    for (const [request, tries] of [
      [GET, 2],
      ['POST /call HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n', 1],
    ] as const) {
      const before = peer.sockets.length;
      const response = await client.ask(request);
      expect([statusOf(response), ...valuesOf(response.fields, 'x-postern-reason')]).toEqual([502, 'upstream_refused_svid']);
      expect(peer.sockets.length - before).toBe(tries);
    }
    expect(peer.streams).toBe(0);
  });
});

describe('a peer that speaks HTTP/1.1 only', () => {
  test('is found out by the first handshake, whose callers all get their answers', async () => {
    const peer = keep(await startTlsPeer(mesh.svid('app')));
    const sidecar = await caller(peer.port);
    await Promise.all(Array.from({ length: 10 }, (_, i) => callsOf(sidecar, i, 3, 'peer')));
    expect(peer.requests).toHaveLength(30);
    expect(peer.requests.every((head) => /^GET \/\d+ HTTP\/1\.1\r\n/.test(head))).toBe(true);
    expect(peer.connections).toHaveLength(10);
  });

  test('is offered nothing else where HTTP/2 is switched off', async () => {
    const peer = keep(await startHttp2Peer(echoPath, mesh.svid('app')));
    peer.server.on('request', (_request, response: { end(text: string): void }) => response.end('one'));
    const sidecar = await caller(peer.port, { http2: 'never' });
    await callsOf(sidecar, 1, 2, 'one');
    expect(peer.offers).toEqual([['istio-http/1.1', 'istio', 'http/1.1']]);
    expect(peer.sessions).toHaveLength(0);
  });
});

describe('what a connection was opened with', () => {
  test('ends with it: a new SVID is what the next call shows, and the idle connection of the old one is closed', async () => {
    const peer = keep(await startHttp2Peer(echoPath, mesh.svid('app')));
    const sidecar = await caller(peer.port);
    await callsOf(sidecar, 1, 3);
    const before = await sidecar.adminRecord('/identity');
    sidecar.putSvid(mesh.fresh('web'));
    await eventually('the new SVID', async () => (await sidecar.adminRecord('/identity'))['serial'] !== before['serial']);
    await eventually('the end of the old connection', () => peer.openSessions.length === 0);
    await callsOf(sidecar, 2, 3);
    expect(peer.sessions).toHaveLength(2);
  });

  test('is proved anew when a bundle changes: a peer whose authority is gone is cut off', async () => {
    const other = new MeshIdentities('other.test');
    const peer = keep(await startHttp2Peer((stream) => stream.respond({ ':status': 200 }), other.svid('app')));
    const sidecar = await caller(peer.port, { expect: [other.id('app')] }, [other]);
    await using client = await plainClient(sidecar.outboundPort);
    client.reader.expect('GET');
    client.write(GET);
    await eventually('the stream', () => peer.streams === 1);
    sidecar.put('other.test.pem', new MeshIdentities('other.test').bundlePem);
    await client.over();
    await eventually('the end', () => peer.openSessions.length === 0);
    const line = await sidecar.logged((each) => each['reason'] === 'upstream_identity');
    expect(line).toMatchObject({ verdict: 'failed' });
    await using next = await plainClient(sidecar.outboundPort);
    expect(statusOf(await next.ask(GET))).toBe(502);
  });
});

test('two sidecars carry a call from plaintext to plaintext over one HTTP/2 connection', async () => {
  const app = keep(await startUpstream({}));
  const callee = keep(await startSidecar({ mesh, inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${app.port}` }] }));
  const sidecar = await caller(callee.inboundPort);
  await Promise.all(Array.from({ length: 10 }, (_, i) => callsOf(sidecar, i, 5, null)));
  const connections = (await callee.admin('/connections')) as readonly Settings[]; // what the interface answers
  expect(connections).toHaveLength(1);
  expect(connections[0]).toMatchObject({ principal: mesh.id('web'), requests: 50 });
  expect(callee.log().every((line) => line['protocol'] === 'HTTP/2')).toBe(true);
  expect(app.requests).toHaveLength(50);
});

function echo(stream: ServerHttp2Stream): void {
  stream.respond({ ':status': 200 });
  stream.pipe(stream);
}

function keep<T extends AsyncDisposable>(each: T): T {
  disposables.push(each);
  return each;
}

function later(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  setTimeout(() => !stream.destroyed && echoPath(stream, headers), 40);
}

async function caller(
  port: number,
  settings: Settings = {},
  otherBundles: readonly MeshIdentities[] = [],
  timeouts: Settings = {},
): Promise<Sidecar> {
  const outbound = [{ forwardTo: `127.0.0.1:${port}`, expect: [mesh.id('app')], ...settings }];
  return keep(await startSidecar({ mesh, account: 'web', otherBundles, outbound, timeouts }));
}

/** Calls of one caller, one after the other; each has to be answered by `body`, its own path when that is not given. */
async function callsOf(sidecar: Sidecar, id: number, count: number, body?: string | null): Promise<void> {
  await using client = await plainClient(sidecar.outboundPort);
  for (let i = 0; i < count; i++) {
    const path = `/${id}0${i}`;
    const response: Message = await client.ask(`GET ${path} HTTP/1.1\r\nHost: peer.test\r\n\r\n`);
    expect([path, statusOf(response), ...valuesOf(response.fields, 'x-postern-reason')]).toEqual([path, 200]);
    if (body !== null) expect(response.body.toString()).toBe(body ?? path);
  }
}
