/**
 * A server's handler for tests: answers every request, once it is complete, with what it was: method, target and host in fields,
 * its content as the content, its trailers as trailers.
 */
import { FRAMING, type MessageHead, type RequestHead } from '#wire/h1/head.ts';
import type { Trailers } from '#wire/h1/chunked.ts';
import type { H2Fault } from '#wire/h2/faults.ts';
import type { ServerEvents } from '#wire/h2/session-events.ts';
import type { H2Stream } from '#wire/h2/stream.ts';

import type { SessionSocket } from './session-socket.ts';

export interface Echo {
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly method: string;
  readonly target: string;
  readonly framing: string;
  content: Buffer[];
}

export class EchoHandler implements ServerEvents<Echo> {
  readonly refused: H2Fault[] = [];
  readonly resets: (H2Fault | number)[] = [];
  requests = 0;
  readonly #socket: () => SessionSocket<Echo>;
  readonly #greeting: Buffer;

  /** @param greeting  content of answers to requests without any */
  constructor(socket: () => SessionSocket<Echo>, greeting = 'postern') {
    this.#socket = socket;
    this.#greeting = Buffer.from(greeting);
  }

  onRequest(stream: H2Stream<Echo>, head: RequestHead): void {
    this.requests++;
    stream.owner = { ...describeRequest(head), content: [] };
  }

  onData(stream: H2Stream<Echo>, bytes: Buffer, start: number, end: number): void {
    stream.owner?.content.push(Buffer.from(bytes.subarray(start, end)));
    this.#socket().session.consumed(stream, end - start);
  }

  onEnd(stream: H2Stream<Echo>, trailers: Trailers | null): void {
    const { owner } = stream;
    if (owner === null) return;
    const { session } = this.#socket();
    const content = owner.content.length === 0 ? this.#greeting : Buffer.concat(owner.content);
    const { head } = session;
    head.begin();
    head.status(200);
    head.text('content-length', String(content.length));
    head.text('x-method', owner.method);
    head.text('x-target', owner.target);
    head.text('x-framing', owner.framing);
    for (const [name, value] of owner.fields) if (name.startsWith('x-echo')) head.text(name, value);
    for (const [name, value] of owner.fields) if (name === 'cookie' || name === 'host') head.text(`x-${name}`, value);
    session.sendHead(stream);
    session.sendData(stream, content, 0, content.length);
    session.sendEnd(stream, trailers);
  }

  onReset(_stream: H2Stream<Echo>, code: number, fault: H2Fault | null): void {
    this.resets.push(fault ?? code);
  }

  onRefused(_streamId: number, fault: H2Fault): void {
    this.refused.push(fault);
  }

  onWritable(): void {
    // Everything was handed over at once.
  }

  onGoaway(): void {
    // The peer closes its connection itself.
  }
}

/** What a head says, as text. */
export function describeRequest(head: RequestHead): Omit<Echo, 'content'> {
  return {
    method: head.method,
    target: head.bytes.toString('latin1', head.targetStart, head.targetEnd),
    framing: Object.keys(FRAMING)[head.framing] ?? '',
    fields: fieldsOf(head),
  };
}

/** The fields of a head or a trailer section, as text. */
export function fieldsOf({ bytes, fields }: MessageHead | Trailers): readonly (readonly [name: string, value: string])[] {
  const { count, ranges } = fields;
  return Array.from({ length: count }, (_, index) => {
    const [start = 0, end = 0, valueStart = 0, valueEnd = 0] = ranges.subarray(4 * index, 4 * index + 4);
    return [bytes.toString('latin1', start, end), bytes.toString('latin1', valueStart, valueEnd)];
  });
}
