/**
 * A workload that speaks HTTP/2 without TLS behind the sidecar: requests become streams, responses come back whole, and what the
 * workload does to a stream or a connection reaches the caller as what it is.
 */
import { constants } from 'node:http2';

import { afterEach, describe, expect, test } from 'vitest';

import { startHttp2Peer, type Http2Answer, type Http2Peer } from '#test/support/http2-peer.ts';
import { statusOf, valuesOf } from '#test/support/http-reader.ts';
import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { plainClient } from '#test/support/raw-client.ts';
import { seededBytes } from '#test/support/random.ts';
import { eventually, startSidecar, type Settings, type Sidecar } from '#test/support/sidecar.ts';

const mesh = new MeshIdentities();
const disposables: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of disposables.splice(0)) await each[Symbol.asyncDispose]();
});

describe('a workload that speaks HTTP/2', () => {
  test('gets each request as a stream of one connection, with the caller named and nothing of a hop', async () => {
    const app = await appOf((stream, headers) => {
      stream.respond({ ':status': 200, 'content-type': 'text/plain', 'x-seen': JSON.stringify(headers) });
      stream.end('hello');
    });
    const sidecar = await sidecarOf(app.port);
    await using client = await plainClient(sidecar.inboundPort);
    for (let i = 0; i < 5; i++) {
      const response = await client.ask(`GET /a/../b?q=${i} HTTP/1.1\r\nHost: App.test\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n`);
      expect([statusOf(response), response.body.toString()]).toEqual([200, 'hello']);
      const seen = JSON.parse(valuesOf(response.fields, 'x-seen')[0] ?? '{}') as Settings; // what the app wrote
      expect(seen).toMatchObject({ ':method': 'GET', ':path': `/b?q=${i}`, ':authority': 'App.test', ':scheme': 'http' });
      expect(seen).toHaveProperty('x-request-id');
      expect(seen).not.toHaveProperty('x-hop');
      expect(seen).not.toHaveProperty('host');
    }
    expect(app.sessions).toHaveLength(1);
  });

  test.each([
    ['a length', (size: number) => `Content-Length: ${size}\r\n\r\n`, false],
    ['chunks', () => 'Transfer-Encoding: chunked\r\n\r\n', true],
  ])('gets a body with %s and gives as much back', async (_how, framing, isChunked) => {
    const app = await appOf((stream) => {
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    });
    const sidecar = await sidecarOf(app.port);
    for (const size of [0, 1, 20_000, 3_000_000]) {
      await using client = await plainClient(sidecar.inboundPort);
      const body = seededBytes(size, size);
      const head = `POST /echo HTTP/1.1\r\nHost: a\r\n${framing(size)}`;
      const sent = isChunked ? chunked(body) : body;
      const response = await client.ask(Buffer.concat([Buffer.from(head), sent]));
      expect([statusOf(response), response.body.equals(body)]).toEqual([200, true]);
    }
  });

  test('has its trailers, its interim responses and its empty answers passed on', async () => {
    const app = await appOf((stream, headers) => {
      if (headers[':path'] === '/empty') {
        stream.respond({ ':status': 204 }, { endStream: true });
        return;
      }
      stream.additionalHeaders({ ':status': 103, link: '</style.css>' });
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'abc', host: 'evil' }));
      stream.end('body');
    });
    const sidecar = await sidecarOf(app.port);
    await using client = await plainClient(sidecar.inboundPort);
    const response = await client.ask('GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n');
    expect(response.body.toString()).toBe('body');
    expect(valuesOf(response.trailers, 'x-sum')).toEqual(['abc']);
    expect(valuesOf(response.trailers, 'host')).toEqual([]);
    expect(statusOf(await client.ask('GET /empty HTTP/1.1\r\nHost: a\r\n\r\n'))).toBe(204);
  });

  test.each([
    ['INTERNAL_ERROR', constants.NGHTTP2_INTERNAL_ERROR, 502, 'upstream_reset', 1],
    // Refused twice: the request was sent again, because the workload had not looked at it.
    ['REFUSED_STREAM', constants.NGHTTP2_REFUSED_STREAM, 503, 'upstream_refused', 2],
  ])('that resets a stream by %s is told apart', async (_name, code, status, reason, tries) => {
    const app = await appOf((stream) => stream.close(code));
    const sidecar = await sidecarOf(app.port);
    await using client = await plainClient(sidecar.inboundPort);
    const response = await client.ask('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect([statusOf(response), ...valuesOf(response.fields, 'x-postern-reason')]).toEqual([status, reason]);
    expect(app.streams).toBe(tries);
    // The connection is not at fault.
    expect(app.sessions).toHaveLength(1);
  });

  test('that goes away is asked again on a new connection', async () => {
    const app = await appOf((stream) => {
      stream.respond({ ':status': 200 });
      stream.end('ok');
    });
    const sidecar = await sidecarOf(app.port);
    await using client = await plainClient(sidecar.inboundPort);
    for (let i = 0; i < 3; i++) {
      expect(statusOf(await client.ask('GET / HTTP/1.1\r\nHost: a\r\n\r\n'))).toBe(200);
      app.sessions.at(-1)?.goaway();
      app.sessions.at(-1)?.close();
      await eventually('the session is over', () => app.sessions.every((session) => session.destroyed));
    }
    expect(app.sessions).toHaveLength(3);
  });

  test('that answers before it has the whole request is not sent the rest', async () => {
    const app = await appOf((stream) => {
      stream.respond({ ':status': 413 });
      stream.end('too much');
    });
    const sidecar = await sidecarOf(app.port);
    await using client = await plainClient(sidecar.inboundPort);
    const response = await client.ask('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nfirst');
    expect([statusOf(response), response.body.toString()]).toEqual([413, 'too much']);
  });

  test('that never answers is a 504, and nobody there a 502', async () => {
    const app = await appOf(() => {});
    const silent = await sidecarOf(app.port, { response: '300ms' });
    await using first = await plainClient(silent.inboundPort);
    const late = await first.ask('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect([statusOf(late), ...valuesOf(late.fields, 'x-postern-reason')]).toEqual([504, 'upstream_timeout']);
    const nobody = await sidecarOf(1);
    await using second = await plainClient(nobody.inboundPort);
    const refused = await second.ask('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect([statusOf(refused), ...valuesOf(refused.fields, 'x-postern-reason')]).toEqual([502, 'upstream_connect_failed']);
  });
});

test('two callers never share a connection to the workload', async () => {
  const app = await appOf((stream, headers) => {
    stream.respond({ ':status': 200 });
    stream.end(String(headers[':path']));
  });
  const sidecar = await sidecarOf(app.port);
  const clients = await Promise.all([1, 2, 3].map(() => plainClient(sidecar.inboundPort)));
  for (let i = 0; i < 5; i++) {
    const bodies = await Promise.all(clients.map((client, index) => client.ask(`GET /${index} HTTP/1.1\r\nHost: a\r\n\r\n`)));
    expect(bodies.map(({ body }) => body.toString())).toEqual(['/0', '/1', '/2']);
  }
  expect(app.sessions).toHaveLength(3);
  for (const client of clients) await client[Symbol.asyncDispose]();
  await eventually('nobody may use them any more', () => app.sessions.every((session) => session.destroyed));
});

async function appOf(answer: Http2Answer): Promise<Http2Peer> {
  const app = await startHttp2Peer(answer);
  disposables.push(app);
  return app;
}

async function sidecarOf(port: number, timeouts: Settings = {}): Promise<Sidecar> {
  const sidecar = await startSidecar({
    mesh,
    inbound: [{ mtls: 'DISABLE', forwardTo: `h2c://127.0.0.1:${port}` }],
    timeouts,
  });
  disposables.push(sidecar);
  return sidecar;
}

function chunked(body: Buffer): Buffer {
  const runs: Buffer[] = [];
  for (let at = 0; at < body.length; at += 50_000) {
    const run = body.subarray(at, at + 50_000);
    runs.push(Buffer.from(`${run.length.toString(16)}\r\n`), run, Buffer.from('\r\n'));
  }
  return Buffer.concat([...runs, Buffer.from('0\r\n\r\n')]);
}
