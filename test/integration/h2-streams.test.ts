/** Callers that speak HTTP/2 before a workload that speaks HTTP/1.1: what each message becomes, and how streams and connections end. */
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { HELLO, settings, SETTINGS_ACK, type Fields } from '#test/conformance/h2/raw-peer.ts';
import { h2TlsClient, type H2Client } from '#test/support/h2-client.ts';
import { statusOf, valuesOf } from '#test/support/http-reader.ts';
import { plainClient } from '#test/support/raw-client.ts';
import { ok, startUpstream, type RawUpstream } from '#test/support/raw-upstream.ts';
import { keep, mesh, MIB, web } from '#test/support/sidecar-pair.ts';
import { eventually, policyYaml, startSidecar, type Sidecar } from '#test/support/sidecar.ts';
import { ERROR_CODE } from '#wire/h2/error-codes.ts';
import { PREFACE } from '#wire/h2/frames.ts';
import { SETTING } from '#wire/h2/settings.ts';

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
    timeouts: { bodyIdle: '1s', response: '1s' },
    policies: {
      'app.yaml': policyYaml('app', { action: 'ALLOW', rules: [{}] }),
      'no.yaml': policyYaml('no', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/no*'] } }] }] }),
    },
  });
});

beforeEach(() => {
  upstream.behaviour = {};
  upstream.forget();
});

afterAll(async () => {
  await sidecar?.[Symbol.asyncDispose]();
  await upstream?.[Symbol.asyncDispose]();
});

const connect = async (hello = HELLO): Promise<H2Client> => keep(await h2TlsClient(sidecar.inboundPort, web, hello));

function head(method: string, path: string, more: Fields = []): Fields {
  return [[':method', method], [':scheme', 'https'], [':path', path], [':authority', 'app.test'], ...more];
}

/** Has the upstream answer with these bytes. */
function answer(text: string): void {
  upstream.behaviour = { onRequest: (connection) => connection.write(text) };
}

describe('a response', () => {
  test.each<{ why: string; method?: string; text: string; want: object; fields?: Record<string, string | undefined> }>([
    { why: 'with a length', text: ok('hello'), want: { status: 200, text: 'hello' }, fields: { 'content-length': '5' } },
    {
      why: 'in chunks, with trailers',
      text: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\nAuthorization: no\r\n\r\n',
      want: { status: 200, text: 'hello' },
      fields: { 'x-sum': '7', authorization: undefined, 'transfer-encoding': undefined },
    },
    {
      why: 'to HEAD',
      method: 'HEAD',
      text: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n',
      want: { status: 200, bytes: 0 },
      fields: { 'content-length': '5' },
    },
    { why: '204', text: 'HTTP/1.1 204 No Content\r\n\r\n', want: { status: 204, bytes: 0 } },
    {
      why: '304',
      text: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "a"\r\n\r\n',
      want: { status: 304, bytes: 0 },
      fields: { 'content-length': '5' },
    },
    {
      why: 'behind 103',
      text: `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${ok('x')}`,
      want: { status: 200, text: 'x', informational: [103] },
    },
    {
      why: 'behind 100, which is ours to say',
      text: `HTTP/1.1 100 Continue\r\n\r\n${ok('x')}`,
      want: { status: 200, text: 'x', informational: [] },
    },
    {
      why: 'with fields of the connection',
      text: ok('x', 'Connection: x-own\r\nKeep-Alive: timeout=5\r\nX-Own: 1\r\nX-Kept: 2\r\n'),
      want: { status: 200 },
      fields: { connection: undefined, 'keep-alive': undefined, 'x-own': undefined, 'x-kept': '2' },
    },
    {
      why: 'with two cookies',
      text: ok('x', 'Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n'),
      want: {
        status: 200,
        fields: [
          ['set-cookie', 'a=1'],
          ['set-cookie', 'b=2'],
          ['content-length', '1'],
        ],
      },
    },
  ])('$why', async ({ text, want, fields = {}, method = 'GET' }) => {
    answer(text);
    const client = await connect();
    const received = await client.ask(head(method, '/x'));
    expect(received).toMatchObject({ ...want, hasEnded: true, reset: -1 });
    for (const [name, value] of Object.entries(fields)) expect([name, received.valueOf(name)]).toEqual([name, value]);
  });

  test('that ends with the connection is complete', async () => {
    upstream.behaviour = {
      onRequest: (connection) => {
        connection.write('HTTP/1.1 200 OK\r\n\r\nhello');
        connection.socket.end();
      },
    };
    const client = await connect();
    expect(await client.ask(head('GET', '/x'))).toMatchObject({ status: 200, text: 'hello', hasEnded: true });
  });

  test('that breaks off after its head is broken off by a reset, and the connection lives', async () => {
    upstream.behaviour = {
      onRequest: (connection) => {
        connection.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello');
        setTimeout(() => connection.socket.resetAndDestroy(), 20);
      },
    };
    const client = await connect();
    expect(await client.ask(head('GET', '/x'))).toMatchObject({
      status: 200,
      text: 'hello',
      hasEnded: false,
      reset: ERROR_CODE.internalError,
    });
    answer(ok('next'));
    expect((await client.ask(head('GET', '/x'))).text).toBe('next');
  });

  test.each([
    { why: 'is none', text: 'HTTP/1.1 20 OK\r\n\r\n', status: 502, reason: 'upstream_malformed' },
    {
      why: 'switches protocols',
      text: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
      status: 502,
      reason: 'upstream_malformed',
    },
    { why: 'does not come', text: '', status: 504, reason: 'upstream_timeout' },
  ])('that $why becomes $status', async ({ text, status, reason }) => {
    answer(text);
    const client = await connect();
    const received = await client.ask(head('GET', '/x'));
    expect(received).toMatchObject({ status, hasEnded: true });
    expect(received.valueOf('x-postern-reason')).toBe(reason);
    expect(received.text).toContain(reason);
  });

  test('with a head larger than the caller takes becomes 502', async () => {
    answer(ok('x', `X-Large: ${'a'.repeat(3_000)}\r\n`));
    const client = await connect(Buffer.concat([PREFACE, settings([[SETTING.maxHeaderListSize, 2_000]]), SETTINGS_ACK]));
    const received = await client.ask(head('GET', '/x'));
    expect([received.status, received.valueOf('x-postern-reason')]).toEqual([502, 'upstream_malformed']);
  });
});

describe('a request', () => {
  test('with content of unknown length goes in chunks, its trailers behind them', async () => {
    const client = await connect();
    const id = client.open(head('POST', '/x', [['trailer', 'x-sum']]), false);
    client.data(id, 'hel');
    client.data(id, 'lo');
    client.trailers(id, [
      ['x-sum', '7'],
      ['x-forwarded-for', '1.2.3.4'],
    ]);
    expect((await client.answer(id)).status).toBe(200);
    const [request] = upstream.requests;
    expect(request?.body.toString()).toBe('hello');
    expect(request?.trailers).toEqual([['x-sum', '7']]);
    expect(valuesOf(request?.fields ?? [], 'transfer-encoding')).toEqual(['chunked']);
  });

  test.each([
    { method: 'POST', content: 'hello', tells: true, want: ['5'] },
    { method: 'POST', content: undefined, tells: false, want: ['0'] },
    { method: 'GET', content: undefined, tells: false, want: [] },
  ])('$method with content $content has the length $want', async ({ method, content, tells, want }) => {
    const client = await connect();
    await client.ask(head(method, '/x', tells ? [['content-length', '5']] : []), content);
    expect(valuesOf(upstream.requests[0]?.fields ?? [], 'content-length')).toEqual(want);
  });

  test.each([
    { why: 'more', content: 'hello!' },
    { why: 'less', content: 'hell' },
  ])('with $why content than its length says is never complete at the upstream', async ({ content }) => {
    const client = await connect();
    const id = client.open(head('POST', '/x', [['content-length', '5']]), false);
    await eventually('its head', () => upstream.connections.some(({ reader }) => reader.heads.length > 0));
    client.data(id, content, true);
    expect(await client.answer(id)).toMatchObject({ reset: ERROR_CODE.protocolError });
    await eventually('the reset', () => upstream.connections.some(({ end }) => end === 'reset'));
    expect(upstream.requests).toEqual([]);
    expect(await sidecar.logged((line) => line['reason'] === 'bad_body')).toMatchObject({ response_code: 0, protocol: 'HTTP/2' });
    expect(await sidecar.metric('postern_http2_faults_total', 'fault="content_length"')).toBeGreaterThan(0);
  });

  test('that expects 100 gets it from us, once it is allowed', async () => {
    const client = await connect();
    const id = client.open(head('POST', '/x', [['expect', '100-continue']]), false);
    await client.until(() => client.on(id).informational.length > 0);
    client.data(id, 'hello', true);
    expect(await client.answer(id)).toMatchObject({ status: 200, informational: [100] });
    expect(upstream.requests[0]?.head).not.toMatch(/expect/i);

    const denied = client.open(head('POST', '/no', [['expect', '100-continue']]), false);
    expect(await client.answer(denied)).toMatchObject({ status: 403, informational: [] });
  });

  test('that is answered early is not awaited: its stream is reset without an error', async () => {
    upstream.behaviour = { onBytes: (connection) => connection.answered++ === 0 && connection.write(ok('early')) };
    const client = await connect();
    const id = client.open(head('POST', '/x'), false);
    client.data(id, 'some');
    const received = await client.answer(id);
    await client.until(() => received.reset >= 0);
    expect(received).toMatchObject({ status: 200, text: 'early', hasEnded: true, reset: ERROR_CODE.noError });
    upstream.behaviour = {};
    expect((await client.ask(head('GET', '/next'))).status).toBe(200);
  });

  test('that is denied gets its decision, and others of the connection go on', async () => {
    const client = await connect();
    const asked = [client.open(head('GET', '/a')), client.open(head('GET', '/no')), client.open(head('GET', '/b'))];
    const received = await Promise.all(asked.map((id) => client.answer(id)));
    expect(received.map(({ status }) => status)).toEqual([200, 403, 200]);
    const id = received[1]?.valueOf('x-postern-decision-id');
    expect(await sidecar.logged((line) => line['decision_id'] === id)).toMatchObject({
      path: '/no',
      protocol: 'HTTP/2',
      verdict: 'denied',
      response_code: 403,
      source_principal: mesh.id('web'),
    });
  });

  test('whose content stops gets 408, and the upstream a reset', async () => {
    const client = await connect();
    const id = client.open(head('POST', '/x'), false);
    client.data(id, 'some');
    const received = await client.answer(id);
    expect([received.status, received.valueOf('x-postern-reason')]).toEqual([408, 'body_timeout']);
    await eventually('the reset', () => upstream.connections.some(({ end }) => end === 'reset'));
  });

  test('on an idle connection that the upstream has closed is sent once more', async () => {
    const client = await connect();
    await client.ask(head('GET', '/first'));
    upstream.connections[0]?.socket.pause();
    let tries = 0;
    upstream.behaviour = {
      onRequest: (connection) => {
        if (tries++ === 0) connection.socket.resetAndDestroy();
        else connection.write(ok('again'));
      },
    };
    upstream.connections[0]?.socket.resume();
    expect((await client.ask(head('GET', '/second'))).text).toBe('again');
    expect(tries).toBe(2);
  });
});

describe('a stream that is reset', () => {
  test('in the same read costs the upstream nothing', async () => {
    const client = await connect();
    await client.ask(head('GET', '/before'));
    upstream.forget();
    client.socket.cork();
    for (let index = 0; index < 20; index++) client.reset(client.open(head('GET', `/${index}`)), ERROR_CODE.cancel);
    client.socket.uncork();
    await client.ask(head('GET', '/after'));
    expect(upstream.requests.map(({ startLine }) => startLine)).toEqual(['GET /after HTTP/1.1']);
  });

  test('gives its upstream up', async () => {
    upstream.behaviour = { onRequest: () => {} };
    const client = await connect();
    const id = client.open(head('GET', '/slow'));
    await eventually('the request', () => upstream.requests.length === 1);
    client.reset(id, ERROR_CODE.cancel);
    await eventually('the reset', () => upstream.connections.some(({ end }) => end === 'reset'));
    expect(await sidecar.logged((line) => line['path'] === '/slow')).toMatchObject({
      reason: 'downstream_closed',
      response_code_details: 'downstream_closed[reset_cancel]',
    });
  });

  test('again and again ends the connection, with its name in log and metrics', async () => {
    upstream.behaviour = { onRequest: () => {} };
    const client = await connect();
    for (let index = 0; index < 150; index++) client.reset(client.open(head('GET', '/r')), ERROR_CODE.cancel);
    await client.until(() => client.isClosed);
    expect(client.goaways.at(-1)?.code).toBe(ERROR_CODE.enhanceYourCalm);
    expect(
      await sidecar.logged((line) => line['reason'] === 'http2_fault' && line['detail'] === 'too_many_resets'),
    ).toMatchObject({ method: null });
    expect(await sidecar.metric('postern_http2_faults_total', 'fault="too_many_resets"')).toBe(1);
    const other = await connect();
    upstream.behaviour = {};
    expect((await other.ask(head('GET', '/x'))).status).toBe(200);
  });
});

test('one stream more than is allowed is refused, and may be asked again', async () => {
  upstream.behaviour = { onRequest: () => {} };
  const client = await connect();
  const ids = Array.from({ length: 101 }, () => client.open(head('GET', '/held')));
  expect(await client.answer(ids.at(-1) ?? 0)).toMatchObject({ status: 0, reset: ERROR_CODE.refusedStream });
  expect(ids.slice(0, 100).every((id) => !client.on(id).isOver)).toBe(true);
});

test('a caller that does not read one stream blocks no other, and the upstream is held back', async () => {
  const large = Buffer.alloc(64 * MIB, 97);
  upstream.behaviour = {
    onRequest: (connection, { startLine }) => {
      if (!startLine.includes('/large')) return connection.write(ok('small'));
      connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${large.length}\r\n\r\n`);
      connection.write(large);
    },
  };
  const client = await connect();
  client.consumes = false;
  // The session's own window must not run out with the stream's.
  client.window(0, 16 * MIB);
  const id = client.open(head('GET', '/large'));
  await client.until(() => client.on(id).bytes === 65_535);
  const before = sidecar.residentBytes;
  for (let index = 0; index < 50; index++) expect((await client.ask(head('GET', '/small'))).text).toBe('small');
  await sleep(300);
  const written = upstream.connections[0]?.socket.bytesWritten ?? 0;
  const unsent = upstream.connections[0]?.socket.writableLength ?? 0;
  expect(written - unsent).toBeLessThan(12 * MIB);
  expect(sidecar.residentBytes - before).toBeLessThan(16 * MIB);
  expect(client.on(id).bytes).toBe(65_535);
});

test('an upstream that takes nothing holds the caller back by its window', async () => {
  upstream.behaviour = { onConnection: (connection) => connection.socket.pause() };
  const client = await connect();
  const id = client.open(head('POST', '/x'), false);
  let sent = 0;
  for (; sent < 262_144; sent += 16_384) client.data(id, Buffer.alloc(16_384));
  const before = sidecar.residentBytes;
  await sleep(500);
  expect(sidecar.residentBytes - before).toBeLessThan(8 * MIB);
  client.reset(id, ERROR_CODE.cancel);
});

describe('a connection', () => {
  test('is closed by its age in requests, with every answer given', async () => {
    const own = keep(
      await startSidecar({
        mesh,
        inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }],
        limits: { requestsPerConnection: 10 },
      }),
    );
    const client = keep(await h2TlsClient(own.inboundPort, web));
    for (let index = 0; index < 10; index++) expect((await client.ask(head('GET', '/x'))).status).toBe(200);
    await client.until(() => client.isClosed);
    expect(client.goaways.map(({ code }) => code)).toEqual([0, 0]);
    expect(client.goaways.at(-1)?.last).toBe(19);
  });

  test('that is idle is closed, after it was told', async () => {
    const own = keep(
      await startSidecar({
        mesh,
        inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }],
        timeouts: { idle: '1s' },
      }),
    );
    const client = keep(await h2TlsClient(own.inboundPort, web));
    await client.ask(head('GET', '/x'));
    await client.until(() => client.isClosed, 5_000);
    expect(client.goaways.map(({ code }) => code)).toEqual([0, 0]);
  });

  test('finishes what it carries when the process drains', async () => {
    let finish = (): void => {};
    const slow = keep(
      await startUpstream({
        onRequest: (connection) => {
          finish = () => connection.write(ok('late'));
        },
      }),
    );
    const own = keep(await startSidecar({ mesh, inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${slow.port}` }] }));
    const client = keep(await h2TlsClient(own.inboundPort, web));
    const idle = keep(await h2TlsClient(own.inboundPort, web));
    const id = client.open(head('GET', '/x'));
    await eventually('the request', () => slow.requests.length === 1);
    process.kill(own.process.pid ?? 0, 'SIGTERM');
    await client.until(() => client.goaways.length > 0);
    await idle.until(() => idle.isClosed);
    finish();
    expect((await client.answer(id)).text).toBe('late');
    await client.until(() => client.isClosed);
  });

  test('whose caller ends its direction gets what it asked for, and half a request never looks whole', async () => {
    let finish = (): void => {};
    upstream.behaviour = { onRequest: (connection) => void (finish = () => connection.write(ok('late'))) };
    const client = await connect();
    const whole = client.open(head('GET', '/whole'));
    const half = client.open(head('POST', '/half'), false);
    client.data(half, 'some');
    await eventually('the request', () => upstream.requests.length === 1 && upstream.connections.some(({ bytes }) => bytes > 0));
    client.socket.end();
    await eventually('the reset', () => upstream.connections.some(({ end }) => end === 'reset'));
    finish();
    expect((await client.answer(whole)).text).toBe('late');
    await client.until(() => client.isClosed);
    expect(upstream.requests.length).toBe(1);
    expect(await sidecar.logged((line) => line['path'] === '/half')).toMatchObject({ reason: 'bad_body' });
  });

  test('that is silent with streams open is asked for a sign of life', async () => {
    upstream.behaviour = { onRequest: () => {} };
    const own = keep(
      await startSidecar({
        mesh,
        inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }],
        limits: { http2: { ping: '1s' } },
        timeouts: { keepAlive: '1s' },
      }),
    );
    const client = keep(await h2TlsClient(own.inboundPort, web));
    client.open(head('GET', '/x'));
    await eventually('the request', () => upstream.requests.length === 1);
    client.socket.pause();
    expect(await own.logged((line) => line['detail'] === 'ping_timeout', 8_000)).toMatchObject({ reason: 'http2_fault' });
  });
});

test('h2c by Upgrade is refused: no tunnel is opened', async () => {
  const client = keep(await plainClient(sidecar.inbound[1] ?? 0));
  const message = await client.ask(
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n',
  );
  expect(statusOf(message)).toBe(501);
  expect(upstream.bytes).toBe(0);
});
