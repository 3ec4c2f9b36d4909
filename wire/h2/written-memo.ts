/**
 * What runs of field lines became in a block, remembered by their bytes, by what of them is dropped and by the table's version:
 * peers that repeat themselves are written by one comparison and one copy. Bound: 16 runs of at most 1 KiB for each connection.
 *
 * Hot path.
 */
import type { HpackEncoder } from './hpack/encoder.ts';

export class WrittenMemo {
  readonly #slots: (Kept | null)[] = [];
  readonly #hashes = new Int32Array(SLOTS);
  #bytes = EMPTY;
  #start = 0;
  #end = 0;
  #dropped: Uint8Array = EMPTY;
  #count = 0;
  #kind = 0;
  /** Of the run that is being written; 0 when it is not to be kept. */
  #hash = 0;
  #misses = 0;
  /** Where its block begins, and the table's version there. */
  #from = 0;
  #version = 0;

  /**
   * Writes the run's block when it is known, and says so; else write it and call `keep`.
   *
   * @param dropped  of its `count` fields, not 0 for each that is not written
   * @param kind     whatever else the block depends on
   */
  repeat(
    encoder: HpackEncoder,
    bytes: Buffer,
    start: number,
    end: number,
    dropped: Uint8Array,
    count: number,
    kind: number,
  ): boolean {
    this.#hash = 0;
    if (end - start > MAX_RUN) return false;
    let hash = end - start + kind;
    for (let index = start; index < end; index += STRIDE) hash = Math.imul(hash ^ (bytes[index] ?? 0), 16_777_619);
    hash ^= hash >>> 15;
    this.#hash = hash === 0 ? 1 : hash;
    const kept = this.#slots[hash & (SLOTS - 1)] ?? null;
    const { version } = encoder.table;
    if (kept !== null && kept.version === version) {
      if (kept.isOf(bytes, start, end, dropped, count, kind)) {
        encoder.repeat(kept.block);
        return true;
      }
      // Another run that looks alike: what changes every time is not worth a place.
      if ((++this.#misses & MISSES_MASK) !== 0) this.#hash = 0;
    }
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
    this.#dropped = dropped;
    this.#count = count;
    this.#kind = kind;
    this.#from = encoder.end;
    this.#version = version;
    return false;
  }

  /** The run is written: its block is remembered when it changed nothing and comes for the second time. */
  keep(encoder: HpackEncoder): void {
    if (this.#hash === 0 || encoder.table.version !== this.#version) return;
    const place = this.#hash & (SLOTS - 1);
    if (this.#hashes[place] !== this.#hash) {
      this.#hashes[place] = this.#hash;
      return;
    }
    const key = Buffer.from(this.#bytes.subarray(this.#start, this.#end));
    const block = Buffer.from(encoder.out.subarray(this.#from, encoder.end));
    this.#slots[place] = new Kept(key, this.#dropped.slice(0, this.#count), this.#kind, this.#version, block);
  }
}

class Kept {
  readonly version: number;
  readonly block: Buffer;
  readonly #key: Buffer;
  readonly #dropped: Uint8Array;
  readonly #kind: number;

  constructor(key: Buffer, dropped: Uint8Array, kind: number, version: number, block: Buffer) {
    this.#key = key;
    this.#dropped = dropped;
    this.#kind = kind;
    this.version = version;
    this.block = block;
  }

  isOf(bytes: Buffer, start: number, end: number, dropped: Uint8Array, count: number, kind: number): boolean {
    if (kind !== this.#kind || end - start !== this.#key.length || count !== this.#dropped.length) return false;
    for (let index = 0; index < count; index++) if (dropped[index] !== this.#dropped[index]) return false;
    return this.#key.compare(bytes, start, end) === 0;
  }
}

const SLOTS = 16;
const STRIDE = 7;
const MAX_RUN = 1024;
/** Of runs that only look alike one in eight takes the place. */
const MISSES_MASK = 7;
const EMPTY: Buffer = Buffer.alloc(0);
