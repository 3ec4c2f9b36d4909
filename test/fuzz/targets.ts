/**
 * Everything of ours that reads bytes of a peer, as fuzz targets. A target makes inputs of its kind, reads one, and says what came of
 * it in a few words, the same for inputs of the same fate: an input with a new fate is worth keeping. It throws when a promise is broken:
 * no exception but ours, the same result however the bytes are cut, bounds kept.
 */
import { parseMessages } from '#cli/verbs/http-parse.ts';
import { FieldTable } from '#wire/h1/head.ts';
import { MessageScanner } from '#wire/grpc/message-scanner.ts';
import { parseGrpcTimeout } from '#wire/grpc/timeout.ts';
import { DecodedFields } from '#wire/h2/hpack/decoded-fields.ts';
import { HpackDecoder } from '#wire/h2/hpack/decoder.ts';
import { DEFAULT_H2_LIMITS } from '#wire/h2/limits.ts';
import { H2Session } from '#wire/h2/session.ts';
import { Recorder } from '#test/conformance/h2/raw-peer.ts';
import { readClientHello } from '#wire/sniff/client-hello.ts';
import { readFirstBytes } from '#wire/sniff/first-bytes.ts';
import { readProxyHeader } from '#wire/sniff/proxy-protocol.ts';
import { FrameFollower } from '#wire/websocket/frame-follower.ts';

import { type Random, randomRequests, randomResponses } from './h1-inputs.ts';
import { randomBlock, randomClient, randomServer } from './h2-inputs.ts';
import { randomHello, randomProxyHeader } from './sniff-inputs.ts';

export interface FuzzTarget {
  readonly name: string;
  generate(random: Random): Buffer;
  /** Reads the input; `random` decides how it is cut. */
  run(bytes: Buffer, random: Random): string;
}

export const FUZZ_TARGETS: readonly FuzzTarget[] = [
  { name: 'h1', generate: randomRequests, run: (bytes) => runHttp1('request', bytes) },
  { name: 'h1-response', generate: randomResponses, run: (bytes) => runHttp1('response', bytes) },
  { name: 'h2', generate: randomClient, run: (bytes, random) => runSession('server', bytes, random) },
  { name: 'h2-client', generate: randomServer, run: (bytes, random) => runSession('client', bytes, random) },
  { name: 'hpack', generate: randomBlock, run: runHpack },
  { name: 'clienthello', generate: randomHello, run: runHello },
  { name: 'proxy', generate: randomProxyHeader, run: runProxyHeader },
  { name: 'grpc', generate: randomMessages, run: runGrpc },
  { name: 'websocket', generate: randomFrames, run: runWebsocket },
];

function runHttp1(kind: 'request' | 'response', bytes: Buffer): string {
  const whole = parseMessages(kind, bytes, 'GET', true);
  if (whole.ok === null) return 'incomplete';
  return whole.ok ? `${Math.min(3, whole.messages.length)} messages` : whole.code;
}

function runSession(role: 'server' | 'client', bytes: Buffer, random: Random): string {
  const whole = session(role, bytes, () => bytes.length);
  const cut = session(role, bytes, () => 1 + random.below(40));
  if (whole !== cut) throw new Error(`read as "${whole}" in one piece and as "${cut}" in several`);
  // What happened, without numbers: ids and sizes are no fate.
  return [...new Set(whole.split('\n').map((line) => line.replaceAll(/ ?\d+/gu, '').slice(0, 40)))].slice(-3).join(', ');
}

function session(role: 'server' | 'client', bytes: Buffer, length: () => number): string {
  const recorder = new Recorder();
  const roles = role === 'server' ? ({ server: recorder, client: null } as const) : ({ server: null, client: recorder } as const);
  const session_ = new H2Session<string>(roles, DEFAULT_H2_LIMITS, 0);
  recorder.session = session_;
  for (const method of role === 'client' ? ['GET', 'POST', 'HEAD', 'CONNECT'] : []) session_.open('', method);
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + length());
    session_.receive(bytes, at, end);
    at = end;
  }
  if (session_.openStreams > DEFAULT_H2_LIMITS.concurrentStreams) throw new Error(`${session_.openStreams} streams are open`);
  if (session_.waitingBytes > 64 * 1024) throw new Error(`${session_.waitingBytes} bytes wait`);
  session_.tick(60_000);
  const events: string[] = [];
  for (const event of recorder.events) {
    const [kind, id = '', size] = event.split(' ');
    const [lastKind, lastId, lastSize] = events.at(-1)?.split(' ') ?? [];
    // Content may be told in pieces, as it was cut.
    const continues = kind === 'data' && lastKind === 'data' && lastId === id;
    if (continues) events.pop();
    events.push(kind === 'data' ? `data ${id} ${Number(size) + (continues ? Number(lastSize) : 0)}` : event);
  }
  return `${events.join('\n')}\n${session_.fault ?? 'alive'}`;
}

function runHpack(bytes: Buffer): string {
  const decoder = new HpackDecoder();
  const fields = new DecodedFields();
  fields.begin(new FieldTable(), 0, true, DEFAULT_H2_LIMITS);
  const fault = decoder.decode(bytes, 0, bytes.length, fields);
  if (decoder.table.bytes.length > 16_384) throw new Error(`a table of ${decoder.table.bytes.length} bytes`);
  return fault ?? `${Math.min(decoder.table.count, 3)} in the table`;
}

function runHello(bytes: Buffer): string {
  const first = readFirstBytes(bytes, 0, bytes.length);
  // Only what begins like one is looked at as a ClientHello.
  if (first !== 'tls') return first;
  const hello = readClientHello(bytes, 0, bytes.length);
  if (hello !== 'more') {
    // More bytes behind a decided one change nothing, and fewer were never another answer than `more`.
    for (let end = 1; end < Math.min(bytes.length, 200); end += 7) {
      const part = readClientHello(bytes, 0, end);
      if (typeof part !== 'string' && JSON.stringify(part) !== JSON.stringify(hello)) throw new Error('a part reads otherwise');
    }
  }
  return `${typeof hello === 'string' ? hello : `alpn ${Math.min(2, hello.alpn.length)} name ${hello.serverName !== null}`}`;
}

function runProxyHeader(bytes: Buffer): string {
  const header = readProxyHeader(bytes, 0, bytes.length);
  if (typeof header === 'string') return header;
  if (header.length > bytes.length) throw new Error(`a header of ${header.length} bytes in ${bytes.length}`);
  return `source ${header.source !== null}`;
}

function runGrpc(bytes: Buffer, random: Random): string {
  const whole = new MessageScanner();
  const cut = new MessageScanner();
  const found = whole.scan(bytes, 0, bytes.length, 100_000);
  let other = 0;
  for (let at = 0; at < bytes.length && other === 0;) {
    const end = Math.min(bytes.length, at + 1 + random.below(9));
    other = cut.scan(bytes, at, end, 100_000);
    at = end;
  }
  if (found !== other || whole.messages !== cut.messages) throw new Error(`scanned as ${found} and ${other}`);
  const timeout = parseGrpcTimeout(bytes, 0, Math.min(bytes.length, 12));
  if (Number.isNaN(timeout)) throw new Error('a timeout that is no number');
  return `${found} ${Math.min(whole.messages, 3)} ${timeout < 0 ? 'no timeout' : 'timeout'}`;
}

function runWebsocket(bytes: Buffer, random: Random): string {
  const whole = new FrameFollower();
  const cut = new FrameFollower();
  whole.follow(bytes, 0, bytes.length);
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + 1 + random.below(9));
    cut.follow(bytes, at, end);
    at = end;
  }
  const state = ({ isLost, hasClosed, isAtBoundary }: FrameFollower): string => `${isLost} ${hasClosed} ${isAtBoundary}`;
  if (state(whole) !== state(cut)) throw new Error(`followed to ${state(whole)} and ${state(cut)}`);
  return state(whole);
}

function randomMessages(random: Random): Buffer {
  if (random.below(5) === 0) return Buffer.from(`${random.below(1e9)}${random.pick(['H', 'M', 'S', 'm', 'u', 'n', 'x', ''])}`);
  const parts: Buffer[] = [];
  for (let count = random.below(5); count > 0; count--) {
    const length = random.below(8) === 0 ? random.below(2 ** 31) : random.below(60);
    const prefix = Buffer.alloc(5);
    prefix[0] = random.below(10) === 0 ? random.below(256) : random.below(2);
    prefix.writeUInt32BE(length, 1);
    parts.push(prefix, Buffer.alloc(Math.min(length, 60), random.below(256)));
  }
  return Buffer.concat(parts);
}

function randomFrames(random: Random): Buffer {
  const parts: Buffer[] = [];
  for (let count = random.below(5); count > 0; count--) {
    const length = random.pick([0, 1, 125, 126, 300, 65_535]);
    const isMasked = random.below(2) === 0;
    const size = length < 126 ? [length] : [126, length >> 8, length & 255];
    const head = Buffer.from([random.below(256), (size[0] ?? 0) | (isMasked ? 128 : 0), ...size.slice(1)]);
    parts.push(head, Buffer.alloc(isMasked ? 4 : 0), Buffer.alloc(Math.min(length, 300)));
  }
  return Buffer.concat(parts);
}
