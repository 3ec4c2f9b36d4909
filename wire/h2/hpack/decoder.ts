/**
 * HPACK decoder of one connection (RFC 7541): representations, integers and strings, with every number bounded. Fields go to a
 * `DecodedFields`. No string is made.
 *
 * Hot path.
 */
import type { H2Fault } from '../faults.ts';
import { idOfName, type DecodedFields } from './decoded-fields.ts';
import { DynamicTable, TABLE_BYTES } from './dynamic-table.ts';
import { KIND, kindOfName, kindOfValue } from './field-kind.ts';
import { decodeHuffman } from './huffman.ts';
import {
  STATIC_BYTES,
  STATIC_COUNT,
  STATIC_IDS,
  STATIC_KINDS,
  STATIC_LENGTHS,
  STATIC_NAME_LENGTHS,
  STATIC_STARTS,
} from './static-table.ts';

export class HpackDecoder {
  readonly table = new DynamicTable();
  #bytes: Buffer = EMPTY;
  #at = 0;
  #end = 0;
  #stringFault: H2Fault = 'hpack_string';

  /**
   * Decodes one complete block of at most `MAX_BLOCK_BYTES`. What is wrong with the message is `into.fault`.
   *
   * @returns null, or what is wrong with the coding, after which the connection can't go on
   */
  decode(bytes: Buffer, start: number, end: number, into: DecodedFields): H2Fault | null {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    let mayResize = true;
    while (this.#at < end) {
      const first = bytes[this.#at] ?? 0;
      let fault: H2Fault | null;
      if (first >= 0x80) fault = this.#indexed(into);
      else if (first >= 0x40) fault = this.#literal(0x3f, true, into);
      else if (first < 0x20) fault = this.#literal(0x0f, false, into);
      else {
        // RFC 7541, section 4.2: only at the beginning of a block.
        fault = mayResize ? this.#resize() : 'hpack_table_size';
        if (fault !== null) return fault;
        continue;
      }
      if (fault !== null) return fault;
      mayResize = false;
    }
    return null;
  }

  #indexed(into: DecodedFields): H2Fault | null {
    const index = this.#integer(0x7f);
    if (index <= 0) return index === 0 ? 'hpack_index' : 'hpack_integer';
    if (index <= STATIC_COUNT) {
      const start = STATIC_STARTS[index] ?? 0;
      const end = start + (STATIC_LENGTHS[index] ?? 0);
      into.addLine(STATIC_BYTES, start, end, STATIC_NAME_LENGTHS[index] ?? 0, STATIC_IDS[index] ?? 0, STATIC_KINDS[index] ?? 0);
      return null;
    }
    const { table } = this;
    const slot = table.slotOf(index - STATIC_COUNT - 1);
    if (slot < 0) return 'hpack_index';
    const start = table.starts[slot] ?? 0;
    const end = start + (table.lengths[slot] ?? 0);
    into.addLine(table.bytes, start, end, table.nameLengths[slot] ?? 0, table.ids[slot] ?? 0, table.kinds[slot] ?? 0);
    return null;
  }

  #literal(mask: number, isInserted: boolean, into: DecodedFields): H2Fault | null {
    const index = this.#integer(mask);
    if (index < 0) return 'hpack_integer';
    // The line is written where it will stand if it is taken.
    const to = into.bytes;
    const start = into.end;
    let nameEnd = start;
    let id = 0;
    let kind = 0;
    if (index === 0) {
      nameEnd = this.#string(to, start);
      if (nameEnd < 0) return this.#stringFault;
      kind = kindOfName(to, start, nameEnd);
      id = idOfName(to, start, nameEnd, kind);
    } else if (index <= STATIC_COUNT) {
      nameEnd = copyShort(STATIC_BYTES, STATIC_STARTS[index] ?? 0, STATIC_NAME_LENGTHS[index] ?? 0, to, start);
      id = STATIC_IDS[index] ?? 0;
      kind = STATIC_KINDS[index] ?? 0;
    } else {
      const { table } = this;
      const slot = table.slotOf(index - STATIC_COUNT - 1);
      if (slot < 0) return 'hpack_index';
      nameEnd = copyShort(table.bytes, table.starts[slot] ?? 0, table.nameLengths[slot] ?? 0, to, start);
      id = table.ids[slot] ?? 0;
      kind = (table.kinds[slot] ?? 0) & ~KIND.badValue;
    }
    to[nameEnd] = 58;
    to[nameEnd + 1] = 32;
    const valueStart = nameEnd + 2;
    const valueEnd = this.#string(to, valueStart);
    if (valueEnd < 0) return this.#stringFault;
    to[valueEnd] = 13;
    to[valueEnd + 1] = 10;
    // Values of pseudo-headers have rules of their own, which are kept where the head is made.
    if ((kind & KIND.pseudo) === 0) kind |= kindOfValue(to, valueStart, valueEnd);
    if (isInserted) this.table.insert(to, start, nameEnd, to, valueStart, valueEnd, id, kind);
    into.addWritten(nameEnd, valueEnd + 2, id, kind);
    return null;
  }

  #resize(): H2Fault | null {
    const size = this.#integer(0x1f);
    if (size < 0) return 'hpack_integer';
    if (size > TABLE_BYTES) return 'hpack_table_size';
    this.table.resize(size);
    return null;
  }

  /** An integer whose first bits are under `mask` (RFC 7541, section 5.1); -1 when it is cut off or beyond all use. */
  #integer(mask: number): number {
    const bytes = this.#bytes;
    let value = (bytes[this.#at++] ?? 0) & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= this.#end) return -1;
      const byte = bytes[this.#at++] ?? 0;
      value += (byte & 127) << shift;
      if (byte < 128) return value;
    }
    return -1;
  }

  /** Decodes a string into `to` from `at`; returns the offset after it, or -1 and sets `#stringFault`. */
  #string(to: Buffer, at: number): number {
    this.#stringFault = 'hpack_string';
    if (this.#at >= this.#end) return -1;
    const bytes = this.#bytes;
    const isHuffman = (bytes[this.#at] ?? 0) >= 128;
    const length = this.#integer(0x7f);
    const start = this.#at;
    const end = start + length;
    if (length < 0 || end > this.#end) return -1;
    this.#at = end;
    if (isHuffman) {
      this.#stringFault = 'hpack_huffman';
      return decodeHuffman(bytes, start, end, to, at);
    }
    return copyShort(bytes, start, length, to, at);
  }
}

/** Copies `length` bytes; returns the offset after them. */
function copyShort(bytes: Buffer, start: number, length: number, to: Buffer, at: number): number {
  if (length > LOOP_LIMIT) return at + bytes.copy(to, at, start, start + length);
  for (let index = 0; index < length; index++) to[at + index] = bytes[start + index] ?? 0;
  return at + length;
}

const EMPTY = Buffer.alloc(0);

/** Up to about this length a loop is cheaper than the call into native code. */
const LOOP_LIMIT = 48;
