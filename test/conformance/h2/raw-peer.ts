/** Frames written and read by hand, and a session's events as text: for tests that say exactly what goes over the wire. */
import type { RequestHead, ResponseHead } from '#wire/h1/head.ts';
import type { Trailers } from '#wire/h1/chunked.ts';
import type { H2Fault } from '#wire/h2/faults.ts';
import { FLAG, FRAME, PREFACE, readUint31, writeFrameHeader } from '#wire/h2/frames.ts';
import { DEFAULT_H2_LIMITS, type H2Limits } from '#wire/h2/limits.ts';
import type { ClientEvents, ServerEvents } from '#wire/h2/session-events.ts';
import { H2Session } from '#wire/h2/session.ts';
import type { H2Stream } from '#wire/h2/stream.ts';

import { fieldsOf } from './echo-handler.ts';

export type Fields = readonly (readonly [name: string, value: string])[];

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

export const GET: Fields = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'app.test'],
];

export const POST: Fields = [
  [':method', 'POST'],
  [':scheme', 'https'],
  [':path', '/orders'],
  [':authority', 'app.test'],
];

export function frame(type: number, flags: number, id: number, payload: Buffer | string = ''): Buffer {
  const content = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload;
  const header = Buffer.alloc(9);
  writeFrameHeader(header, 0, content.length, type, flags, id);
  return Buffer.concat([header, content]);
}

/** A block of literals that are not indexed and not in Huffman's code. */
export function block(fields: Fields): Buffer {
  return Buffer.concat(fields.map(([name, value]) => Buffer.concat([Buffer.of(0), text(name), text(value)])));
}

/** HEADERS with everything in one frame. */
export function headers(id: number, fields: Fields, flags: number = FLAG.endHeaders | FLAG.endStream): Buffer {
  return frame(FRAME.headers, flags, id, block(fields));
}

export function data(id: number, content: Buffer | string, flags = 0): Buffer {
  return frame(FRAME.data, flags, id, content);
}

export function settings(entries: readonly (readonly [setting: number, value: number])[] = []): Buffer {
  const payload = Buffer.alloc(6 * entries.length);
  entries.forEach(([setting, value], index) => {
    payload.writeUInt16BE(setting, 6 * index);
    payload.writeUInt32BE(value, 6 * index + 2);
  });
  return frame(FRAME.settings, 0, 0, payload);
}

export function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export const SETTINGS_ACK = frame(FRAME.settings, FLAG.ack, 0);

/** What a client says first. */
export const HELLO = Buffer.concat([PREFACE, settings(), SETTINGS_ACK]);

/** All that a session wants to send; null when that is nothing. */
export function outputOf(session: H2Session<Buffer[]> | H2Session<string>): Buffer | null {
  const parts: Buffer[] = [];
  for (let part = session.takeOutput(); part !== null; part = session.takeOutput()) parts.push(part);
  return parts.length === 0 ? null : Buffer.concat(parts);
}

/** The frames in `bytes`, which may begin with a client's preface. */
export function frames(bytes: Buffer | null): Frame[] {
  const found: Frame[] = [];
  if (bytes === null) return found;
  let at = bytes.subarray(0, PREFACE.length).equals(PREFACE) ? PREFACE.length : 0;
  while (at < bytes.length) {
    const length = bytes.readUIntBE(at, 3);
    const payload = Buffer.from(bytes.subarray(at + 9, at + 9 + length));
    if (payload.length !== length) throw new Error('Cannot read the output: it ends within a frame');
    found.push({ type: bytes[at + 3] ?? 0, flags: bytes[at + 4] ?? 0, id: readUint31(bytes, at + 5), payload });
    at += 9 + length;
  }
  return found;
}

/** The frames as text, with what tells them apart. */
export function describe(bytes: Buffer | null): string[] {
  return frames(bytes).map(({ flags, id, payload, type }) => {
    const name = NAMES[type] ?? `type ${type}`;
    const end = (type === FRAME.data || type === FRAME.headers) && (flags & FLAG.endStream) !== 0 ? ' end' : '';
    if (type === FRAME.data) return `${name} ${id} ${payload.length}${end}`;
    if (type === FRAME.settings || type === FRAME.ping) return `${name}${(flags & FLAG.ack) === 0 ? '' : ' ack'}`;
    if (type === FRAME.goaway) return `${name} ${payload.readUInt32BE(0)} ${payload.readUInt32BE(4)}`;
    if (type === FRAME.windowUpdate || type === FRAME.rstStream) return `${name} ${id} ${payload.readUInt32BE(0)}`;
    return `${name} ${id}${end}`;
  });
}

/** Writes down every event; consumes what comes unless told not to. */
export class Recorder implements ServerEvents<string>, ClientEvents<string> {
  readonly events: string[] = [];
  readonly heads: { fields: Fields; text: string }[] = [];
  readonly streams = new Map<number, H2Stream<string>>();
  consumes = true;
  session: H2Session<string> | null = null;
  /** Called for each request that begins. */
  onHead: (stream: H2Stream<string>, head: RequestHead | ResponseHead) => void = () => undefined;

  onRequest(stream: H2Stream<string>, head: RequestHead): void {
    this.streams.set(stream.id, stream);
    this.heads.push({ fields: fieldsOf(head), text: head.bytes.toString('latin1', head.start, head.end) });
    this.events.push(`request ${stream.id} ${head.method} ${head.bytes.toString('latin1', head.targetStart, head.targetEnd)}`);
    this.onHead(stream, head);
  }

  onResponse(stream: H2Stream<string>, head: ResponseHead): void {
    this.heads.push({ fields: fieldsOf(head), text: head.bytes.toString('latin1', head.start, head.end) });
    this.events.push(`response ${stream.id} ${head.status}`);
    this.onHead(stream, head);
  }

  onInformational(stream: H2Stream<string>, head: ResponseHead): void {
    this.events.push(`informational ${stream.id} ${head.status}`);
  }

  onData(stream: H2Stream<string>, _bytes: Buffer, start: number, end: number): void {
    this.events.push(`data ${stream.id} ${end - start}`);
    if (this.consumes) this.session?.consumed(stream, end - start);
  }

  onEnd(stream: H2Stream<string>, trailers: Trailers | null): void {
    const names =
      trailers === null
        ? ''
        : ` ${fieldsOf(trailers)
            .map(([name, value]) => `${name}=${value}`)
            .join(' ')}`;
    this.events.push(`end ${stream.id}${names}`);
  }

  onReset(stream: H2Stream<string>, code: number, fault: H2Fault | null): void {
    this.events.push(`reset ${stream.id} ${fault ?? code}`);
  }

  onRefused(streamId: number, fault: H2Fault): void {
    this.events.push(`refused ${streamId} ${fault}`);
  }

  onWritable(stream: H2Stream<string>): void {
    this.events.push(`writable ${stream.id}`);
  }

  onGoaway(lastStreamId: number, code: number): void {
    this.events.push(`goaway ${lastStreamId} ${code}`);
  }
}

/** A server's session that has greeted and been greeted. */
export function server(limits: Partial<H2Limits> = {}, hello = HELLO): { session: H2Session<string>; recorder: Recorder } {
  const recorder = new Recorder();
  const session = new H2Session<string>({ server: recorder, client: null }, { ...DEFAULT_H2_LIMITS, ...limits }, 0);
  recorder.session = session;
  session.receive(hello, 0, hello.length);
  outputOf(session);
  return { session, recorder };
}

/** The same of a client. */
export function client(limits: Partial<H2Limits> = {}): { session: H2Session<string>; recorder: Recorder } {
  const recorder = new Recorder();
  const session = new H2Session<string>({ server: null, client: recorder }, { ...DEFAULT_H2_LIMITS, ...limits }, 0);
  recorder.session = session;
  const hello = Buffer.concat([settings(), SETTINGS_ACK]);
  session.receive(hello, 0, hello.length);
  outputOf(session);
  return { session, recorder };
}

/** Answers with status 200 and this content. */
export function answer(session: H2Session<string>, stream: H2Stream<string>, content: string): void {
  session.head.begin();
  session.head.status(200);
  session.sendHead(stream);
  const bytes = Buffer.from(content);
  session.sendData(stream, bytes, 0, bytes.length);
  session.sendEnd(stream, null);
}

/** Gives a session everything at once. */
export function feed(session: H2Session<string>, ...bytes: readonly Buffer[]): H2Fault | null {
  const all = Buffer.concat(bytes);
  return session.receive(all, 0, all.length);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  const length: number[] = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

const NAMES = [
  'DATA',
  'HEADERS',
  'PRIORITY',
  'RST_STREAM',
  'SETTINGS',
  'PUSH_PROMISE',
  'PING',
  'GOAWAY',
  'WINDOW_UPDATE',
  'CONTINUATION',
];
