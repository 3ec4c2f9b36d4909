/**
 * Several endpoints of one upstream, and what happens when some of them, or all, do badly: who is asked, who is left out, what is
 * tried again and what never is, and when nothing more is tried.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

import { afterEach, describe, expect, test } from 'vitest';

import { echoPath, startHttp2Peer, type Http2Answer, type Http2Peer } from '#test/support/http2-peer.ts';
import { statusOf, valuesOf, type Message } from '#test/support/http-reader.ts';
import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { plainClient } from '#test/support/raw-client.ts';
import { eventually, policyYaml, startSidecar, type Settings, type Sidecar } from '#test/support/sidecar.ts';
import { startUpstream } from '#test/support/raw-upstream.ts';

const mesh = new MeshIdentities();
const disposables: AsyncDisposable[] = [];
const GET = 'GET /call HTTP/1.1\r\nHost: peer.test\r\n\r\n';
const POST = 'POST /call HTTP/1.1\r\nHost: peer.test\r\nContent-Length: 0\r\n\r\n';

afterEach(async () => {
  for (const each of disposables.splice(0)) await each[Symbol.asyncDispose]();
});

describe('several endpoints', () => {
  test('share the calls, and /upstreams tells how they are', async () => {
    const peers = [await peerOf(echoPath), await peerOf(echoPath), await peerOf(echoPath)];
    const sidecar = await caller(peers.map(portOf));
    await Promise.all(Array.from({ length: 12 }, () => calls(sidecar, GET, 10)));
    for (const { streams } of peers) expect(streams).toBeGreaterThan(15);
    expect(peers.reduce((sum, { streams }) => sum + streams, 0)).toBe(120);
    const [upstream] = await upstreams(sidecar);
    expect(upstream).toMatchObject({
      name: `127.0.0.1:${peers[0]?.port}`,
      direction: 'outbound',
      connections: { http1: 0, http2: 3, opening: 0 },
      requests: 0,
      waiting: 0,
    });
    expect(upstream?.['endpoints']).toMatchObject(
      peers.map(({ port, streams }) => ({
        address: `127.0.0.1:${port}`,
        state: 'healthy',
        protocol: 'http2',
        total: { requests: streams, failures: 0, ejections: 0 },
      })),
    );
    expect(await sidecar.metric('postern_upstream_requests_total', 'outbound')).toBe(120);
    expect(await sidecar.metric('postern_upstream_connections', 'http2')).toBe(3);
  });

  test('of which one is not there are called without a failure, and it is left out', async () => {
    const peer = await peerOf(echoPath);
    const sidecar = await caller([1, peer.port], { outlier: { consecutiveFailures: 3 } });
    const responses = await calls(sidecar, GET, 40);
    expect(responses.map(statusOf).filter((status) => status !== 200)).toEqual([]);
    const [upstream] = await upstreams(sidecar);
    expect(upstream?.['endpoints']).toMatchObject([{ state: 'ejected', total: { ejections: 1 } }, { state: 'healthy' }]);
    expect(await sidecar.metric('postern_upstream_ejections_total')).toBe(1);
    expect(await sidecar.metric('postern_upstream_endpoints_ejected')).toBe(1);
  });

  test('of which one answers 503 lose it for a while, and get it back', async () => {
    let isBad = true;
    const bad = await peerOf((stream, headers) => {
      if (!isBad) return echoPath(stream, headers);
      stream.respond({ ':status': 503 });
      stream.end();
    });
    const good = await peerOf(echoPath);
    const sidecar = await caller([bad.port, good.port], { outlier: { consecutiveFailures: 2, ejection: '3s' } });
    const statuses = (await calls(sidecar, GET, 15)).map(statusOf);
    expect(statuses.filter((status) => status === 503)).toHaveLength(2);
    isBad = false;
    const before = bad.streams;
    await eventually(
      'its return',
      async () => {
        await calls(sidecar, GET, 5);
        return bad.streams > before;
      },
      20_000,
    );
  });

  test('that are all bad are still asked: an upstream that fails as a whole is not helped by asking nobody', async () => {
    const peers = [await peerOf((stream) => stream.close(2)), await peerOf((stream) => stream.close(2))];
    const sidecar = await caller(peers.map(portOf), { outlier: { consecutiveFailures: 1 } });
    const responses = await calls(sidecar, POST, 10);
    expect(new Set(responses.map(reasonOf))).toEqual(new Set(['upstream_reset']));
    expect(peers.reduce((sum, { streams }) => sum + streams, 0)).toBe(10);
  });

  test('may all be left out where that is asked for, which is a 503 of its own', async () => {
    const sidecar = await caller([1], { outlier: { consecutiveFailures: 2, maxEjectedPercent: 100 }, retries: { attempts: 0 } });
    const responses = await calls(sidecar, GET, 4);
    expect(responses.map((each) => [statusOf(each), reasonOf(each)])).toEqual([
      [502, 'upstream_connect_failed'],
      [502, 'upstream_connect_failed'],
      [503, 'no_healthy_endpoint'],
      [503, 'no_healthy_endpoint'],
    ]);
  });
});

describe('what is tried again', () => {
  test.each([
    ['a call that may be done twice, when nobody is there', GET, 'connect', 2],
    ['never one that may not', POST, 'connect', 1],
    ['any call whose stream was refused', POST, 'refused', 2],
    ['never one whose stream was broken otherwise', GET, 'reset', 1],
    ['never one that was denied', GET, 'denied', 1],
  ] as const)('%s', async (_what, request, how, tries) => {
    const peer = how === 'denied' ? null : await peerOf((stream) => stream.close(how === 'refused' ? 7 : 2));
    const counting = how === 'connect' ? await closingServer() : null;
    const denying = how === 'denied' ? await denyingSidecar() : null;
    const port = counting?.port ?? denying?.inboundPort ?? peer?.port ?? 0;
    const sidecar = await caller([port]);
    const [response] = await calls(sidecar, request, 1);
    if (response === undefined) throw new Error('none');
    if (counting !== null) expect(counting.connections()).toBe(tries);
    else if (denying !== null) {
      await denying.logged(() => true);
      expect(denying.log()).toHaveLength(tries);
    } else expect(peer?.streams).toBe(tries);
    const wanted = { connect: 502, refused: 503, reset: 502, denied: 403 }[how];
    expect(statusOf(response)).toBe(wanted);
    const [upstream] = await upstreams(sidecar);
    expect(upstream?.['retries']).toMatchObject({ underWay: 0, total: tries - 1 });
  });

  test('is so much and no more: the budget bounds retries under way', async () => {
    const peer = await peerOf((stream) => {
      setTimeout(() => stream.close(7), 100);
    });
    const sidecar = await caller([peer.port], { retries: { attempts: 5, budgetPercent: 0 } });
    await Promise.all(Array.from({ length: 30 }, () => calls(sidecar, GET, 1)));
    const [upstream] = await upstreams(sidecar);
    // Three at once, each up to five times.
    expect(peer.streams).toBeLessThanOrEqual(30 + 15);
    expect(upstream?.['retries']).toMatchObject({ underWay: 0 });
    expect(await sidecar.metric('postern_upstream_retries_refused_total')).toBeGreaterThan(10);
  });
});

describe('limits of the circuit', () => {
  test.each([
    ['requests', { requests: 4 }, 4],
    ['pendingRequests', { pendingRequests: 3 }, 3],
  ] as const)('%s: what is too much fails at once by its own code', async (limit, circuit, allowed) => {
    // Slow at what the limit counts: the answer, or the handshake.
    const isSlowHandshake = limit === 'pendingRequests';
    const peer = await peerOf((stream, headers) => setTimeout(() => !stream.destroyed && echoPath(stream, headers), 1_500));
    const port = isSlowHandshake ? await slowRelay(peer.port) : peer.port;
    const sidecar = await caller([port], { circuit });
    if (!isSlowHandshake) await calls(sidecar, GET, 1);
    const responses = (await Promise.all(Array.from({ length: 10 }, () => calls(sidecar, GET, 1)))).flat();
    const codes = responses.map((each) => (statusOf(each) === 200 ? 'ok' : reasonOf(each)));
    expect(codes.filter((code) => code === 'ok')).toHaveLength(allowed);
    expect(codes.filter((code) => code === 'circuit_open')).toHaveLength(10 - allowed);
    expect(await sidecar.metric('postern_upstream_circuit_open_total', `limit="${limit}"`)).toBe(10 - allowed);
  });

  test('connections: more of them are not opened', async () => {
    const peer = await startHttp2Peer(
      (stream, headers) => setTimeout(() => !stream.destroyed && echoPath(stream, headers), 200),
      mesh.svid('app'),
      { maxConcurrentStreams: 1 },
    );
    disposables.push(peer);
    const sidecar = await caller([peer.port], { circuit: { connections: 2 } });
    await calls(sidecar, GET, 1);
    const responses = (await Promise.all(Array.from({ length: 6 }, () => calls(sidecar, GET, 1)))).flat();
    // They wait for room instead, as many as may.
    expect(responses.map(statusOf)).toEqual([200, 200, 200, 200, 200, 200]);
    expect(peer.sessions).toHaveLength(2);
  });
});

describe('deadlines', () => {
  test.each([
    ['of a try', { retries: { perTry: '500ms' } }, {}, 'upstream_timeout'],
    ['of a response', {}, { response: '500ms' }, 'upstream_timeout'],
    ['of the whole exchange', {}, { request: '500ms' }, 'request_timeout'],
  ] as const)('%s end a call that gets no answer', async (_which, settings, timeouts, reason) => {
    for (const http2 of ['prefer', 'never']) {
      const peer = await peerOf(() => {});
      peer.server.on('request', () => {});
      const sidecar = await caller([peer.port], { ...settings, http2 }, timeouts);
      const startedAt = performance.now();
      const [response] = await calls(sidecar, GET, 1);
      if (response === undefined) throw new Error('none');
      expect([http2, statusOf(response), reasonOf(response)]).toEqual([http2, 504, reason]);
      expect(performance.now() - startedAt).toBeLessThan(12_000);
    }
  });

  test.each(['prefer', 'never'])('of the whole exchange also ends a wait for a connection (http2: %s)', async (http2) => {
    const port = await serve(() => {});
    const sidecar = await caller([port], { http2 }, { request: '500ms', connect: '20s' });
    const [response] = await calls(sidecar, GET, 1);
    if (response === undefined) throw new Error('none');
    expect([statusOf(response), reasonOf(response)]).toEqual([504, 'request_timeout']);
  });

  test('of the whole exchange also ends a response that never ends', async () => {
    const peer = await peerOf((stream) => {
      stream.respond({ ':status': 200 });
      const timer = setInterval(() => stream.write('more'), 50);
      stream.on('close', () => clearInterval(timer));
    });
    const sidecar = await caller([peer.port], {}, { request: '700ms' });
    await using client = await plainClient(sidecar.outboundPort);
    client.reader.expect('GET');
    client.write(GET);
    await client.over(5_000);
    expect(client.reader.messages).toHaveLength(0);
    expect(await sidecar.logged((line) => line['reason'] === 'request_timeout')).toMatchObject({ response_code: 200 });
  });
});

async function peerOf(answer: Http2Answer): Promise<Http2Peer> {
  const peer = await startHttp2Peer(answer, mesh.svid('app'));
  disposables.push(peer);
  return peer;
}

async function caller(ports: readonly number[], settings: Settings = {}, timeouts: Settings = {}): Promise<Sidecar> {
  const endpoints = ports.map((port) => `127.0.0.1:${port}`);
  const sidecar = await startSidecar({
    mesh,
    account: 'web',
    outbound: [{ endpoints, expect: [mesh.id('app')], ...settings }],
    timeouts,
  });
  disposables.push(sidecar);
  return sidecar;
}

async function denyingSidecar(): Promise<Sidecar> {
  const app = await startUpstream({});
  disposables.push(app);
  const sidecar = await startSidecar({
    mesh,
    inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${app.port}` }],
    policies: { 'none.yaml': policyYaml('none', {}) },
  });
  disposables.push(sidecar);
  return sidecar;
}

/** Accepts and closes. */
async function closingServer(): Promise<{ port: number; connections: () => number }> {
  let connections = 0;
  const port = await serve((socket) => {
    connections++;
    socket.destroy();
  });
  return { port, connections: () => connections };
}

/** Passes everything on after a while. */
function slowRelay(to: number): Promise<number> {
  return serve((socket) => {
    setTimeout(() => {
      const other = connect(to, '127.0.0.1');
      other.on('error', () => socket.destroy());
      socket.pipe(other).pipe(socket);
    }, 1_500);
  });
}

async function serve(onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  disposables.push({
    [Symbol.asyncDispose]: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
      return Promise.resolve();
    },
  });
  // A server that listens on TCP has such an address.
  return (server.address() as AddressInfo).port;
}

async function calls(sidecar: Sidecar, request: string, count: number): Promise<Message[]> {
  await using client = await plainClient(sidecar.outboundPort);
  const responses: Message[] = [];
  for (let i = 0; i < count; i++) responses.push(await client.ask(request));
  return responses;
}

async function upstreams(sidecar: Sidecar): Promise<readonly Settings[]> {
  return (await sidecar.admin('/upstreams')) as readonly Settings[]; // what the interface answers
}

function portOf({ port }: Http2Peer): number {
  return port;
}

function reasonOf(message: Message): string {
  return valuesOf(message.fields, 'x-postern-reason')[0] ?? '';
}
