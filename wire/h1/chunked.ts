/**
 * The chunked coding (RFC 9112, section 7.1), decoded by pulling: every byte is validated, line ends are CRLF, sizes have at most
 * twelve hex digits, and what a sender may add to each chunk is bounded over the whole body. Extensions are checked and forgotten;
 * trailers are collected for whoever forwards them.
 *
 * Hot path: no allocation but for the first trailer section of a decoder.
 */

import { BACKSLASH, CR, EQUALS, HEX, LF, QUOTE, QUOTED, SEMICOLON, TEXT, TOKEN } from './characters.ts';
import { FAULT } from './faults.ts';
import { parseFieldLines } from './field-lines.ts';
import { FieldTable } from './head.ts';

/** Bounds of one body's overhead. */
export interface ChunkLimits {
  /** Bytes of chunk extensions, over all chunks of a body. */
  readonly extensionBytes: number;
  /** Bytes of the trailer section with the empty line that ends it. */
  readonly trailerBytes: number;
  readonly trailerFields: number;
}

/** A trailer section; the ranges of `fields` point into `bytes`, and `end` is the offset after the empty line. */
export class Trailers {
  readonly bytes: Buffer;
  readonly fields = new FieldTable();
  end = 0;

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size);
  }
}

export const DEFAULT_CHUNK_LIMITS: ChunkLimits = {
  extensionBytes: 4096,
  trailerBytes: 8192,
  trailerFields: 64,
};

/**
 * Decodes one chunked body after another. Call `next` until it returns `end` or `isDone`; each call may hand out a run of body
 * bytes as `dataStart` to `dataEnd`. After a fault only `reset` makes it usable again.
 */
export class ChunkedDecoder {
  /** First byte of the run that the last `next` found. */
  dataStart = 0;
  /** The byte after it; equal to `dataStart` when there was none. */
  dataEnd = 0;
  /** The body, its trailers included, is complete. */
  isDone = false;
  /** The trailer section of a complete body, null when it was empty. Overwritten by the next body. */
  trailers: Trailers | null = null;

  #limits = DEFAULT_CHUNK_LIMITS;
  #state: number = STATE.size;
  #left = 0;
  #digits = 0;
  #extensionBytes = 0;
  #collected = 0;
  #buffer: Trailers | null = null;

  /** Makes it ready for a new body. */
  reset(limits: ChunkLimits = DEFAULT_CHUNK_LIMITS): void {
    this.dataStart = 0;
    this.dataEnd = 0;
    this.isDone = false;
    this.trailers = null;
    if (limits.trailerBytes !== this.#limits.trailerBytes) this.#buffer = null;
    this.#limits = limits;
    this.#state = STATE.size;
    this.#left = 0;
    this.#digits = 0;
    this.#extensionBytes = 0;
    this.#collected = 0;
  }

  /**
   * Reads on in `bytes` from `pos`, up to the end of the first run of body bytes, the end of the body, or `end`.
   *
   * @returns the offset after what it read, or a negative fault (`wireFault`)
   */
  next(bytes: Buffer, pos: number, end: number): number {
    let index = pos;
    this.dataStart = pos;
    this.dataEnd = pos;
    while (index < end) {
      if (this.#state === STATE.data) {
        const run = end - index < this.#left ? end - index : this.#left;
        this.dataStart = index;
        this.dataEnd = index + run;
        this.#left -= run;
        if (this.#left === 0) this.#state = STATE.dataCr;
        return this.dataEnd;
      }
      if (this.#state === STATE.trailers) return this.#readTrailers(bytes, index, end);
      const fault = this.#step(bytes[index] ?? 0);
      if (fault < 0) return fault;
      index++;
      if (this.isDone) return index;
    }
    return index;
  }

  /** One byte of a chunk's head or end. */
  #step(byte: number): number {
    switch (this.#state) {
      case STATE.size: {
        const digit = HEX[byte] ?? 255;
        if (digit !== 255) {
          if (++this.#digits > MAX_SIZE_DIGITS) return FAULT.chunkSize;
          this.#left = this.#left * 16 + digit;
          return 0;
        }
        if (this.#digits === 0) return FAULT.chunkSize;
        if (byte === CR) this.#state = STATE.sizeLf;
        else if (byte === SEMICOLON) return this.#extension(STATE.nameStart);
        else return byte === LF ? FAULT.lineEnd : FAULT.chunkSize;
        return 0;
      }
      case STATE.sizeLf:
        if (byte !== LF) return FAULT.lineEnd;
        this.#digits = 0;
        this.#state = this.#left === 0 ? STATE.lastChunk : STATE.data;
        return 0;
      case STATE.dataCr:
        if (byte !== CR) return FAULT.chunkDataEnd;
        this.#state = STATE.dataLf;
        return 0;
      case STATE.dataLf:
        if (byte !== LF) return FAULT.chunkDataEnd;
        this.#state = STATE.size;
        return 0;
      case STATE.lastChunk:
        if (byte !== CR) return this.#firstTrailerByte(byte);
        this.#state = STATE.lastLf;
        return 0;
      case STATE.lastLf:
        if (byte !== LF) return FAULT.lineEnd;
        this.isDone = true;
        return 0;
      default:
        return this.#extensionByte(byte);
    }
  }

  /** chunk-ext without the blanks that RFC 9112, section 7.1.1 lets a recipient tolerate: parsers differ on them. */
  #extensionByte(byte: number): number {
    const isToken = TOKEN[byte] !== 0;
    switch (this.#state) {
      case STATE.nameStart:
        return isToken ? this.#extension(STATE.name) : extensionFault(byte);
      case STATE.name:
        if (isToken) return this.#extension(STATE.name);
        if (byte === EQUALS) return this.#extension(STATE.valueStart);
        return this.#extensionEnd(byte);
      case STATE.valueStart:
        if (byte === QUOTE) return this.#extension(STATE.quoted);
        return isToken ? this.#extension(STATE.value) : extensionFault(byte);
      case STATE.value:
        return isToken ? this.#extension(STATE.value) : this.#extensionEnd(byte);
      case STATE.quoted:
        if (byte === QUOTE) return this.#extension(STATE.valueEnd);
        if (byte === BACKSLASH) return this.#extension(STATE.quotedPair);
        return QUOTED[byte] === 1 ? this.#extension(STATE.quoted) : extensionFault(byte);
      case STATE.quotedPair:
        return TEXT[byte] === 1 ? this.#extension(STATE.quoted) : extensionFault(byte);
      default:
        return this.#extensionEnd(byte);
    }
  }

  #extension(state: number): number {
    this.#state = state;
    return ++this.#extensionBytes > this.#limits.extensionBytes ? FAULT.chunkExtensionTooLarge : 0;
  }

  #extensionEnd(byte: number): number {
    if (byte === SEMICOLON) return this.#extension(STATE.nameStart);
    if (byte !== CR) return extensionFault(byte);
    this.#state = STATE.sizeLf;
    return 0;
  }

  #firstTrailerByte(byte: number): number {
    if (TOKEN[byte] === 0) return byte === LF ? FAULT.lineEnd : FAULT.trailer;
    this.#buffer ??= new Trailers(this.#limits.trailerBytes);
    this.#buffer.bytes[0] = byte;
    this.#collected = 1;
    this.#state = STATE.trailers;
    return 0;
  }

  /** Collects trailer bytes and parses them anew; the bound on them bounds that work too. */
  #readTrailers(bytes: Buffer, index: number, end: number): number {
    const trailers = this.#buffer;
    if (trailers === null) return FAULT.trailer;
    const before = this.#collected;
    const room = trailers.bytes.length - before;
    const taken = end - index < room ? end - index : room;
    bytes.copy(trailers.bytes, before, index, index + taken);
    this.#collected = before + taken;
    const { fields } = trailers;
    const after = parseFieldLines(trailers.bytes, 0, this.#collected, fields, this.#limits.trailerFields, null, null);
    if (after === 0) return this.#collected === trailers.bytes.length ? FAULT.trailersTooLarge : index + taken;
    if (after < 0) return after === FAULT.tooManyFields ? FAULT.trailersTooLarge : after;
    trailers.end = after;
    this.trailers = trailers;
    this.isDone = true;
    this.dataStart = this.dataEnd = index;
    return index + after - before;
  }
}

function extensionFault(byte: number): number {
  return byte === LF ? FAULT.lineEnd : FAULT.chunkExtension;
}

const MAX_SIZE_DIGITS = 12;

const STATE = {
  size: 0,
  sizeLf: 1,
  data: 2,
  dataCr: 3,
  dataLf: 4,
  lastChunk: 5,
  lastLf: 6,
  trailers: 7,
  nameStart: 8,
  name: 9,
  valueStart: 10,
  value: 11,
  quoted: 12,
  quotedPair: 13,
  valueEnd: 14,
} as const;
