/**
 * The session against node:http2 (nghttp2) over real sockets, as server and as client: random heads, contents, trailers and orders
 * give the same messages on both sides. `POSTERN_FUZZ_SEED` makes other runs.
 */
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Random } from '#test/fuzz/h1-inputs.ts';
import { Trailers } from '#wire/h1/chunked.ts';
import { DEFAULT_H2_LIMITS } from '#wire/h2/limits.ts';

import { CollectingClient, trailersOf, type Answer, type Question } from './collecting-client.ts';
import { EchoHandler, type Echo } from './echo-handler.ts';
import { connectSession, serveSessions } from './session-socket.ts';

const SEED = Number(process.env['POSTERN_FUZZ_SEED'] ?? 20_260_201);
const EXCHANGES = Number(process.env['POSTERN_H2_EXCHANGES'] ?? 400);
const IN_FLIGHT = 24;

describe(`as server, node:http2 as client (seed ${SEED})`, () => {
  let port = 0;
  let close = (): Promise<void> => Promise.resolve();
  let client: http2.ClientHttp2Session;

  beforeAll(async () => {
    // Small windows, so that contents wait for them in both directions.
    const limits = { ...DEFAULT_H2_LIMITS, streamWindowBytes: 65_535, sessionWindowBytes: 131_070 };
    ({ port, close } = await serveSessions<Echo>((socket) => new EchoHandler(socket, ''), limits));
    client = http2.connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 30_000 } });
  });

  afterAll(async () => {
    client.destroy();
    await close();
  });

  test('what is sent comes back', async () => {
    const random = new Random(SEED);
    await inFlight(EXCHANGES, async () => {
      const question = randomQuestion(random);
      const answer = await askNatively(client, question);
      expect(answer).toMatchObject(expectedOf(question));
    });
  }, 60_000);

  test('cookie crumbs are one field, in their order', async () => {
    const stream = client.request({ ':path': '/', cookie: ['a=1', 'b=2', 'c=3'] });
    const [headers] = await once<http2.IncomingHttpHeaders>(stream, 'response');
    stream.resume();
    expect(headers['x-cookie']).toBe('a=1; b=2; c=3');
  });

  test('HEAD, 1xx and early ends go by', async () => {
    const stream = client.request({ ':path': '/', ':method': 'OPTIONS' }, { endStream: true });
    const [headers] = await once<http2.IncomingHttpHeaders>(stream, 'response');
    stream.resume();
    expect(headers[':status']).toBe(200);
    const aborted = client.request({ ':path': '/slow', ':method': 'POST' });
    aborted.write('half');
    aborted.close(http2.constants.NGHTTP2_CANCEL);
    await once(aborted, 'close');
    const after = await askNatively(client, { ...PLAIN, path: '/after' });
    expect(after.fields).toContainEqual(['x-target', '/after']);
  });
});

describe(`as client, node:http2 as server (seed ${SEED})`, () => {
  let server: http2.Http2Server;
  const client = new CollectingClient();

  beforeAll(async () => {
    server = http2.createServer({ settings: { initialWindowSize: 30_000, maxConcurrentStreams: IN_FLIGHT } });
    server.on('stream', echoNatively);
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const limits = { ...DEFAULT_H2_LIMITS, streamWindowBytes: 65_535, sessionWindowBytes: 131_070 };
    // A server on a TCP port has an address of this type.
    client.socket = await connectSession((server.address() as AddressInfo).port, client, limits);
  });

  afterAll(() => {
    client.socket?.socket.destroy();
    server.close();
  });

  test('what is sent comes back', async () => {
    const random = new Random(SEED + 1);
    await inFlight(EXCHANGES, async () => {
      const question = randomQuestion(random);
      const answer = await client.ask(question);
      expect(answer).toMatchObject(expectedOf(question));
    });
    expect(client.socket?.session.openStreams).toBe(0);
  }, 60_000);

  test('an interim response is told before the final one', async () => {
    const answer = await client.ask({ ...PLAIN, path: '/early-hints' });
    expect(answer).toMatchObject({ status: 200, informational: [103], broken: null });
  });

  test('the answer to HEAD has no content, whatever length it names', async () => {
    const answer = await client.ask({ ...PLAIN, method: 'HEAD', path: '/head' });
    expect(answer).toMatchObject({ status: 200, framing: 'none', broken: null });
  });

  test('a reset by the server breaks the one stream', async () => {
    const [broken, fine] = await Promise.all([client.ask({ ...PLAIN, path: '/reset' }), client.ask({ ...PLAIN, path: '/fine' })]);
    expect(broken?.broken).toBe(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
    expect(fine).toMatchObject({ status: 200, broken: null });
  });

  test('more streams than the server allows are not opened', async () => {
    const answers = Array.from({ length: IN_FLIGHT + 5 }, () => client.ask({ ...PLAIN, path: '/many' }));
    expect(answers.filter((answer) => answer === null)).toHaveLength(5);
    for (const answer of answers) if (answer !== null) await answer;
  });
});

const PLAIN: Question = { method: 'GET', path: '/', fields: [], content: Buffer.alloc(0), tellsLength: false, trailers: null };

function randomQuestion(random: Random): Question {
  const content = random.below(3) === 0 ? Buffer.alloc(0) : randomContent(random);
  const trailing = content.length > 0 && random.below(4) === 0 ? `x-sum: ${random.below(1e6)}\r\nx-end: yes\r\n` : '';
  const fields = Array.from({ length: random.below(8) }, (_, index) => {
    const value =
      ['', 'v', 'same', 'x'.repeat(random.below(200)), String(random.below(1e9)), '\u00e9\u00ff'][random.below(6)] ?? '';
    return [`x-echo-${index}`, value] as const;
  });
  return {
    method: content.length === 0 ? 'GET' : 'POST',
    path: `/p/${random.below(50)}?q=${'y'.repeat(random.below(100))}`,
    fields,
    content,
    tellsLength: content.length > 0 && random.below(2) === 0,
    trailers: trailing === '' ? null : trailersOf(trailing, (bytes) => new Trailers(bytes)),
  };
}

function randomContent(random: Random): Buffer {
  const content = Buffer.alloc(random.below(5) === 0 ? random.below(300_000) : random.below(2000));
  for (let at = 0; at < content.length; at += 97) content[at] = random.below(256);
  return content;
}

function expectedOf({ content, fields, path, trailers }: Question): Record<string, unknown> {
  const texts = trailers === null ? [] : [...trailers.bytes.toString('latin1').matchAll(/([^:]+): (.*)\r\n/g)];
  return {
    status: 200,
    broken: null,
    content,
    fields: expect.arrayContaining([['x-target', path], ...fields]),
    trailers: texts.map(([, name = '', value = '']) => [name, value] as const),
  };
}

async function askNatively(client: http2.ClientHttp2Session, question: Question): Promise<Partial<Answer>> {
  const headers: http2.OutgoingHttpHeaders = { ':path': question.path, ':method': question.method };
  for (const [name, value] of question.fields) headers[name] = value;
  if (question.tellsLength) headers['content-length'] = question.content.length;
  const { trailers } = question;
  const stream = client.request(headers, { waitForTrailers: trailers !== null, endStream: question.content.length === 0 });
  if (trailers !== null) {
    stream.on('wantTrailers', () => {
      const texts = trailers.bytes.toString('latin1').matchAll(/([^:]+): (.*)\r\n/g);
      stream.sendTrailers(Object.fromEntries([...texts].map(([, name = '', value = '']) => [name, value])));
    });
  }
  const chunks: Buffer[] = [];
  let trailing: readonly (readonly [string, string])[] = [];
  stream.on('data', (bytes: Buffer) => chunks.push(bytes));
  stream.on('trailers', (fields: http2.IncomingHttpHeaders) => {
    trailing = Object.entries(fields).map(([name, value]) => [name, String(value)] as const);
  });
  if (question.content.length > 0) stream.end(question.content);
  const [answer] = await once<http2.IncomingHttpHeaders>(stream, 'response');
  if (!stream.readableEnded) await once(stream, 'end');
  const status = Number(answer[':status']);
  const fields = Object.entries(answer).map(
    ([name, value]) => [name, Buffer.from(String(value), 'latin1').toString('latin1')] as const,
  );
  return { status, broken: null, content: Buffer.concat(chunks), fields, trailers: trailing };
}

function echoNatively(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, flags: number): void {
  stream.on('error', () => undefined);
  const path = headers[':path'] ?? '';
  if (path === '/reset') return stream.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
  if (path === '/early-hints') stream.additionalHeaders({ ':status': 103, link: '</style.css>' });
  const answer: http2.OutgoingHttpHeaders = { ':status': 200, 'x-target': path };
  for (const [name, value] of Object.entries(headers)) if (name.startsWith('x-echo')) answer[name] = value;
  if (path === '/head') answer['content-length'] = 17;
  if (flags % 2 === 1) {
    stream.respond(answer, { endStream: true });
    return undefined;
  }
  const chunks: Buffer[] = [];
  let trailing: http2.OutgoingHttpHeaders | null = null;
  stream.on('data', (bytes: Buffer) => chunks.push(bytes));
  stream.on('trailers', (fields: http2.IncomingHttpHeaders) => (trailing = { ...fields }));
  stream.on('end', () => {
    stream.respond(answer, { waitForTrailers: trailing !== null });
    stream.on('wantTrailers', () => stream.sendTrailers(trailing ?? {}));
    stream.end(Buffer.concat(chunks));
  });
  return undefined;
}

async function inFlight(count: number, exchange: () => Promise<void>): Promise<void> {
  let left = count;
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      while (left-- > 0) await exchange();
    }),
  );
}

function once<T = unknown>(emitter: NodeJS.EventEmitter, event: string): Promise<[T]> {
  return new Promise((happened, failed) => {
    emitter.once(event, (...args: unknown[]) => happened(args as [T]));
    emitter.once('error', failed);
  });
}
