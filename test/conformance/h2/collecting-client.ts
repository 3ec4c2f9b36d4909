/** A client's handler for tests: collects each answer and tells when it is complete. */
import { FRAMING, type ResponseHead } from '#wire/h1/head.ts';
import type { Trailers } from '#wire/h1/chunked.ts';
import type { H2Fault } from '#wire/h2/faults.ts';
import type { ClientEvents } from '#wire/h2/session-events.ts';
import type { H2Stream } from '#wire/h2/stream.ts';

import { fieldsOf } from './echo-handler.ts';
import type { SessionSocket } from './session-socket.ts';

export interface Answer {
  status: number;
  informational: number[];
  fields: readonly (readonly [name: string, value: string])[];
  framing: string;
  content: Buffer;
  trailers: readonly (readonly [name: string, value: string])[];
  /** Why it is not complete. */
  broken: H2Fault | number | null;
}

export interface Call {
  readonly answer: Answer;
  readonly chunks: Buffer[];
  readonly done: (answer: Answer) => void;
}

export interface Question {
  readonly method: string;
  readonly path: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly content: Buffer;
  /** Whether the length is told before. */
  readonly tellsLength: boolean;
  readonly trailers: Trailers | null;
}

export class CollectingClient implements ClientEvents<Call> {
  socket: SessionSocket<Call> | null = null;
  goaways: number[] = [];

  /** Asks, and resolves when the answer is complete or broken off; null when no stream may be opened. */
  ask(question: Question): Promise<Answer> | null {
    const session = this.socket?.session;
    if (session === undefined) return null;
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const answer: Answer = { status: 0, informational: [], fields: [], framing: '', content: EMPTY, trailers: [], broken: null };
    const stream = session.open({ answer, chunks: [], done: resolve }, question.method);
    if (stream === null) return null;
    const { head } = session;
    head.begin();
    head.text(':method', question.method);
    head.text(':scheme', 'http');
    head.text(':path', question.path);
    head.text(':authority', 'peer.test');
    for (const [name, value] of question.fields) head.text(name, value);
    if (question.tellsLength) head.text('content-length', String(question.content.length));
    session.sendHead(stream);
    session.sendData(stream, question.content, 0, question.content.length);
    session.sendEnd(stream, question.trailers);
    this.socket?.flush();
    return promise;
  }

  onInformational(stream: H2Stream<Call>, head: ResponseHead): void {
    stream.owner?.answer.informational.push(head.status);
  }

  onResponse(stream: H2Stream<Call>, head: ResponseHead): void {
    if (stream.owner === null) return;
    stream.owner.answer.status = head.status;
    stream.owner.answer.fields = fieldsOf(head);
    stream.owner.answer.framing = Object.keys(FRAMING)[head.framing] ?? '';
  }

  onData(stream: H2Stream<Call>, bytes: Buffer, start: number, end: number): void {
    stream.owner?.chunks.push(Buffer.from(bytes.subarray(start, end)));
    this.socket?.session.consumed(stream, end - start);
  }

  onEnd(stream: H2Stream<Call>, trailers: Trailers | null): void {
    if (stream.owner === null) return;
    const { answer, chunks, done } = stream.owner;
    answer.content = Buffer.concat(chunks);
    if (trailers !== null) answer.trailers = fieldsOf(trailers);
    done(answer);
  }

  onReset(stream: H2Stream<Call>, code: number, fault: H2Fault | null): void {
    if (stream.owner === null) return;
    stream.owner.answer.broken = fault ?? code;
    stream.owner.done(stream.owner.answer);
  }

  onWritable(): void {
    // Everything was handed over at once.
  }

  onGoaway(_lastStreamId: number, code: number): void {
    this.goaways.push(code);
  }
}

/** A trailer section of these fields, as an HTTP/1.1 decoder leaves it. */
export function trailersOf(lines: string, make: (bytes: number) => Trailers): Trailers {
  const trailers = make(lines.length + 2);
  trailers.bytes.write(lines, 'latin1');
  let at = 0;
  for (const line of lines.split('\r\n')) {
    if (line === '') continue;
    const colon = line.indexOf(':');
    const { count, ids, ranges, dropped } = trailers.fields;
    ranges.set([at, at + colon, at + colon + 2, at + line.length], 4 * count);
    ids[count] = 0;
    dropped[count] = 0;
    trailers.fields.count = count + 1;
    at += line.length + 2;
  }
  trailers.end = at + 2;
  return trailers;
}

const EMPTY = Buffer.alloc(0);
