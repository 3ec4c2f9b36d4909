/** gRPC calls that fail on the way, written by hand: what the caller is told, and that the workload sees nothing it could take for whole. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import type { Fields } from '#test/conformance/h2/raw-peer.ts';
import { freePort } from '#test/support/free-port.ts';
import { h2TlsClient, head, type H2Client, type Received } from '#test/support/h2-client.ts';
import { startUpstream, type RawUpstream } from '#test/support/raw-upstream.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { eventually, policyYaml, startSidecar, type Sidecar } from '#test/support/sidecar.ts';
import { ERROR_CODE } from '#wire/h2/error-codes.ts';

let upstream: RawUpstream;
let sidecar: Sidecar;

beforeAll(async () => {
  upstream = await startUpstream();
  sidecar = await startSidecar({
    mesh,
    inbound: [
      { mtls: 'STRICT', forwardTo: `http://127.0.0.1:${upstream.port}` },
      { mtls: 'STRICT', forwardTo: `http://127.0.0.1:${await freePort()}` },
    ],
    policies: {
      'app.yaml': policyYaml('app', { action: 'ALLOW', rules: [{}] }),
      'no.yaml': policyYaml('no', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/pkg.Service/No'] } }] }] }),
    },
    limits: { grpcMessage: '1KiB' },
    timeouts: { request: '3s', bodyIdle: '1s', response: '10s' },
  });
});

beforeEach(() => {
  upstream.behaviour = { onRequest: () => {} };
  upstream.forget();
});

afterAll(async () => {
  await sidecar?.[Symbol.asyncDispose]();
  await upstream?.[Symbol.asyncDispose]();
});

const connect = async (listener = 0): Promise<H2Client> => keep(await h2TlsClient(sidecar.inbound[listener] ?? 0, web));

/** A call's head. */
function call(method: string, more: Fields = [], type = 'application/grpc'): Fields {
  return head('POST', `/pkg.Service/${method}`, [['content-type', type], ['te', 'trailers'], ...more]);
}

function message(length: number, flag = 0): Buffer {
  const bytes = Buffer.alloc(5 + length, 97);
  bytes[0] = flag;
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

function told(received: Received): object {
  return {
    http: received.status,
    grpc: received.valueOf('grpc-status'),
    reason: received.valueOf('x-postern-reason'),
    bytes: received.bytes,
    hasEnded: received.hasEnded,
  };
}

/** A head and nothing behind it. */
function only(grpc: number, reason: string): object {
  return { http: 200, grpc: String(grpc), reason, bytes: 0, hasEnded: true };
}

test('a denial is told before the call is complete, and the rest of it is not wanted', async () => {
  const client = await connect();
  const id = client.open(call('No'), false);
  const received = await client.answer(id);
  await client.until(() => received.reset >= 0);
  expect(told(received)).toEqual(only(7, 'denied_by_policy'));
  expect(received.reset).toBe(ERROR_CODE.noError);
  expect(received.valueOf('grpc-message')).toBe(`postern: access denied (decision ${received.valueOf('x-postern-decision-id')})`);
  expect(received.valueOf('content-type')).toBe('application/grpc');
  expect(upstream.bytes).toBe(0);
});

test.each(['application/grpc-web', 'application/grpc-web+proto', 'application/json'])('a denial of %s is HTTP', async (type) => {
  const client = await connect();
  const received = await client.ask(call('No', [], type), message(3));
  expect([received.status, received.valueOf('grpc-status')]).toEqual([403, undefined]);
  expect(received.text).toBe('postern: access denied\n');
});

test.each(['', '1', 'S', '1s', '-1S', '123456789S', '1.5S', '99999999999999999999H'])(
  'a grpc-timeout of "%s" is refused',
  async (value) => {
    const client = await connect();
    const received = await client.ask(call('Ask', [['grpc-timeout', value]]), message(3));
    expect(told(received)).toEqual(only(13, 'bad_field'));
    expect(upstream.bytes).toBe(0);
  },
);

test('two grpc-timeouts are refused', async () => {
  const client = await connect();
  const received = await client.ask(
    call('Ask', [
      ['grpc-timeout', '1S'],
      ['grpc-timeout', '9H'],
    ]),
    message(3),
  );
  expect(told(received)).toEqual(only(13, 'bad_field'));
});

describe('a deadline', () => {
  test.each([
    { asked: '400m', least: 400, most: 1_500 },
    { asked: '99999999H', least: 3_000, most: 4_500 },
    { asked: null, least: 3_000, most: 4_500 },
  ])('of $asked ends a silent call between $least and $most ms', async ({ asked, least, most }) => {
    const client = await connect();
    const started = performance.now();
    const received = await client.ask(call('Ask', asked === null ? [] : [['grpc-timeout', asked]]), message(3));
    const tookMs = performance.now() - started;
    expect(told(received)).toEqual(only(4, 'request_timeout'));
    expect(tookMs).toBeGreaterThan(least - 1);
    expect(tookMs).toBeLessThan(most);
    await eventually('the upstream to be given up', () => upstream.connections.some(({ end }) => end === 'reset'));
  });

  test('that is clamped goes on as it is kept', async () => {
    const client = await connect();
    const id = client.open(call('Ask', [['grpc-timeout', '1H']]), true);
    await eventually('the request', () => upstream.requests.length === 1);
    expect(upstream.requests[0]?.head).toMatch(/\r\ngrpc-timeout: 3000m\r\n/);
    expect(upstream.requests[0]?.head.match(/grpc-timeout/g)?.length).toBe(1);
    client.reset(id, ERROR_CODE.cancel);
  });

  test('after the response has begun is told in its trailers', async () => {
    upstream.behaviour = {
      onRequest: (connection) =>
        connection.write(
          'HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n\0\0\0\0\x03abc\r\n',
        ),
    };
    const client = await connect();
    const received = await client.ask(call('Watch', [['grpc-timeout', '400m']]), message(3));
    expect(told(received)).toEqual({ http: 200, grpc: '4', reason: 'request_timeout', bytes: 8, hasEnded: true });
    expect(received.trailers.map(([name]) => name)).toContain('grpc-status');
  });
});

describe('a message', () => {
  test.each([
    {
      why: 'that is too large, by its prefix alone',
      bytes: message(5_000).subarray(0, 5),
      grpc: 8,
      reason: 'grpc_message_too_large',
    },
    { why: 'with reserved bits in its flag', bytes: message(3, 0x80), grpc: 13, reason: 'bad_body' },
  ])('$why ends the call', async ({ bytes, grpc, reason }) => {
    const client = await connect();
    const id = client.open(call('Ask'), false);
    client.data(id, message(10));
    await eventually('the first message', () => upstream.connections.some(({ reader }) => reader.bodyBytes === 15));
    client.data(id, bytes);
    expect(told(await client.answer(id))).toEqual(only(grpc, reason));
    await eventually('the reset', () => upstream.connections.some(({ end }) => end === 'reset'));
    expect(upstream.connections.every(({ reader }) => reader.bodyBytes <= 15)).toBe(true);
    expect(upstream.requests).toEqual([]);
  });

  test('of the response that is too large is not passed on', async () => {
    upstream.behaviour = {
      onRequest: (connection) => {
        connection.write('HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n');
        connection.write(Buffer.concat([Buffer.from('7d5\r\n'), message(2_000), Buffer.from('\r\n')]));
      },
    };
    const client = await connect();
    const received = await client.ask(call('Ask'), message(3));
    expect(told(received)).toEqual({ http: 200, grpc: '8', reason: 'grpc_message_too_large', bytes: 0, hasEnded: true });
  });
});

describe('an upstream', () => {
  test('that is not there is UNAVAILABLE', async () => {
    const client = await connect(1);
    expect(told(await client.ask(call('Ask'), message(3)))).toEqual(only(14, 'upstream_connect_failed'));
  });

  test('that breaks off after its head is told in trailers', async () => {
    upstream.behaviour = {
      onRequest: (connection) => {
        connection.write('HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n');
        setTimeout(() => connection.socket.resetAndDestroy(), 30);
      },
    };
    const client = await connect();
    const received = await client.ask(call('Ask'), message(3));
    expect(told(received)).toEqual({ http: 200, grpc: '14', reason: 'upstream_reset', bytes: 0, hasEnded: true });
    expect(await sidecar.logged((line) => line['reason'] === 'upstream_reset')).toMatchObject({
      grpc_status: 14,
      verdict: 'failed',
    });
  });
});

test('a stream of messages may be silent for longer than a body', async () => {
  const client = await connect();
  const id = client.open(call('Chat', [['grpc-timeout', '2500m']]), false);
  client.data(id, message(3));
  const received = await client.answer(id);
  expect(received.valueOf('x-postern-reason')).toBe('request_timeout');
});
