/**
 * Reads a WebAssembly binary (Core Specification 2.0, section 5) into its sections, strictly: minimal order, exact lengths, LEB128
 * of no more bytes than may be. It looks at no more than metering needs; that the module is well typed is for the engine to say.
 */
import { PosternError } from '#base/error.ts';

export interface Section {
  readonly id: number;
  readonly body: Uint8Array;
}

/** @throws {PosternError} `opa_module_invalid` */
export function readSections(bytes: Uint8Array): readonly Section[] {
  if (!MAGIC.every((byte, index) => bytes[index] === byte)) throw moduleFault('found no WebAssembly module of version 1');
  const reader = new ByteReader(bytes, MAGIC.length);
  const sections: Section[] = [];
  let last = 0;
  while (!reader.isAtEnd) {
    const id = reader.byte();
    const body = reader.bytes(reader.unsigned());
    const place = ORDER.indexOf(id);
    if (id === CUSTOM) continue;
    if (place < 0) throw moduleFault(`found a section of kind ${id}`);
    if (place + 1 <= last) throw moduleFault(`found section ${id} twice or out of order`);
    last = place + 1;
    sections.push({ id, body });
  }
  return sections;
}

export function moduleFault(found: string): PosternError {
  return new PosternError('opa_module_invalid', `Cannot load policy.wasm: ${found}`, 'build it with "opa build -t wasm"');
}

export class ByteReader {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get at(): number {
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw moduleFault('found its end where more was announced');
    return byte;
  }

  bytes(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#at) throw moduleFault('found its end where more was announced');
    const slice = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return slice;
  }

  skip(length: number): void {
    this.bytes(length);
  }

  /** LEB128 of 32 bits. */
  unsigned(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) === 0) {
        if (value > 0xffff_ffff) break;
        return value;
      }
    }
    throw moduleFault('found a number of more than 32 bits');
  }

  /** A signed LEB128 of 32 bits, as the address that it is. */
  address(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if ((byte & 0x80) !== 0) continue;
      return (shift < 25 && (byte & 0x40) !== 0 ? value | (-1 << (shift + 7)) : value) >>> 0;
    }
    throw moduleFault('found a number with too many bytes');
  }

  /** A signed LEB128 whose value nobody asks for. */
  skipSigned(maxBytes: number): void {
    for (let count = 0; count < maxBytes; count++) if ((this.byte() & 0x80) === 0) return;
    throw moduleFault('found a number with too many bytes');
  }

  name(): string {
    return Buffer.from(this.bytes(this.unsigned())).toString('utf8');
  }
}

export const SECTION = {
  type: 1,
  import: 2,
  function: 3,
  memory: 5,
  global: 6,
  export: 7,
  code: 10,
  data: 11,
} as const;

const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const CUSTOM = 0;
/** Data count (12) stands before code. */
const ORDER = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11];
