/** How streams and connections of callers that speak HTTP/2 end, are bounded and are held back. */
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { h2TlsClient, head, type H2Client } from '#test/support/h2-client.ts';
import { ok, startUpstream, type RawUpstream } from '#test/support/raw-upstream.ts';
import { keep, mesh, MIB, web } from '#test/support/sidecar-pair.ts';
import { eventually, startSidecar, type Sidecar } from '#test/support/sidecar.ts';
import { ERROR_CODE } from '#wire/h2/error-codes.ts';

let upstream: RawUpstream;
let sidecar: Sidecar;

beforeAll(async () => {
  upstream = await startUpstream();
  const forwardTo = `127.0.0.1:${upstream.port}`;
  sidecar = await startSidecar({
    mesh,
    inbound: [{ mtls: 'STRICT', forwardTo }],
    timeouts: { bodyIdle: '1s', response: '1s' },
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

const connect = async (): Promise<H2Client> => keep(await h2TlsClient(sidecar.inboundPort, web));

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
