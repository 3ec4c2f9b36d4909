/**
 * Cuts the bytes of a connection into frames (RFC 9113, sections 3.4 and 4.1), however they arrive. Content of DATA is handed on
 * as it comes; every other frame is kept until it is whole, at most `MAX_FRAME_BYTES` of it; unknown ones are passed over.
 *
 * Hot path.
 */
import type { H2Fault } from './faults.ts';
import { FLAG, FRAME, FRAME_HEADER_BYTES, PREFACE, readUint31 } from './frames.ts';

/** Takes the frames. Each method returns what is wrong with the connection, or null. */
export interface FrameSink {
  /** Nothing more is wanted. */
  readonly isDead: boolean;
  /** A frame begins; called once for each, before any of its payload. */
  frameBegins(length: number, type: number, flags: number, streamId: number): H2Fault | null;
  /** DATA whose payload of `length` bytes holds `content` bytes of content. */
  dataBegins(streamId: number, length: number, content: number): H2Fault | null;
  dataContent(bytes: Buffer, start: number, end: number): void;
  /** The DATA frame is complete, padding included. */
  dataEnds(content: number, endsStream: boolean): H2Fault | null;
  /** Any other frame, whole. */
  frame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): H2Fault | null;
}

export class FrameReader {
  readonly #sink: FrameSink;
  #state: State;
  /** Bytes of what is being gathered: the preface, a frame's header, a payload. */
  #have = 0;
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  #payload = NOTHING;
  #length = 0;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  /** What is left of DATA's content, or of a frame that is passed over. */
  #left = 0;
  #padding = 0;
  #content = 0;
  #fault: H2Fault | null = null;

  constructor(sink: FrameSink, expectsPreface: boolean) {
    this.#sink = sink;
    this.#state = expectsPreface ? IN_PREFACE : IN_HEADER;
  }

  /** Reads `bytes` from `start` to `end`; after a fault it must not be called again. */
  read(bytes: Buffer, start: number, end: number): H2Fault | null {
    let at = start;
    while (at < end && !this.#sink.isDead) {
      if (this.#state === IN_HEADER) at = this.#readHeader(bytes, at, end);
      else if (this.#state === IN_DATA) at = this.#readData(bytes, at, end);
      else if (this.#state === IN_PAYLOAD) at = this.#readPayload(bytes, at, end);
      else if (this.#state === IN_PAD_LENGTH) at = this.#beginData(bytes[at] ?? 0, at + 1);
      else if (this.#state === IN_SKIP) at = this.#readSkip(at, end);
      else at = this.#readPreface(bytes, at, end);
      if (this.#fault !== null) return this.#fault;
    }
    return null;
  }

  #readPreface(bytes: Buffer, from: number, end: number): number {
    let at = from;
    while (at < end) {
      if (bytes[at++] !== PREFACE[this.#have++]) {
        this.#fault = 'preface';
        return end;
      }
      if (this.#have === PREFACE.length) {
        this.#have = 0;
        this.#state = IN_HEADER;
        break;
      }
    }
    return at;
  }

  #readHeader(bytes: Buffer, from: number, end: number): number {
    if (this.#have === 0 && end - from >= FRAME_HEADER_BYTES) {
      return this.#beginFrame(bytes, from, bytes, from + FRAME_HEADER_BYTES, end);
    }
    let at = from;
    while (at < end && this.#have < FRAME_HEADER_BYTES) this.#header[this.#have++] = bytes[at++] ?? 0;
    if (this.#have < FRAME_HEADER_BYTES) return at;
    this.#have = 0;
    return this.#beginFrame(this.#header, 0, bytes, at, end);
  }

  /** A header is there at `headerAt`; the payload follows in `bytes` from `at`. Returns the offset after what was used. */
  #beginFrame(header: Buffer, headerAt: number, bytes: Buffer, at: number, end: number): number {
    const length = ((header[headerAt] ?? 0) << 16) | ((header[headerAt + 1] ?? 0) << 8) | (header[headerAt + 2] ?? 0);
    const type = header[headerAt + 3] ?? 0;
    const flags = header[headerAt + 4] ?? 0;
    const streamId = readUint31(header, headerAt + 5);
    this.#fault = this.#sink.frameBegins(length, type, flags, streamId);
    if (this.#fault !== null) return end;
    this.#length = length;
    this.#type = type;
    this.#flags = flags;
    this.#streamId = streamId;
    if (type === FRAME.data) {
      if ((flags & FLAG.padded) === 0) return this.#beginData(-1, at);
      this.#state = IN_PAD_LENGTH;
      return at;
    }
    if (type > FRAME.continuation) {
      this.#left = length;
      this.#state = length === 0 ? IN_HEADER : IN_SKIP;
      return at;
    }
    if (end - at >= length) {
      this.#state = IN_HEADER;
      this.#fault = this.#sink.frame(type, flags, streamId, bytes, at, at + length);
      return at + length;
    }
    this.#payload = Buffer.allocUnsafe(length);
    this.#have = 0;
    this.#state = IN_PAYLOAD;
    return at;
  }

  #readPayload(bytes: Buffer, from: number, end: number): number {
    const missing = this.#length - this.#have;
    const taken = end - from < missing ? end - from : missing;
    bytes.copy(this.#payload, this.#have, from, from + taken);
    this.#have += taken;
    if (taken === missing) {
      const payload = this.#payload;
      this.#payload = NOTHING;
      this.#have = 0;
      this.#state = IN_HEADER;
      this.#fault = this.#sink.frame(this.#type, this.#flags, this.#streamId, payload, 0, this.#length);
    }
    return from + taken;
  }

  /** @param padding  the padding's length, -1 when there is not even a byte that says it */
  #beginData(padding: number, at: number): number {
    this.#padding = padding < 0 ? 0 : padding;
    this.#left = this.#length - this.#padding - (padding < 0 ? 0 : 1);
    this.#content = this.#left;
    // RFC 9113, section 6.1: padding as long as the payload or longer.
    this.#fault = this.#left < 0 ? 'frame_padding' : this.#sink.dataBegins(this.#streamId, this.#length, this.#left);
    if (this.#fault !== null) return at;
    this.#state = IN_DATA;
    if (this.#left === 0 && this.#padding === 0) this.#endData();
    return at;
  }

  #readData(bytes: Buffer, from: number, end: number): number {
    let at = from;
    if (this.#left > 0) {
      const taken = end - at < this.#left ? end - at : this.#left;
      this.#left -= taken;
      at += taken;
      this.#sink.dataContent(bytes, from, at);
    }
    if (this.#left > 0) return at;
    const taken = end - at < this.#padding ? end - at : this.#padding;
    this.#padding -= taken;
    at += taken;
    if (this.#padding === 0) this.#endData();
    return at;
  }

  #endData(): void {
    this.#state = IN_HEADER;
    if (!this.#sink.isDead) this.#fault = this.#sink.dataEnds(this.#content, (this.#flags & FLAG.endStream) !== 0);
  }

  #readSkip(from: number, end: number): number {
    const taken = end - from < this.#left ? end - from : this.#left;
    this.#left -= taken;
    if (this.#left === 0) this.#state = IN_HEADER;
    return from + taken;
  }
}

type State = 0 | 1 | 2 | 3 | 4 | 5;
const IN_PREFACE = 0;
const IN_HEADER = 1;
const IN_PAYLOAD = 2;
const IN_DATA = 3;
const IN_PAD_LENGTH = 4;
const IN_SKIP = 5;

const NOTHING: Buffer = Buffer.alloc(0);
