/** What passes a running sidecar and what is answered by it: interim responses, trailers, expectations, old callers, half-closed ones. */
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { requestLineOf, statusOf, valuesOf } from '#test/support/http-reader.ts';
import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { plainClient, tlsClient, type RawClient } from '#test/support/raw-client.ts';
import { ok, startUpstream, type RawUpstream } from '#test/support/raw-upstream.ts';
import { eventually, policyYaml, startSidecar, type Sidecar } from '#test/support/sidecar.ts';

const mesh = new MeshIdentities();
let upstream: RawUpstream;
let sidecar: Sidecar;

beforeAll(async () => {
  upstream = await startUpstream();
  const forwardTo = `127.0.0.1:${upstream.port}`;
  sidecar = await startSidecar({
    mesh,
    inbound: [
      { mtls: 'STRICT', forwardTo },
      { mtls: 'DISABLE', forwardTo },
    ],
    policies: {
      'p.yaml': policyYaml('p', {
        action: 'ALLOW',
        rules: [{ to: [{ operation: { paths: ['/ok', '/ok/*', '*'], notPaths: ['/no*'] } }] }],
      }),
    },
    timeouts: { head: '700ms', bodyIdle: '700ms', idle: '700ms' },
  });
});

beforeEach(() => {
  upstream.behaviour = {};
  upstream.forget();
});

afterAll(async () => {
  await sidecar[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

const tls = (): Promise<RawClient> => tlsClient(sidecar.inboundPort, { mesh, svid: mesh.svid('web') });
const plain = (): Promise<RawClient> => plainClient(sidecar.inbound[1] ?? 0);

describe.each([
  ['mTLS', tls],
  ['plaintext', plain],
] as const)('over %s', (name, connect) => {
  test('trailers pass both ways', async () => {
    upstream.behaviour = {
      onRequest: (connection) =>
        connection.write(
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n2\r\nhi\r\n0\r\nX-End: 1\r\nX-Forwarded-Client-Cert: forged\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\n\r\n',
        ),
    };
    await using client = await connect();
    const response = await client.ask(
      'POST /ok HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\nHost: other\r\nTransfer-Encoding: x\r\n\r\n',
    );
    expect([response.body.toString(), response.trailers]).toEqual(['hi', [['X-End', '1']]]);
    expect(upstream.requests[0]?.trailers).toEqual([['X-Sum', '7']]);
    expect(valuesOf(upstream.requests[0]?.fields ?? [], 'te')).toEqual(['trailers']);
  });

  test('100 is answered by us, once allowed; the expectation ends here', async () => {
    upstream.behaviour = { onRequest: (connection) => connection.write(`HTTP/1.1 100 Continue\r\n\r\n${ok('got')}`) };
    await using client = await connect();
    client.reader.expect('POST');
    client.write('POST /ok HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n');
    await client.until(() => client.reader.messages.length === 1, 3_000);
    expect(client.reader.messages.map(statusOf)).toEqual([100]);
    client.write('body');
    expect((await client.response()).body.toString()).toBe('got');
    expect(client.reader.messages.map(statusOf)).toEqual([100, 200]);
    expect(upstream.requests[0]?.head).not.toMatch(/expect/i);
    expect(upstream.requests[0]?.body.toString()).toBe('body');
  });

  test('a denied caller that waits for 100 gets its 403 and nothing of the request goes on', async () => {
    await using client = await connect();
    client.write('POST /no HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n');
    await client.over(3_000);
    expect(client.reader.messages.map(statusOf)).toEqual([403]);
    expect(upstream.bytes).toBe(0);
  });

  test('another expectation is a 417', async () => {
    await using client = await connect();
    expect(statusOf(await client.ask('GET /ok HTTP/1.1\r\nHost: a\r\nExpect: something\r\n\r\n'))).toBe(417);
    expect(upstream.bytes).toBe(0);
  });

  test('of pipelined requests each is decided; behind a denied one nothing is served', async () => {
    await using client = await connect();
    client.write(['/ok/1', '/ok/2', '/no', '/ok/3'].map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''));
    await client.over(3_000);
    expect(client.reader.messages.map(statusOf)).toEqual([200, 200, 403]);
    expect(upstream.requests.map((each) => requestLineOf(each)[1])).toEqual(['/ok/1', '/ok/2']);
  });

  test('a denied request alone leaves the connection open', async () => {
    await using client = await connect();
    expect(statusOf(await client.ask('GET /no HTTP/1.1\r\nHost: a\r\n\r\n'))).toBe(403);
    expect(statusOf(await client.ask('GET /ok HTTP/1.1\r\nHost: a\r\n\r\n'))).toBe(200);
  });

  test('a caller that has closed its own direction is answered', async () => {
    upstream.behaviour = { onRequest: (connection) => void setTimeout(() => connection.write(ok('late')), 100) };
    await using client = await connect();
    client.write('GET /ok HTTP/1.1\r\nHost: a\r\n\r\nGET /ok/2 HTTP/1.1\r\nHost: a\r\n\r\n');
    client.socket.end();
    await client.over(3_000);
    expect(client.reader.messages.map((each) => each.body.toString())).toEqual(['late', 'late']);
  });

  test('a caller that closes its direction behind part of a next request gets what it asked for, and no more', async () => {
    upstream.behaviour = { onRequest: (connection) => void setTimeout(() => connection.write(ok('late')), 50) };
    for (const part of ['GET /ok HT', 'POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab']) {
      await using client = await connect();
      client.write(`GET /ok HTTP/1.1\r\nHost: a\r\n\r\nGET /ok/2 HTTP/1.1\r\nHost: a\r\n\r\n${part}`);
      client.socket.end();
      await client.over(3_000);
      expect(client.reader.messages.slice(0, 2).map((each) => each.body.toString())).toEqual(['late', 'late']);
      expect(client.reader.messages.slice(2).map((each) => statusOf(each))).toEqual(part.startsWith('POST') ? [400] : []);
    }
  });

  test('lengths that frame nothing are told on: HEAD and 304', async () => {
    upstream.behaviour = {
      onRequest: (connection, request) =>
        connection.write(
          request.startLine.startsWith('HEAD')
            ? 'HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n'
            : 'HTTP/1.1 304 Not Modified\r\nContent-Length: 78\r\nETag: "x"\r\n\r\n',
        ),
    };
    await using client = await connect();
    expect(valuesOf((await client.ask('HEAD /ok HTTP/1.1\r\nHost: a\r\n\r\n')).fields, 'content-length')).toEqual(['77']);
    const unchanged = await client.ask('GET /ok HTTP/1.1\r\nHost: a\r\nIf-None-Match: "x"\r\n\r\n');
    expect([statusOf(unchanged), ...valuesOf(unchanged.fields, 'content-length')]).toEqual([304, '78']);
    expect(upstream.connections.filter(({ requests }) => requests.length > 0)).toHaveLength(1);
  });

  test('HTTP/1.0 callers keep a connection when they ask for it, and get what has no length until the end', async () => {
    await using client = await connect();
    const kept = await client.ask('GET /ok HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n');
    expect([statusOf(kept), ...valuesOf(kept.fields, 'connection')]).toEqual([200, 'keep-alive']);
    upstream.behaviour = {
      onRequest: (connection) =>
        connection.write(
          'HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-End: 1\r\n\r\n',
        ),
    };
    const last = await client.ask('GET /ok HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n');
    expect([last.body.toString(), ...valuesOf(last.fields, 'connection'), ...valuesOf(last.fields, 'transfer-encoding')]).toEqual(
      ['hi', 'close'],
    );
    expect(client.reader.messages.map(statusOf)).toEqual([200, 200]);
    expect(client.error).toBe('');
  });

  test('an upstream without a length, or of HTTP/1.0, is chunked for the caller', async () => {
    upstream.behaviour = {
      onRequest: (connection) => {
        connection.write('HTTP/1.0 200 Fine\r\nX: y\r\n\r\nhello');
        setTimeout(() => connection.socket.end(), 30);
      },
    };
    await using client = await connect();
    for (let i = 0; i < 2; i++) {
      const response = await client.ask('GET /ok HTTP/1.1\r\nHost: a\r\n\r\n');
      expect([response.startLine, response.body.toString(), ...valuesOf(response.fields, 'transfer-encoding')]).toEqual([
        'HTTP/1.1 200 Fine',
        'hello',
        'chunked',
      ]);
    }
  });

  test('deadlines answer as long as there is something to answer', async () => {
    await using head = await connect();
    head.write('GET /ok HTTP/1.1\r\nHost: a\r\nX: ');
    await using body = await connect();
    body.write('POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc');
    await using silent = await connect();
    await using idle = await connect();
    await idle.ask('GET /ok HTTP/1.1\r\nHost: a\r\n\r\n');
    const startedAt = performance.now();
    await Promise.all([head, body, silent, idle].map((each) => each.over(4_000)));
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    const [late] = head.reader.messages;
    const [stopped] = body.reader.messages;
    expect(late === undefined ? [] : [statusOf(late), ...valuesOf(late.fields, 'x-postern-reason')]).toEqual([
      408,
      'head_timeout',
    ]);
    expect(stopped === undefined ? [] : [statusOf(stopped), ...valuesOf(stopped.fields, 'x-postern-reason')]).toEqual([
      408,
      'body_timeout',
    ]);
    expect(silent.bytesReceived).toBe(0);
    expect(idle.reader.messages).toHaveLength(1);
    expect(upstream.requests.map((each) => requestLineOf(each)[0])).toEqual(['GET']);
    await eventually('the reset of the broken request', () => upstream.connections.some(({ end }) => end === 'reset'));
  });

  test('h2c and CONNECT are refused, and what stands behind them is not read', async () => {
    for (const [text, status] of [
      [
        'GET /ok HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade, http2-settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n',
        501,
      ],
      ['CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n', 501],
      ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ] as const) {
      await using client = await connect();
      client.write(`${text}GET /ok HTTP/1.1\r\nHost: a\r\n\r\n`);
      await client.over(3_000);
      // In the clear a preface begins HTTP/2, where what follows is no frame; over TLS HTTP/1.1 was agreed on.
      const isHttp2 = name === 'plaintext' && text.startsWith('PRI');
      expect(client.reader.messages.map(statusOf)).toEqual(isHttp2 ? [] : [status]);
      await sleep(10);
      expect(upstream.bytes).toBe(0);
    }
  });
});
