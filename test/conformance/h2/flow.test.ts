/**
 * Two sessions face to face, their bytes cut anywhere, sockets full at times, content consumed late: no side ever sends more than
 * the other has granted, nothing stalls, and every content arrives as it was. A ledger of the frames is kept apart from both.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';

import type { RequestHead, ResponseHead } from '#wire/h1/head.ts';
import type { Trailers } from '#wire/h1/chunked.ts';
import type { H2Fault } from '#wire/h2/faults.ts';
import { FLAG, FRAME } from '#wire/h2/frames.ts';
import { DEFAULT_H2_LIMITS, type H2Limits } from '#wire/h2/limits.ts';
import type { ClientEvents, ServerEvents } from '#wire/h2/session-events.ts';
import { H2Session } from '#wire/h2/session.ts';
import { DEFAULT_WINDOW_BYTES, SETTING } from '#wire/h2/settings.ts';
import type { H2Stream } from '#wire/h2/stream.ts';

import { frames, outputOf } from './raw-peer.ts';

test('flow control overdraws nothing, stalls nothing, loses nothing', () => {
  const windows = fc.record({
    streamWindowBytes: fc.constantFrom(2000, 16_384, 65_535, 200_000),
    sessionWindowBytes: fc.constantFrom(65_535, 70_000, 300_000),
  });
  const scene = fc.record({
    client: windows,
    server: windows,
    sizes: fc.array(fc.constantFrom(0, 1, 99, 5000, 16_384, 70_000, 150_000), { minLength: 1, maxLength: 12 }),
    steps: fc.array(fc.nat({ max: 1e6 }), { minLength: 20, maxLength: 200 }),
  });
  fc.assert(
    fc.property(scene, ({ client, server, sizes, steps }) => {
      const pair = new Pair({ ...DEFAULT_H2_LIMITS, ...client }, { ...DEFAULT_H2_LIMITS, ...server });
      let next = 0;
      for (const step of steps) {
        if (step % 3 === 0 && next < sizes.length) pair.ask(sizes[next++] ?? 0);
        pair.step(step);
      }
      while (next < sizes.length) pair.ask(sizes[next++] ?? 0);
      pair.finish();
      expect(pair.faults).toEqual([]);
      expect(pair.answered).toBe(sizes.length);
      expect(pair.client.session.openStreams + pair.server.session.openStreams).toBe(0);
      expect(pair.client.session.waitingBytes + pair.server.session.waitingBytes).toBe(0);
    }),
    { numRuns: 100 },
  );
}, 60_000);

test('a window of one byte lets everything through, byte by byte', () => {
  const limits = { ...DEFAULT_H2_LIMITS, streamWindowBytes: 1 };
  const pair = new Pair(limits, limits);
  pair.finish();
  for (const size of [0, 1, 300]) pair.ask(size);
  pair.finish();
  expect(pair.faults).toEqual([]);
  expect(pair.answered).toBe(3);
});

/** One end: collects content, answers or compares it, and consumes it when told. */
class End implements ServerEvents<Buffer[]>, ClientEvents<Buffer[]> {
  readonly session: H2Session<Buffer[]>;
  readonly pair: Pair;
  readonly unconsumed: { stream: H2Stream<Buffer[]>; bytes: number }[] = [];
  /** Bytes on their way to the other end. */
  onTheWay = Buffer.alloc(0);

  constructor(pair: Pair, isServer: boolean, limits: H2Limits) {
    this.pair = pair;
    this.session = new H2Session<Buffer[]>(isServer ? { server: this, client: null } : { server: null, client: this }, limits, 0);
  }

  onRequest(stream: H2Stream<Buffer[]>, _head: RequestHead): void {
    stream.owner = [];
    // Answers while the request is still coming.
    this.session.head.begin();
    this.session.head.status(200);
    this.session.sendHead(stream);
  }

  onResponse(_stream: H2Stream<Buffer[]>, _head: ResponseHead): void {
    // Only the content is compared.
  }

  onInformational(): void {
    throw new Error('Cannot happen: nobody sends interim responses here');
  }

  onData(stream: H2Stream<Buffer[]>, bytes: Buffer, start: number, end: number): void {
    this.unconsumed.push({ stream, bytes: end - start });
    const copy = Buffer.from(bytes.subarray(start, end));
    if (this === this.pair.server) this.session.sendData(stream, copy, 0, copy.length);
    else stream.owner?.push(copy);
  }

  onEnd(stream: H2Stream<Buffer[]>, _trailers: Trailers | null): void {
    if (this === this.pair.server) this.session.sendEnd(stream, null);
    else {
      const [sent = Buffer.alloc(0), ...came] = stream.owner ?? [];
      if (!Buffer.concat(came).equals(sent)) this.pair.faults.push(`content of ${stream.id}`);
      this.pair.answered++;
    }
  }

  onReset(stream: H2Stream<Buffer[]>, code: number, fault: H2Fault | null): void {
    this.pair.faults.push(`reset ${stream.id} ${fault ?? code}`);
  }

  onRefused(streamId: number, fault: H2Fault): void {
    this.pair.faults.push(`refused ${streamId} ${fault}`);
  }

  onWritable(): void {
    // Content is handed over whole; what waits is the session's.
  }

  onGoaway(): void {
    this.pair.faults.push('goaway');
  }

  consume(count: number): void {
    for (const { stream, bytes } of this.unconsumed.splice(0, count)) this.session.consumed(stream, bytes);
  }
}

class Pair {
  readonly faults: string[] = [];
  answered = 0;
  readonly client: End;
  readonly server: End;
  readonly #fromClient: Ledger;
  readonly #fromServer: Ledger;

  constructor(clientLimits: H2Limits, serverLimits: H2Limits) {
    this.client = new End(this, false, clientLimits);
    this.server = new End(this, true, serverLimits);
    this.#fromClient = new Ledger(this.faults);
    this.#fromServer = new Ledger(this.faults);
  }

  ask(size: number): void {
    const { session } = this.client;
    const content = Buffer.alloc(size);
    for (let at = 0; at < size; at += 61) content[at] = (at * 7 + size) % 251;
    const stream = session.open([content], 'POST');
    if (stream === null) throw new Error('Cannot open a stream');
    const { head } = session;
    head.begin();
    for (const [name, value] of [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', 'a'],
    ] as const) {
      head.text(name, value);
    }
    session.sendHead(stream);
    session.sendData(stream, content, 0, size);
    session.sendEnd(stream, null);
  }

  /** One thing happens, as `random` wills. */
  step(random: number): void {
    const end = random % 2 === 0 ? this.client : this.server;
    switch (random % 7) {
      case 0:
        end.session.hold();
        break;
      case 1:
        end.session.release();
        break;
      case 2:
        end.consume(1 + (random % 5));
        break;
      default:
        this.#carry(end, 1 + (random % 40_000));
    }
  }

  /** Everything that is still to happen happens. */
  finish(): void {
    for (let round = 0; round < 1_000_000; round++) {
      for (const end of [this.client, this.server]) {
        end.session.release();
        end.consume(end.unconsumed.length);
        this.#carry(end, 1e9);
      }
      const isQuiet = [this.client, this.server].every((end) => end.onTheWay.length === 0 && end.unconsumed.length === 0);
      if (isQuiet && this.client.session.waitingBytes + this.server.session.waitingBytes === 0) return;
      if (isQuiet && round > 500_000) break;
    }
    this.faults.push('stalled');
  }

  #carry(from: End, most: number): void {
    const to = from === this.client ? this.server : this.client;
    const [own, others] = from === this.client ? [this.#fromClient, this.#fromServer] : [this.#fromServer, this.#fromClient];
    const output = outputOf(from.session);
    if (output !== null) {
      for (const frame of frames(output)) {
        own.sends(frame.type, frame.id, frame.payload);
        others.isGranted(frame.type, frame.flags, frame.id, frame.payload);
      }
      from.onTheWay = Buffer.concat([from.onTheWay, output]);
    }
    const carried = Math.min(most, from.onTheWay.length);
    // In a buffer of its own, in the middle: whoever keeps offsets into it is found out.
    const bytes = Buffer.concat([Buffer.alloc(7, 255), from.onTheWay.subarray(0, carried), Buffer.alloc(3, 255)]);
    from.onTheWay = from.onTheWay.subarray(carried);
    const fault = to.session.receive(bytes, 7, 7 + carried);
    bytes.fill(255);
    if (fault !== null) this.faults.push(fault);
  }
}

/** What one direction has been granted and has used. */
class Ledger {
  readonly #faults: string[];
  #session = DEFAULT_WINDOW_BYTES;
  #initial = DEFAULT_WINDOW_BYTES;
  readonly #used = new Map<number, number>();
  readonly #granted = new Map<number, number>();

  constructor(faults: string[]) {
    this.#faults = faults;
  }

  sends(type: number, id: number, payload: Buffer): void {
    if (type !== FRAME.data) return;
    this.#session -= payload.length;
    const used = (this.#used.get(id) ?? 0) + payload.length;
    this.#used.set(id, used);
    if (this.#session < 0) this.#faults.push('session overdrawn');
    if (used > Math.max(this.#initial, DEFAULT_WINDOW_BYTES) + (this.#granted.get(id) ?? 0)) this.#faults.push(`${id} overdrawn`);
  }

  isGranted(type: number, flags: number, id: number, payload: Buffer): void {
    if (type === FRAME.settings && (flags & FLAG.ack) === 0) {
      for (let at = 0; at < payload.length; at += 6) {
        if (payload.readUInt16BE(at) === SETTING.initialWindowSize) this.#initial = payload.readUInt32BE(at + 2);
      }
    }
    if (type !== FRAME.windowUpdate) return;
    if (id === 0) this.#session += payload.readUInt32BE(0);
    else this.#granted.set(id, (this.#granted.get(id) ?? 0) + payload.readUInt32BE(0));
  }
}
