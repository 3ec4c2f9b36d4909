/**
 * What a session sends: frames into one output, content as the peer's windows let it (RFC 9113, sections 5.2 and 6.9), the rest in
 * the streams' queues, which are served in turn. An end that comes while the last frame of its stream still waits is put into it.
 *
 * Hot path.
 */
import type { Trailers } from '../h1/chunked.ts';
import { FLAG, FRAME, FRAME_HEADER_BYTES, MAX_FRAME_BYTES, PREFACE, writeFrameHeader, writeUint32 } from './frames.ts';
import { HeadWriter } from './head-writer.ts';
import type { H2Limits } from './limits.ts';
import { copyToKeep, Output, recycleOutput } from './output.ts';
import { DEFAULT_WINDOW_BYTES, OWN_SETTINGS_BYTES, writeOwnSettings } from './settings.ts';
import { NO_QUEUE, type H2Stream } from './stream.ts';

export interface OutgoingEvents<Owner> {
  /** A useful frame was sent. */
  frameSent(stream: H2Stream<Owner>): void;
  /** The last byte of our direction was sent. */
  localDone(stream: H2Stream<Owner>): void;
  /** The stream's queue has run empty, and more may follow. */
  writable(stream: H2Stream<Owner>): void;
}

export class Outgoing<Owner> {
  readonly output = new Output();
  readonly head = new HeadWriter();
  /** What we may send on all streams together. */
  sendWindow = DEFAULT_WINDOW_BYTES;
  /** Bytes in the queues of all streams. */
  queuedBytes = 0;
  /** The socket takes nothing: content waits, whatever the windows say. */
  isHeld = false;
  readonly #events: OutgoingEvents<Owner>;
  #waiting: H2Stream<Owner>[] = [];
  /** The last DATA or HEADERS frame that was not yet taken: whose it is, the buffer that it ends in, where it begins there or -1. */
  #lastStream: H2Stream<Owner> | null = null;
  #lastBytes: Buffer | null = null;
  #lastAt = -1;

  constructor(events: OutgoingEvents<Owner>) {
    this.#events = events;
  }

  /** The oldest of what was gathered, which is the caller's from now on; null when there is nothing. */
  take(): Buffer | null {
    this.#lastStream = null;
    // Nor is its buffer held: an idle session keeps none.
    this.#lastBytes = null;
    return this.output.take();
  }

  /** Sends the block of `head`; `endFlag` is `FLAG.endStream` or 0. */
  headers(stream: H2Stream<Owner>, endFlag: number): void {
    const { out, end } = this.head.encoder;
    const { output } = this;
    let from = 0;
    let first = 0;
    do {
      const length = end - from < MAX_FRAME_BYTES ? end - from : MAX_FRAME_BYTES;
      const type = from === 0 ? FRAME.headers : FRAME.continuation;
      const flags = (from === 0 ? endFlag : 0) | (from + length === end ? FLAG.endHeaders : 0);
      output.reserve(FRAME_HEADER_BYTES + length);
      // Where HEADERS stands counts only as long as the frames behind it stand in the same buffer.
      if (from === 0) first = output.length;
      else if (output.length === 0) first = -1;
      const at = writeFrameHeader(output.bytes, output.length, length, type, flags, stream.id);
      output.length = at + out.copy(output.bytes, at, from, from + length);
      from += length;
    } while (from < end);
    this.#note(stream, first);
  }

  /** Sends content, or queues what the windows do not take. */
  data(stream: H2Stream<Owner>, bytes: Buffer, start: number, end: number): void {
    if (stream.isEndAsked || stream.isClosed) return;
    let at = start;
    if (stream.queue.length === 0 && !this.isHeld) {
      for (;;) {
        const sent = this.#dataFrame(stream, bytes, at, end);
        if (sent === 0) break;
        at += sent;
      }
    }
    if (at === end) return;
    const run = copyToKeep(bytes, at, end);
    if (stream.queue === NO_QUEUE) stream.queue = [run];
    else stream.queue.push(run);
    this.#queued(stream, end - at);
    if (stream.isListed) return;
    stream.isListed = true;
    this.#waiting.push(stream);
  }

  /** Ends our direction, behind what is queued. */
  end(stream: H2Stream<Owner>): void {
    if (stream.isEndAsked || stream.isClosed) return;
    stream.isEndAsked = true;
    if (stream.queue.length === 0) this.#finish(stream);
  }

  /** Ends our direction with trailers, behind what is queued. Fields with `dropped` set do not pass. */
  trailers(stream: H2Stream<Owner>, trailers: Trailers): void {
    if (stream.isEndAsked || stream.isClosed) return;
    stream.isEndAsked = true;
    if (stream.queue.length > 0) {
      stream.queuedTrailers = keptLines(trailers);
      this.#queued(stream, stream.queuedTrailers.length);
      return;
    }
    this.head.begin();
    this.head.trailers(trailers);
    this.#finishWithBlock(stream);
  }

  /** Sends what the windows now allow, one frame of each stream after the other. */
  pump(): void {
    if (this.isHeld || this.#waiting.length === 0) return;
    let moved = true;
    while (moved && this.sendWindow > 0) {
      moved = false;
      for (const stream of this.#waiting) if (this.#sendQueued(stream)) moved = true;
    }
    this.#settle();
  }

  /** The same for one stream whose window has grown. */
  pumpOne(stream: H2Stream<Owner>): void {
    if (this.isHeld || !stream.isListed) return;
    while (this.#sendQueued(stream));
    if (stream.queue.length === 0) this.#settle();
  }

  /** A stream is over: what waits on it is not sent. */
  forget(stream: H2Stream<Owner>): void {
    if (this.#lastStream === stream) this.#lastStream = null;
    if (stream.queuedBytes === 0) return;
    this.queuedBytes -= stream.queuedBytes;
    stream.queuedBytes = 0;
    for (const run of stream.queue) recycleOutput(run);
    stream.queue = NO_QUEUE;
    stream.queuedTrailers = null;
    this.#waiting = this.#waiting.filter(isOpen);
  }

  preface(isServer: boolean, limits: H2Limits): void {
    const { output } = this;
    output.reserve(PREFACE.length + OWN_SETTINGS_BYTES);
    if (!isServer) output.length += PREFACE.copy(output.bytes, output.length);
    output.length = writeOwnSettings(output.bytes, output.length, isServer, limits);
    if (limits.sessionWindowBytes > DEFAULT_WINDOW_BYTES) this.windowUpdate(0, limits.sessionWindowBytes - DEFAULT_WINDOW_BYTES);
  }

  settingsAck(): void {
    this.#begin(0, FRAME.settings, FLAG.ack, 0);
  }

  windowUpdate(streamId: number, bytes: number): void {
    const at = this.#begin(4, FRAME.windowUpdate, 0, streamId);
    writeUint32(this.output.bytes, at, bytes);
  }

  reset(streamId: number, code: number): void {
    const at = this.#begin(4, FRAME.rstStream, 0, streamId);
    writeUint32(this.output.bytes, at, code);
  }

  goaway(lastStreamId: number, code: number): void {
    const at = this.#begin(8, FRAME.goaway, 0, 0);
    writeUint32(this.output.bytes, at, lastStreamId);
    writeUint32(this.output.bytes, at + 4, code);
  }

  /** A PING, or the answer to one, with eight bytes of `opaque` from `from`. */
  ping(flags: number, opaque: Buffer, from: number): void {
    const at = this.#begin(8, FRAME.ping, flags, 0);
    opaque.copy(this.output.bytes, at, from, from + 8);
  }

  /** Begins a frame of `length` bytes of payload and returns where that goes. */
  #begin(length: number, type: number, flags: number, streamId: number): number {
    const { output } = this;
    output.reserve(FRAME_HEADER_BYTES + length);
    const at = writeFrameHeader(output.bytes, output.length, length, type, flags, streamId);
    output.length = at + length;
    return at;
  }

  /** Sends as much as one frame and the windows take; returns how much that was. */
  #dataFrame(stream: H2Stream<Owner>, bytes: Buffer, start: number, end: number): number {
    let length = end - start;
    if (length > stream.sendWindow) length = stream.sendWindow;
    if (length > this.sendWindow) length = this.sendWindow;
    if (length > MAX_FRAME_BYTES) length = MAX_FRAME_BYTES;
    if (length <= 0) return 0;
    const at = this.#begin(length, FRAME.data, 0, stream.id);
    bytes.copy(this.output.bytes, at, start, start + length);
    stream.sendWindow -= length;
    this.sendWindow -= length;
    this.#note(stream, at - FRAME_HEADER_BYTES);
    return length;
  }

  #sendQueued(stream: H2Stream<Owner>): boolean {
    const run = stream.queue[0];
    if (run === undefined) return false;
    const sent = this.#dataFrame(stream, run, stream.queueOffset, run.length);
    if (sent === 0) return false;
    stream.queueOffset += sent;
    if (stream.queueOffset === run.length) {
      stream.queue.shift();
      stream.queueOffset = 0;
      recycleOutput(run);
    }
    this.#queued(stream, -sent);
    return true;
  }

  /** Streams that wait no longer leave the list, and end, or tell that they take more. */
  #settle(): void {
    const waited = this.#waiting;
    this.#waiting = waited.filter(isWaiting);
    if (this.#waiting.length === waited.length) return;
    for (const stream of waited) {
      if (stream.queue.length > 0 || stream.isClosed || !stream.isListed) continue;
      stream.isListed = false;
      if (stream.isEndAsked) this.#finish(stream);
      else this.#events.writable(stream);
    }
  }

  #finish(stream: H2Stream<Owner>): void {
    const lines = stream.queuedTrailers;
    if (lines !== null) {
      stream.queuedTrailers = null;
      this.#queued(stream, -lines.length);
      this.head.begin();
      this.head.lines(lines, 0, lines.length);
      this.#finishWithBlock(stream);
      return;
    }
    if (this.#lastStream === stream && this.#lastAt >= 0 && this.#lastBytes === this.output.bytes) {
      const at = this.#lastAt + FLAGS_OFFSET;
      this.output.bytes[at] = (this.output.bytes[at] ?? 0) | FLAG.endStream;
    } else {
      this.#begin(0, FRAME.data, FLAG.endStream, stream.id);
    }
    this.#lastStream = null;
    this.#events.localDone(stream);
  }

  #finishWithBlock(stream: H2Stream<Owner>): void {
    if (this.head.encoder.end === 0) return this.#finish(stream);
    this.headers(stream, FLAG.endStream);
    this.#lastStream = null;
    this.#events.localDone(stream);
  }

  #note(stream: H2Stream<Owner>, first: number): void {
    this.#lastStream = stream;
    this.#lastAt = first;
    this.#lastBytes = this.output.bytes;
    this.#events.frameSent(stream);
  }

  #queued(stream: H2Stream<Owner>, bytes: number): void {
    stream.queuedBytes += bytes;
    this.queuedBytes += bytes;
  }
}

function isOpen<Owner>(stream: H2Stream<Owner>): boolean {
  return !stream.isClosed;
}

function isWaiting<Owner>(stream: H2Stream<Owner>): boolean {
  return stream.queue.length > 0 && !stream.isClosed;
}

/** The trailers that are not dropped, as lines of their own. */
function keptLines({ bytes, end, fields }: Trailers): Buffer {
  const { count, dropped, ranges } = fields;
  const lines = Buffer.allocUnsafe(end + 2 * count);
  let at = 0;
  for (let index = 0; index < count; index++) {
    if (dropped[index] !== 0) continue;
    const entry = index << 2;
    at += bytes.copy(lines, at, ranges[entry] ?? 0, ranges[entry + 1] ?? 0);
    lines[at++] = 58;
    lines[at++] = 32;
    at += bytes.copy(lines, at, ranges[entry + 2] ?? 0, ranges[entry + 3] ?? 0);
    lines[at++] = 13;
    lines[at++] = 10;
  }
  return lines.subarray(0, at);
}

/** Of the flags in a frame's header. */
const FLAGS_OFFSET = 4;
