/**
 * What HTTP/2 costs: a header block read and written, a DATA frame read and written, and a whole exchange between a client and a
 * server in memory beside the same exchange by node:http2, the only form in which it can be called. Rounds are interleaved;
 * figures are thread CPU time, median [min-max] over rounds.
 *
 *     node bench/codec-h2.ts [--quick]
 */
import http2 from 'node:http2';
import { duplexPair } from 'node:stream';

import { FIELD, RequestHead, ResponseHead, type MessageHead } from '#wire/h1/head.ts';
import type { Trailers } from '#wire/h1/chunked.ts';
import { DEFAULT_HEAD_LIMITS } from '#wire/h1/head.ts';
import { parseRequestHead } from '#wire/h1/request.ts';
import { parseResponseHead } from '#wire/h1/response.ts';
import { FRAME, writeFrameHeader } from '#wire/h2/frames.ts';
import { HeadReader } from '#wire/h2/head-reader.ts';
import { HeadWriter } from '#wire/h2/head-writer.ts';
import { DEFAULT_H2_LIMITS } from '#wire/h2/limits.ts';
import { recycleOutput } from '#wire/h2/output.ts';
import type { ClientEvents, ServerEvents } from '#wire/h2/session-events.ts';
import { H2Session } from '#wire/h2/session.ts';
import type { H2Stream } from '#wire/h2/stream.ts';

interface Subject {
  readonly name: string;
  /** Does it `times` times; the sum keeps the work from being optimised away. */
  readonly run: (times: number) => number | Promise<number>;
  /** How much less often than the others it is done; what is cheap is done more often, because the clock of CPU time is coarse. */
  readonly every: number;
}

/** Measures and prints. It is no gate: it fails nothing. */
async function main(args: readonly string[]): Promise<void> {
  const isQuick = args.includes('--quick');
  const rounds = isQuick ? 5 : 15;
  const times = isQuick ? 20_000 : 100_000;
  console.log(
    `ns of thread CPU each, median [min-max] of ${rounds} interleaved rounds of ${times}, slow ones less, fast ones more\n`,
  );
  const samples = SUBJECTS.map((): number[] => []);
  for (const { every, run } of SUBJECTS) sink += await run(times / every);
  for (let round = 0; round < rounds; round++) {
    for (const [index, { every, run }] of SUBJECTS.entries()) {
      const before = process.threadCpuUsage();
      sink += await run(times / every);
      const spent = process.threadCpuUsage(before);
      samples[index]?.push(((spent.user + spent.system) * 1000) / (times / every));
    }
  }
  SUBJECTS.forEach(({ name }, index) => console.log(`${name.padEnd(64)}${summary(samples[index] ?? [])}`));
}

function summary(samples: readonly number[]): string {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (index: number): string => (sorted[index] ?? 0).toFixed(0).padStart(6);
  return `${at(Math.floor(sorted.length / 2))} [${at(0)}-${at(sorted.length - 1)}]`;
}

type Lines = readonly string[];

/** Blocks of `heads` requests that differ in path and ids, as an encoder of ours writes them once its table is warm. */
function requestBlocks(lines: (index: number) => Lines, heads: number): { warm: Buffer[]; blocks: Buffer[] } {
  const writer = new HeadWriter();
  const blocks = Array.from({ length: WARM + heads }, (_, index) => {
    writer.begin();
    writer.request(requestHead(lines(index)), '', 'https', '');
    return Buffer.from(writer.encoder.out.subarray(0, writer.encoder.end));
  });
  return { warm: blocks.slice(0, WARM), blocks: blocks.slice(WARM) };
}

function readRequests(lines: (index: number) => Lines, heads: number): (times: number) => number {
  const { warm, blocks } = requestBlocks(lines, heads);
  const reader = new HeadReader(DEFAULT_H2_LIMITS);
  for (const block of warm) reader.request(block, 0, block.length, true);
  return (times) => {
    let faults = 0;
    for (let count = 0; count < times; count++) {
      const block = blocks[count % heads] ?? NOTHING;
      if (reader.request(block, 0, block.length, true) !== null) faults++;
    }
    if (faults > 0) throw new Error('Cannot measure: a block was refused');
    return faults;
  };
}

function writeRequests(lines: (index: number) => Lines, heads: number): (times: number) => number {
  const writer = new HeadWriter();
  const parsed = Array.from({ length: heads }, (_, index) => requestHead(lines(index)));
  return (times) => {
    let sum = 0;
    for (let count = 0; count < times; count++) {
      const head = parsed[count % heads];
      if (head === undefined) continue;
      writer.begin();
      writer.request(head, '', 'https', '');
      sum += writer.encoder.end;
    }
    return sum;
  };
}

function writeResponses(lines: (index: number) => Lines, heads: number): (times: number) => number {
  const writer = new HeadWriter();
  const parsed = Array.from({ length: heads }, (_, index) => responseHead(lines(index)));
  return (times) => {
    let sum = 0;
    for (let count = 0; count < times; count++) {
      const head = parsed[count % heads];
      if (head === undefined) continue;
      writer.begin();
      writer.response(head);
      sum += writer.encoder.end;
    }
    return sum;
  };
}

function requestHead(lines: Lines): RequestHead {
  const head = new RequestHead();
  const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  if (parseRequestHead(bytes, 0, bytes.length, head, DEFAULT_HEAD_LIMITS) <= 0) throw new Error('Cannot read the request');
  return head;
}

function responseHead(lines: Lines): ResponseHead {
  const head = new ResponseHead();
  const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  if (parseResponseHead(bytes, 0, bytes.length, head, DEFAULT_HEAD_LIMITS, 'GET') <= 0)
    throw new Error('Cannot read the response');
  // As the filter leaves it: the length is written anew.
  for (let index = 0; index < head.fields.count; index++) {
    if (head.fields.ids[index] === FIELD.contentLength) head.fields.dropped[index] = 1;
  }
  return head;
}

/** A handler that answers, or asks again, with as little of its own as possible. */
class Quiet implements ServerEvents<null>, ClientEvents<null> {
  session: H2Session<null> | null = null;
  ended = 0;
  bytes = 0;
  content = NOTHING;
  answers = false;

  onRequest(stream: H2Stream<null>, _head: MessageHead): void {
    const { session } = this;
    if (session === null || !this.answers) return;
    session.head.begin();
    session.head.response(ANSWER);
    session.sendHead(stream);
    session.sendData(stream, this.content, 0, this.content.length);
    session.sendEnd(stream, null);
  }

  onData(stream: H2Stream<null>, _bytes: Buffer, start: number, end: number): void {
    this.bytes += end - start;
    this.session?.consumed(stream, end - start);
  }

  onEnd(_stream: H2Stream<null>, _trailers: Trailers | null): void {
    this.ended++;
  }

  onResponse(): void {
    // The end is what is counted.
  }
  onInformational(): void {
    // None is sent.
  }
  onReset(): void {
    throw new Error('Cannot measure: a stream was reset');
  }
  onRefused(): void {
    throw new Error('Cannot measure: a request was refused');
  }
  onWritable(): void {
    // Everything was handed over.
  }
  onGoaway(): void {
    // The session goes on.
  }
}

/** A client and a server in memory; what each says is handed to the other. */
class Pair {
  readonly client: H2Session<null>;
  readonly server: H2Session<null>;
  readonly asked = new Quiet();
  readonly answered = new Quiet();

  constructor(answers: boolean) {
    this.client = new H2Session<null>({ server: null, client: this.asked }, DEFAULT_H2_LIMITS, 0);
    this.server = new H2Session<null>({ server: this.answered, client: null }, DEFAULT_H2_LIMITS, 0);
    this.asked.session = this.client;
    this.answered.session = this.server;
    this.answered.answers = answers;
    this.turn();
    this.turn();
  }

  turn(): void {
    for (const [from, to] of [
      [this.client, this.server],
      [this.server, this.client],
    ] as const) {
      for (let output = from.takeOutput(); output !== null; output = from.takeOutput()) {
        if (to.receive(output, 0, output.length) !== null) throw new Error('Cannot measure: the session ended');
        recycleOutput(output);
      }
    }
  }

  open(head: RequestHead): H2Stream<null> {
    const stream = this.client.open(null, 'GET');
    if (stream === null) throw new Error('Cannot measure: no stream');
    this.client.head.begin();
    this.client.head.request(head, '', 'https', '');
    this.client.sendHead(stream);
    return stream;
  }
}

/** Exchanges of `content` bytes, 8 in a turn. */
function exchange(content: number): (times: number) => number {
  const pair = new Pair(true);
  pair.answered.content = Buffer.alloc(content);
  const heads = Array.from({ length: 64 }, (_, index) => requestHead(CALL(index)));
  let time = 0;
  return (times) => {
    for (let count = 0; count < times; count += 8) {
      for (let stream = 0; stream < 8; stream++) {
        const head = heads[(count + stream) % 64];
        if (head !== undefined) pair.client.sendEnd(pair.open(head), null);
      }
      pair.turn();
      if (pair.client.openStreams > 0) pair.turn();
      // The floods' windows are turned, as an owner does.
      if (count % 4096 !== 0) continue;
      time += 10_000;
      pair.client.tick(time);
      pair.server.tick(time);
    }
    return pair.asked.ended;
  };
}

/** The same by node:http2, whose sessions talk over a pair of streams in memory. */
function nativeExchange(content: number): (times: number) => Promise<number> {
  const body = Buffer.alloc(content);
  const server = http2.createServer();
  server.on('stream', (stream: http2.ServerHttp2Stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/json', 'x-revision': '7', 'content-length': content });
    stream.end(body);
  });
  const [near, far] = duplexPair();
  server.emit('connection', far);
  const client = http2.connect('http://orders.shop', { createConnection: () => near });
  client.unref();
  let next = 0;
  const one = (done: () => void): void => {
    const stream = client.request({ ':path': `/orders/${next++ % 64}`, 'user-agent': 'bench/1', accept: 'application/json' });
    stream.on('data', () => undefined);
    stream.on('end', done);
  };
  return async (times) => {
    for (let count = 0; count < times; count += 8) {
      let left = 8;
      await new Promise<void>((done) => {
        const ended = (): void => {
          if (--left === 0) done();
        };
        for (let stream = 0; stream < 8; stream++) one(ended);
      });
    }
    return times;
  };
}

/** DATA frames of `size` bytes, read by a server. */
function readData(size: number): (times: number) => number {
  const pair = new Pair(false);
  const stream = pair.open(requestHead(CALL(0)));
  pair.turn();
  const bytes = Buffer.alloc(size + 9);
  writeFrameHeader(bytes, 0, size, FRAME.data, 0, stream.id);
  return (times) => {
    for (let count = 0; count < times; count++) {
      if (pair.server.receive(bytes, 0, bytes.length) !== null) throw new Error('Cannot measure: the session ended');
      if (count % 64 === 0) pair.server.takeOutput();
    }
    return pair.answered.bytes;
  };
}

/** DATA frames of `size` bytes, written by a client whose windows are kept open. */
function writeData(size: number): (times: number) => number {
  const pair = new Pair(false);
  const stream = pair.open(requestHead(CALL(0)));
  pair.turn();
  const content = Buffer.alloc(size);
  const updates = Buffer.alloc(26);
  for (const [index, id] of [stream.id, 0].entries()) {
    writeFrameHeader(updates, 13 * index, 4, FRAME.windowUpdate, 0, id);
    updates.writeUInt32BE(4 * size, 13 * index + 9);
  }
  return (times) => {
    let sum = 0;
    for (let count = 0; count < times; count++) {
      pair.client.sendData(stream, content, 0, size);
      if (count % 4 !== 0) continue;
      for (let output = pair.client.takeOutput(); output !== null; output = pair.client.takeOutput()) {
        sum += output.length;
        recycleOutput(output);
      }
      if (pair.client.receive(updates, 0, updates.length) !== null) throw new Error('Cannot measure: the session ended');
    }
    return sum;
  };
}

const CALL = (index: number): Lines => [
  `GET /orders/${index % 64} HTTP/1.1`,
  'host: orders.shop',
  'user-agent: bench/1',
  'accept: application/json',
];

const GRPC: Lines = [
  'POST /shop.Orders/Find HTTP/1.1',
  'host: orders.shop',
  'content-type: application/grpc',
  'te: trailers',
  'grpc-encoding: identity',
  'grpc-accept-encoding: identity,deflate,gzip',
  'user-agent: grpc-bench/1',
];

const LARGE = (index: number): Lines => [
  `GET /api/v1/orders/${index * 7919}?expand=lines&currency=EUR HTTP/1.1`,
  'host: orders.shop.svc.cluster.local:8080',
  'user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36',
  'accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8',
  'accept-encoding: gzip, deflate, br, zstd',
  'accept-language: en-GB,en;q=0.9,de;q=0.8',
  'cache-control: no-cache',
  `cookie: session=${'a1b2c3d4'.repeat(24)}; theme=dark; locale=en-GB`,
  `authorization: Bearer ${'eyJhbGciOiJFUzI1NiJ9.'.repeat(22)}`,
  'referer: https://shop.example.com/orders?page=3',
  `x-request-id: 6f1d3c1e-8f2a-4b1a-9c0d-${String(index * 104_729).padStart(12, '0')}`,
  `traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-${String(index * 15_485_863).padStart(16, '0')}-01`,
];

const ANSWER_LINES = (index: number): Lines => [
  'HTTP/1.1 200 OK',
  'date: Thu, 01 Jan 2026 00:00:00 GMT',
  'content-type: application/json; charset=utf-8',
  `content-length: ${1000 + (index % 40)}`,
  'server: app',
  `etag: "${index}"`,
];

const NOTHING = Buffer.alloc(0);
const ANSWER = responseHead(['HTTP/1.1 200 OK', 'content-type: application/json', 'x-revision: 7']);
/** Heads that are written before, so that the tables hold what they will hold. */
const WARM = 8;
const DISTINCT = 10_000;

const SUBJECTS: readonly Subject[] = [
  { name: 'read a request, 7 fields, always the same (memo)', run: readRequests(() => GRPC, 1), every: 0.1 },
  {
    name: 'read a request, 4 fields, 10,000 paths',
    run: readRequests((index) => [`GET /orders/${index} HTTP/1.1`, ...CALL(0).slice(1)], DISTINCT),
    every: 1,
  },
  { name: 'read a request, 12 fields with token and cookie, 10,000 paths', run: readRequests(LARGE, DISTINCT), every: 1 },
  { name: 'write a request, 7 fields, always the same (memo)', run: writeRequests(() => GRPC, 1), every: 0.1 },
  { name: 'write a request, 12 fields with token and cookie, 10,000 paths', run: writeRequests(LARGE, DISTINCT), every: 1 },
  { name: 'write a response, 5 fields, always the same (memo)', run: writeResponses(() => ANSWER_LINES(1), 1), every: 0.1 },
  { name: 'write a response, 5 fields, 10,000 tags', run: writeResponses(ANSWER_LINES, DISTINCT), every: 1 },
  { name: 'read a DATA frame of 16 bytes', run: readData(16), every: 0.1 },
  { name: 'read a DATA frame of 16 KiB', run: readData(16_384), every: 0.1 },
  { name: 'write a DATA frame of 16 bytes', run: writeData(16), every: 0.1 },
  { name: 'write a DATA frame of 16 KiB', run: writeData(16_384), every: 0.1 },
  { name: 'an exchange of 1 KiB, both ends, 8 in a turn', run: exchange(1024), every: 10 },
  { name: 'the same by node:http2', run: nativeExchange(1024), every: 40 },
];

let sink = 0;

if (import.meta.main) {
  await main(process.argv.slice(2));
  process.exit(Number.isNaN(sink) ? 1 : 0);
}
