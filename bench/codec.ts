/**
 * What one head costs: the codec of the data path beside node:http's own llhttp, called as node:http calls it, and what the proxy
 * does with a head before it decides. Rounds are
 * interleaved; figures are thread CPU time, median [min-max] over rounds.
 *
 *     node bench/codec.ts [--quick]
 */
import { createRequire } from 'node:module';

import { CanonicalTarget, canonicaliseHead } from '#proxy/http/canonicalise.ts';
import { fieldPolicy, filterRequestFields } from '#proxy/http/fields.ts';
import { DEFAULT_HEAD_LIMITS, RequestHead, ResponseHead } from '#wire/h1/head.ts';
import { parseRequestHead } from '#wire/h1/request.ts';
import { parseResponseHead } from '#wire/h1/response.ts';
import { copyFields } from '#wire/h1/serialise.ts';

interface Subject {
  readonly name: string;
  /** Parses `times` heads; the sum keeps the work from being optimised away. */
  readonly run: (times: number) => number;
}

interface Head {
  readonly name: string;
  readonly subjects: readonly Subject[];
}

/** Measures and prints. It is no gate: it fails nothing. */
function main(args: readonly string[]): void {
  const isQuick = args.includes('--quick');
  const rounds = isQuick ? 5 : 15;
  const times = isQuick ? 50_000 : 200_000;
  console.log(`ns of thread CPU per head, median [min-max] of ${rounds} interleaved rounds of ${times}\n`);
  for (const head of HEADS) {
    const samples = head.subjects.map((): number[] => []);
    for (const { run } of head.subjects) run(times);
    for (let round = 0; round < rounds; round++) {
      head.subjects.forEach(({ run }, index) => samples[index]?.push(nanosecondsOf(run, times)));
    }
    console.log(`${head.name}`);
    head.subjects.forEach(({ name }, index) => console.log(`  ${name.padEnd(34)}${summary(samples[index] ?? [])}`));
  }
}

function nanosecondsOf(run: (times: number) => number, times: number): number {
  const before = process.threadCpuUsage();
  sink += run(times);
  const spent = process.threadCpuUsage(before);
  return ((spent.user + spent.system) * 1000) / times;
}

function summary(samples: readonly number[]): string {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (index: number): string => (sorted[index] ?? 0).toFixed(0).padStart(5);
  return `${at(Math.floor(sorted.length / 2))} [${at(0)}-${at(sorted.length - 1)}]`;
}

function request(bytes: Buffer): (times: number) => number {
  const head = new RequestHead();
  return (times) => {
    let sum = 0;
    for (let count = 0; count < times; count++) sum += parseRequestHead(bytes, 0, bytes.length, head, DEFAULT_HEAD_LIMITS);
    return sum;
  };
}

function response(bytes: Buffer): (times: number) => number {
  const head = new ResponseHead();
  return (times) => {
    let sum = 0;
    for (let count = 0; count < times; count++)
      sum += parseResponseHead(bytes, 0, bytes.length, head, DEFAULT_HEAD_LIMITS, 'GET');
    return sum;
  };
}

function copy(bytes: Buffer): (times: number) => number {
  const head = new RequestHead();
  parseRequestHead(bytes, 0, bytes.length, head, DEFAULT_HEAD_LIMITS);
  const out = Buffer.alloc(16_384);
  return (times) => {
    let sum = 0;
    for (let count = 0; count < times; count++) {
      head.fields.dropped[count % head.fields.count] = 1;
      sum += copyFields(head, out, 0);
      head.fields.dropped[count % head.fields.count] = 0;
    }
    return sum;
  };
}

function canonicalise(bytes: Buffer): (times: number) => number {
  const head = new RequestHead();
  parseRequestHead(bytes, 0, bytes.length, head, DEFAULT_HEAD_LIMITS);
  const target = new CanonicalTarget();
  return (times) => {
    let sum = 0;
    for (let count = 0; count < times; count++) {
      canonicaliseHead(head, 'base', 'https', target);
      sum += target.path.length;
    }
    return sum;
  };
}

function filter(bytes: Buffer): (times: number) => number {
  const head = new RequestHead();
  parseRequestHead(bytes, 0, bytes.length, head, DEFAULT_HEAD_LIMITS);
  const policy = fieldPolicy('allow', ['x-tenant', 'x-role']);
  return (times) => {
    let sum = 0;
    for (let count = 0; count < times; count++) sum += filterRequestFields(head, policy, false);
    return sum;
  };
}

function native(type: number, bytes: Buffer): (times: number) => number {
  const parser = new HTTPParser();
  parser.initialize(type, {}, 65_536, HTTPParser.kLenientNone);
  let sum = 0;
  parser[HTTPParser.kOnHeadersComplete] = (_major: number, minor: number) => {
    sum += minor;
    // The body is not what is measured.
    return 1;
  };
  return (times) => {
    for (let count = 0; count < times; count++) parser.execute(bytes);
    return sum;
  };
}

interface NativeParser {
  initialize(type: number, resource: object, maxHeaderSize: number, lenientFlags: number): void;
  execute(bytes: Buffer): unknown;
  [callback: number]: (major: number, minor: number) => number;
}

// An undocumented module of Node, typed after lib/_http_common.js.
const { HTTPParser } = createRequire(import.meta.url)('_http_common') as {
  readonly HTTPParser: {
    new (): NativeParser;
    readonly REQUEST: number;
    readonly RESPONSE: number;
    readonly kOnHeadersComplete: number;
    readonly kLenientNone: number;
  };
};

const SMALL = Buffer.from('GET / HTTP/1.1\r\nHost: service.namespace\r\n\r\n');

const LARGE = Buffer.from(
  [
    'GET /api/v1/orders/17?expand=lines&currency=EUR HTTP/1.1',
    'Host: orders.shop.svc.cluster.local:8080',
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36',
    'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8',
    'Accept-Encoding: gzip, deflate, br, zstd',
    'Accept-Language: en-GB,en;q=0.9,de;q=0.8',
    'Cache-Control: no-cache',
    'Connection: keep-alive',
    `Cookie: session=${'a1b2c3d4'.repeat(24)}; theme=dark; locale=en-GB`,
    `Authorization: Bearer ${'eyJhbGciOiJFUzI1NiJ9.'.repeat(22)}`,
    'Referer: https://shop.example.com/orders?page=3',
    'X-Request-Id: 6f1d3c1e-8f2a-4b1a-9c0d-2a9b7e1f3c55',
    'Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    'X-Forwarded-For: 203.0.113.9, 10.1.2.3',
    '',
    '',
  ].join('\r\n'),
);

const ANSWER = Buffer.from(
  'HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 1024\r\nServer: app\r\nETag: "17"\r\n\r\n',
);

const HEADS: readonly Head[] = [
  {
    name: `request, ${SMALL.length} bytes, 1 field`,
    subjects: [
      { name: 'codec', run: request(SMALL) },
      { name: 'llhttp by node', run: native(HTTPParser.REQUEST, SMALL) },
    ],
  },
  {
    name: `request, ${LARGE.length} bytes, 13 fields`,
    subjects: [
      { name: 'codec', run: request(LARGE) },
      { name: 'llhttp by node', run: native(HTTPParser.REQUEST, LARGE) },
      { name: 'canonical target', run: canonicalise(LARGE) },
      { name: 'filter of its fields', run: filter(LARGE) },
      { name: 'copy of its fields but one', run: copy(LARGE) },
    ],
  },
  {
    name: `response, ${ANSWER.length} bytes, 5 fields`,
    subjects: [
      { name: 'codec', run: response(ANSWER) },
      { name: 'llhttp by node', run: native(HTTPParser.RESPONSE, ANSWER) },
    ],
  },
];

let sink = 0;

if (import.meta.main) main(process.argv.slice(2));
