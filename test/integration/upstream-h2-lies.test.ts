/**
 * An upstream that breaks the rules of HTTP/2, or floods: its callers get a failure with its reason, or a response that visibly breaks
 * off, and never a part of one that looks whole; nobody else notices.
 */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ERROR_CODE } from '#wire/h2/error-codes.ts';
import { FLAG, FRAME, FRAME_HEADER_BYTES, PREFACE } from '#wire/h2/frames.ts';
import { data, frame, headers, number, settings, SETTINGS_ACK } from '#test/conformance/h2/raw-peer.ts';
import { statusOf, valuesOf, type Message } from '#test/support/http-reader.ts';
import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { plainClient } from '#test/support/raw-client.ts';
import { eventually, startSidecar, type Sidecar } from '#test/support/sidecar.ts';

/** What the upstream sends when a request comes, and what is counted of it. */
type Lie = (id: number, write: (bytes: Buffer) => void) => void;

const OK = [[':status', '200']] as const;
const HEAD = FLAG.endHeaders;
const GET = 'GET /x HTTP/1.1\r\nHost: app.test\r\n\r\n';
const mesh = new MeshIdentities();
let sidecar: Sidecar;
let lie: Lie = () => {};
let connections = 0;

beforeAll(async () => {
  const liar = await serve((id, write) => lie(id, write));
  const truthful = await serve((id, write) => write(Buffer.concat([headers(id, OK, HEAD), data(id, 'ok', FLAG.endStream)])));
  sidecar = await startSidecar({
    mesh,
    inbound: [liar, truthful].map((port) => ({ mtls: 'DISABLE', forwardTo: `h2c://127.0.0.1:${port}` })),
    timeouts: { response: '3s' },
    limits: { http2: { ping: '2s' } },
  });
});

afterAll(() => sidecar[Symbol.asyncDispose]());

describe('before a response', () => {
  test.each<readonly [string, Lie, string, string]>([
    ['content without a head', (id, write) => write(data(id, 'x')), 'upstream_malformed', 'message_order'],
    ['a head without a status', (id, write) => write(headers(id, [['a', 'b']], HEAD)), 'upstream_malformed', 'pseudo_missing'],
    ['a status of letters', (id, write) => write(headers(id, [[':status', 'abc']], HEAD)), 'upstream_malformed', 'status'],
    ['a 101', (id, write) => write(headers(id, [[':status', '101']], HEAD)), 'upstream_malformed', 'status'],
    [
      'a field in upper case',
      (id, write) => write(headers(id, [...OK, ['X-Up', 'b']], HEAD)),
      'upstream_malformed',
      'field_name',
    ],
    [
      'a line end in a value',
      (id, write) => write(headers(id, [...OK, ['a', 'b\r\nc: d']], HEAD)),
      'upstream_malformed',
      'field_value',
    ],
    [
      'a connection field',
      (id, write) => write(headers(id, [...OK, ['connection', 'x']], HEAD)),
      'upstream_malformed',
      'field_forbidden',
    ],
    [
      'a chunked coding',
      (id, write) => write(headers(id, [...OK, ['transfer-encoding', 'chunked']], HEAD)),
      'upstream_malformed',
      'field_forbidden',
    ],
    [
      'two lengths',
      (id, write) => write(headers(id, [...OK, ['content-length', '1'], ['content-length', '2']], HEAD)),
      'upstream_malformed',
      '',
    ],
    [
      'a request instead',
      (id, write) =>
        write(
          headers(
            id,
            [
              [':method', 'GET'],
              [':path', '/'],
              [':scheme', 'http'],
            ],
            HEAD,
          ),
        ),
      'upstream_malformed',
      '',
    ],
    [
      'more fields than may be',
      (id, write) => write(headers(id, [...OK, ...Array.from({ length: 120 }, (_, i) => [`n${i}`, 'v'] as const)], HEAD)),
      'upstream_malformed',
      'fields_too_large',
    ],
    [
      'a block that is no HPACK',
      (id, write) => write(frame(FRAME.headers, HEAD, id, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff]))),
      'upstream_malformed',
      'hpack',
    ],
    ['a promise', (id, write) => write(frame(FRAME.pushPromise, HEAD, id, number(2))), 'upstream_malformed', 'push'],
    ['a stream that was never opened', (_id, write) => write(headers(99, OK, HEAD)), 'upstream_malformed', 'stream_idle'],
    ['a stream of its own', (_id, write) => write(headers(2, OK, HEAD)), 'upstream_malformed', 'stream_id'],
    [
      'a frame beyond its size',
      (id, write) => write(frame(FRAME.data, 0, id, Buffer.alloc(20_000))),
      'upstream_malformed',
      'frame_size',
    ],
    [
      'more interim responses than may be',
      (id, write) => write(Buffer.concat(Array.from({ length: 30 }, () => headers(id, [[':status', '103']], HEAD)))),
      'upstream_malformed',
      'too_many_1xx',
    ],
    [
      'an interim response that ends',
      (id, write) => write(headers(id, [[':status', '103']])),
      'upstream_malformed',
      'message_order',
    ],
    [
      'an HTTP/1.1 answer',
      (_id, write) => write(Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil')),
      'upstream_malformed',
      '',
    ],
    [
      'a broken stream',
      (id, write) => write(frame(FRAME.rstStream, 0, id, number(ERROR_CODE.internalError))),
      'upstream_reset',
      'rst_stream_2',
    ],
    [
      'GOAWAY for its request',
      (_id, write) => write(frame(FRAME.goaway, 0, 0, Buffer.concat([number(0), number(0)]))),
      'upstream_refused',
      '',
    ],
    [
      'a flood of PING',
      (_id, write) => write(Buffer.concat(Array.from({ length: 500 }, () => frame(FRAME.ping, 0, 0, '12345678')))),
      'upstream_malformed',
      'too_many_pings',
    ],
    [
      'a flood of SETTINGS',
      (_id, write) => write(Buffer.concat(Array.from({ length: 100 }, () => settings()))),
      'upstream_malformed',
      'too_many_settings',
    ],
    [
      'a flood of empty content',
      (id, write) => write(Buffer.concat([headers(id, OK, HEAD), ...Array.from({ length: 300 }, () => data(id, ''))])),
      '',
      'too_many_empty_frames',
    ],
    [
      'a block without an end',
      (id, write) =>
        write(
          Buffer.concat([
            frame(FRAME.headers, 0, id, Buffer.alloc(10)),
            ...Array.from({ length: 40 }, () => frame(FRAME.continuation, 0, id, Buffer.alloc(10))),
          ]),
        ),
      'upstream_malformed',
      '',
    ],
    ['nothing', () => {}, 'upstream_timeout', ''],
  ])('%s', async (_what, behaviour, reason, detail) => {
    lie = behaviour;
    await using other = await plainClient(sidecar.inbound[1] ?? 0);
    await using client = await plainClient(sidecar.inboundPort);
    client.reader.expect('GET');
    client.write(GET);
    expect((await other.ask(GET)).body.toString()).toBe('ok');
    const final = (): Message | undefined => client.reader.messages.find((message) => statusOf(message) >= 200);
    await client.until(() => client.isOver || final() !== undefined, 8_000);
    const response = final();
    if (reason === '') expect(response).toBeUndefined();
    else {
      const got = response === undefined ? [] : [statusOf(response), ...valuesOf(response.fields, 'x-postern-reason')];
      expect(got).toEqual([{ upstream_timeout: 504, upstream_refused: 503 }[reason] ?? 502, reason]);
      expect(response?.body.toString()).not.toContain('evil');
    }
    if (detail !== '') await sidecar.logged((line) => String(line['response_code_details']).includes(detail));
    expect((await other.ask(GET)).body.toString()).toBe('ok');
    expect(sidecar.process.isRunning).toBe(true);
  });
});

describe('within a response', () => {
  test.each<readonly [string, Lie]>([
    [
      'less than its length',
      (id, write) =>
        write(Buffer.concat([headers(id, [...OK, ['content-length', '10']], HEAD), data(id, 'short', FLAG.endStream)])),
    ],
    [
      'more than its length',
      (id, write) =>
        write(Buffer.concat([headers(id, [...OK, ['content-length', '3']], HEAD), data(id, 'longer', FLAG.endStream)])),
    ],
    [
      'a reset',
      (id, write) =>
        write(
          Buffer.concat([headers(id, OK, HEAD), data(id, 'part'), frame(FRAME.rstStream, 0, id, number(ERROR_CODE.noError))]),
        ),
    ],
    ['a second head', (id, write) => write(Buffer.concat([headers(id, OK, HEAD), data(id, 'part'), headers(id, OK, HEAD)]))],
    [
      'trailers with a pseudo-header',
      (id, write) => write(Buffer.concat([headers(id, OK, HEAD), data(id, 'part'), headers(id, OK)])),
    ],
    [
      'a frame of nonsense',
      (id, write) => write(Buffer.concat([headers(id, OK, HEAD), data(id, 'part'), frame(FRAME.settings, 0, id, '123456')])),
    ],
  ])('%s breaks it off', async (_what, behaviour) => {
    lie = behaviour;
    await using client = await plainClient(sidecar.inboundPort);
    client.reader.expect('GET');
    client.write(GET);
    await client.until(() => client.isOver, 8_000);
    expect(client.reader.messages).toHaveLength(0);
  });
});

test('an upstream that falls silent is asked for a sign of life, and given up without one', async () => {
  // It answers no PING.
  const port = await serve(() => {});
  await using patient = await startSidecar({
    mesh,
    inbound: [{ mtls: 'DISABLE', forwardTo: `h2c://127.0.0.1:${port}` }],
    timeouts: { keepAlive: '1s', response: '60s' },
    limits: { http2: { ping: '1s' } },
  });
  await using client = await plainClient(patient.inboundPort);
  const response = await client.ask(GET);
  expect([statusOf(response), ...valuesOf(response.fields, 'x-postern-reason')]).toEqual([504, 'upstream_timeout']);
  await patient.logged((line) => String(line['response_code_details']).includes('ping_timeout'));
});

test('resets of an upstream end no connection, however many there are', async () => {
  lie = (id, write) => write(frame(FRAME.rstStream, 0, id, number(ERROR_CODE.cancel)));
  await using client = await plainClient(sidecar.inboundPort);
  await client.ask(GET);
  const before = connections;
  for (let i = 0; i < 300; i++) expect(statusOf(await client.ask(GET))).toBe(502);
  expect(connections).toBe(before);
});

test('content that nobody asked for reaches no other exchange', async () => {
  let previous = 0;
  lie = (id, write) => {
    const late = previous === 0 ? [] : [data(previous, 'evil')];
    previous = id;
    write(Buffer.concat([...late, headers(id, OK, HEAD), data(id, 'good', FLAG.endStream)]));
  };
  await using client = await plainClient(sidecar.inboundPort);
  const bodies = new Set<string>();
  for (let i = 0; i < 50; i++) {
    const response = await client.ask(GET);
    bodies.add(statusOf(response) === 200 ? response.body.toString() : String(statusOf(response)));
  }
  // The stream of the lie is over: its connection ends, and with it what was under way.
  expect([...bodies].filter((body) => body !== 'good' && body !== '502')).toEqual([]);
  await eventually('peace', () => sidecar.process.isRunning);
});

/** A server that reads frames well enough to know when a request has come. */
async function serve(answer: Lie): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    connections++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    let pending = Buffer.alloc(0);
    let isGreeted = false;
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      if (!isGreeted && pending.length >= PREFACE.length) {
        isGreeted = true;
        pending = pending.subarray(PREFACE.length);
        socket.write(Buffer.concat([settings(), SETTINGS_ACK]));
      }
      while (isGreeted && pending.length >= FRAME_HEADER_BYTES) {
        const length = pending.readUIntBE(0, 3);
        if (pending.length < FRAME_HEADER_BYTES + length) return;
        const isRequest = pending[3] === FRAME.headers;
        const id = pending.readUInt32BE(5);
        pending = pending.subarray(FRAME_HEADER_BYTES + length);
        if (isRequest) answer(id, (bytes) => socket.write(bytes));
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // Both servers live as long as the file's sidecar.
  servers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  // A server that listens on TCP has such an address.
  return (server.address() as AddressInfo).port;
}

const servers: (() => void)[] = [];
afterAll(() => {
  for (const close of servers) close();
});
