/**
 * Finds the entries of an encoder's table: by hash, then by their bytes. Memory: 5 kB for each connection that has sent a head.
 *
 * Hot path.
 */
import { LOWER } from '../../h1/characters.ts';
import { FIELD } from '../../h1/head.ts';
import { ENTRY_OVERHEAD, TABLE_BYTES, type DynamicTable } from './dynamic-table.ts';

/** Finds entries of an encoder's table by hash: chains of insertion numbers, which entries that are gone end. */
export class EntryIndex {
  readonly #seen = new Int32Array(SEEN);
  /** How often each was asked for; starts anew after 255. */
  readonly #times = new Uint8Array(SEEN);
  readonly #byField = new Int32Array(BUCKETS);
  readonly #byName = new Int32Array(BUCKETS);
  // A table holds at most 128 entries at a time, so that insertion numbers modulo 128 are free when they come again.
  readonly #hashes = new Int32Array(MAX_ENTRIES);
  readonly #nameHashes = new Int32Array(MAX_ENTRIES);
  readonly #next = new Int32Array(MAX_ENTRIES);
  readonly #nextNamed = new Int32Array(MAX_ENTRIES);

  /** The newest entry of `table` is one with these hashes. */
  add(table: DynamicTable, nameHash: number, hash: number): void {
    const number = table.inserted;
    const place = number & (MAX_ENTRIES - 1);
    this.#hashes[place] = hash;
    this.#nameHashes[place] = nameHash;
    this.#next[place] = this.#byField[hash & (BUCKETS - 1)] ?? 0;
    this.#byField[hash & (BUCKETS - 1)] = number;
    this.#nextNamed[place] = this.#byName[nameHash & (BUCKETS - 1)] ?? 0;
    this.#byName[nameHash & (BUCKETS - 1)] = number;
  }

  /** The insertion number of the entry that is this field, 0 when there is none. */
  find(
    table: DynamicTable,
    hash: number,
    bytes: Buffer,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
    id: number,
  ): number {
    const gone = table.inserted - table.count;
    let number = this.#byField[hash & (BUCKETS - 1)] ?? 0;
    while (number > gone) {
      const place = number & (MAX_ENTRIES - 1);
      if (this.#hashes[place] === hash) {
        const slot = table.slotOf(table.inserted - number);
        const start = table.starts[slot] ?? 0;
        const value = start + (nameEnd - nameStart) + 2;
        const isSame =
          table.lengths[slot] === nameEnd - nameStart + valueEnd - valueStart + 4 &&
          isNameOf(table, slot, bytes, nameStart, nameEnd, id) &&
          equals(bytes, valueStart, valueEnd, table.bytes, value);
        if (isSame) return number;
      }
      number = this.#next[place] ?? 0;
    }
    return 0;
  }

  /** The insertion number of an entry with this name, 0 when there is none. */
  findName(table: DynamicTable, nameHash: number, bytes: Buffer, nameStart: number, nameEnd: number, id: number): number {
    const gone = table.inserted - table.count;
    let number = this.#byName[nameHash & (BUCKETS - 1)] ?? 0;
    while (number > gone) {
      const place = number & (MAX_ENTRIES - 1);
      if (this.#nameHashes[place] === nameHash) {
        const slot = table.slotOf(table.inserted - number);
        if (isNameOf(table, slot, bytes, nameStart, nameEnd, id)) return number;
      }
      number = this.#nextNamed[place] ?? 0;
    }
    return 0;
  }

  /** Whether a field was asked for so many times not long ago; remembers it. A few collisions cost a table entry each, nothing else. */
  wasSeen(hash: number, times: number): boolean {
    const place = hash & (SEEN - 1);
    if (this.#seen[place] !== hash) {
      this.#seen[place] = hash;
      this.#times[place] = 0;
    }
    const before = this.#times[place] ?? 0;
    this.#times[place] = before + 1;
    return before >= times;
  }
}

/** The hash of a name that is told by its id. */
export function hashOfId(id: number): number {
  return Math.imul(id, PRIME);
}

/** The hash of a name without an id, whatever its case. */
export function hashOfName(bytes: Buffer, start: number, end: number): number {
  let hash = 0;
  for (let index = start; index < end; index++) hash = Math.imul(hash ^ (LOWER[bytes[index] ?? 0] ?? 0), PRIME);
  return hash ^ (hash >>> 15);
}

/** The hash of a field. It takes four bytes at a time, because each step waits for the one before. */
export function hashOfValue(nameHash: number, bytes: Buffer, start: number, end: number): number {
  let hash = nameHash ^ (end - start);
  let index = start;
  for (const last = end - 3; index < last; index += 4) {
    const word =
      (bytes[index] ?? 0) | ((bytes[index + 1] ?? 0) << 8) | ((bytes[index + 2] ?? 0) << 16) | ((bytes[index + 3] ?? 0) << 24);
    hash = Math.imul(hash ^ word, PRIME);
    hash ^= hash >>> 13;
  }
  for (; index < end; index++) hash = Math.imul(hash ^ (bytes[index] ?? 0), PRIME);
  return hash ^ (hash >>> 15);
}

/** Whether `bytes` from `start` to `end` are those of `other` from `otherStart`. */
export function equals(bytes: Buffer, start: number, end: number, other: Buffer, otherStart: number): boolean {
  for (let index = start; index < end; index++) if (bytes[index] !== other[otherStart + index - start]) return false;
  return true;
}

/** The same for a name in any case and one in lower case. */
export function equalsLower(bytes: Buffer, start: number, end: number, other: Buffer, otherStart: number): boolean {
  for (let index = start; index < end; index++) {
    if (LOWER[bytes[index] ?? 0] !== other[otherStart + index - start]) return false;
  }
  return true;
}

/** A name that has an id is told by it. */
function isNameOf(table: DynamicTable, slot: number, bytes: Buffer, nameStart: number, nameEnd: number, id: number): boolean {
  if (id !== FIELD.unknown) return table.ids[slot] === id;
  return (
    table.nameLengths[slot] === nameEnd - nameStart &&
    equalsLower(bytes, nameStart, nameEnd, table.bytes, table.starts[slot] ?? 0)
  );
}

/** That of FNV-1a. */
const PRIME = 16_777_619;
const MAX_ENTRIES = TABLE_BYTES / ENTRY_OVERHEAD;
const BUCKETS = 128;
const SEEN = 64;
