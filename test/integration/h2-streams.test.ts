/** Callers that speak HTTP/2 before a workload that speaks HTTP/1.1: what each message becomes, and how streams and connections end. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { HELLO, settings, SETTINGS_ACK } from '#test/conformance/h2/raw-peer.ts';
import { h2TlsClient, head, type H2Client } from '#test/support/h2-client.ts';
import { statusOf, valuesOf } from '#test/support/http-reader.ts';
import { plainClient } from '#test/support/raw-client.ts';
import { ok, startUpstream, type RawUpstream } from '#test/support/raw-upstream.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';
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

test('h2c by Upgrade is refused: no tunnel is opened', async () => {
  const client = keep(await plainClient(sidecar.inbound[1] ?? 0));
  const message = await client.ask(
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n',
  );
  expect(statusOf(message)).toBe(501);
  expect(upstream.bytes).toBe(0);
});
