/**
 * The dynamic table of one direction (RFC 7541, sections 2.3.2 and 4). Entries are kept as lines of HTTP/1.1 in one run of bytes,
 * oldest first, so that an indexed field is one copy. Memory: at most twice the table's size and 16 bytes for each of 256 entries.
 *
 * Hot path.
 */

/** What an entry costs beside its name and value (RFC 7541, section 4.1). */
export const ENTRY_OVERHEAD = 32;

/** The size that both sides begin with, and the most that either uses here: SETTINGS_HEADER_TABLE_SIZE is left at its default. */
export const TABLE_BYTES = 4096;

export class DynamicTable {
  /** Changes with every change of the table: what was learned of blocks under another version does not hold any more. */
  version = 0;
  /** Entries ever inserted; the newest has this number, those up to `inserted - count` are gone. */
  inserted = 0;
  count = 0;
  /** Lines of the entries. Read it anew after each `insert`. */
  bytes = EMPTY;
  /** By slot, like the next four: where the line starts in `bytes`. */
  starts = new Int32Array(0);
  lengths = new Uint16Array(0);
  nameLengths = new Uint16Array(0);
  /** `FIELD` numbers. */
  ids = new Uint8Array(0);
  /** `KIND` bits. */
  kinds = new Uint8Array(0);
  #maxSize = TABLE_BYTES;
  #size = 0;
  #first = 0;
  #end = 0;

  get maxSize(): number {
    return this.#maxSize;
  }

  /** The slot of the entry `age` insertions ago, the newest is 0; -1 when there is none. */
  slotOf(age: number): number {
    return age < this.count ? this.#first + this.count - 1 - age : -1;
  }

  /** Takes another maximum, at most `TABLE_BYTES`, and drops what does not fit (RFC 7541, section 4.3). */
  resize(maxSize: number): void {
    this.#maxSize = maxSize;
    this.version++;
    this.#evictTo(maxSize);
  }

  /** Adds an entry; one that is larger than the table only empties it (RFC 7541, section 4.4). Returns whether it is there. */
  insert(
    name: Buffer,
    nameStart: number,
    nameEnd: number,
    value: Buffer,
    valueStart: number,
    valueEnd: number,
    id: number,
    kind: number,
  ): boolean {
    const nameLength = nameEnd - nameStart;
    const length = nameLength + valueEnd - valueStart + 4;
    const size = length - 4 + ENTRY_OVERHEAD;
    this.version++;
    this.#evictTo(this.#maxSize - size);
    if (size > this.#maxSize) return false;
    this.#makeRoom(length);
    const slot = this.#first + this.count++;
    let at = this.#end;
    this.starts[slot] = at;
    this.lengths[slot] = length;
    this.nameLengths[slot] = nameLength;
    this.ids[slot] = id;
    this.kinds[slot] = kind;
    const { bytes } = this;
    at += name.copy(bytes, at, nameStart, nameEnd);
    bytes[at++] = 58;
    bytes[at++] = 32;
    at += value.copy(bytes, at, valueStart, valueEnd);
    bytes[at++] = 13;
    bytes[at++] = 10;
    this.#end = at;
    this.#size += size;
    this.inserted++;
    return true;
  }

  #evictTo(size: number): void {
    while (this.count > 0 && this.#size > size) {
      this.#size -= (this.lengths[this.#first] ?? 0) - 4 + ENTRY_OVERHEAD;
      this.#first++;
      this.count--;
    }
    if (this.count === 0) {
      this.#first = 0;
      this.#end = 0;
      this.#size = 0;
    }
  }

  #makeRoom(length: number): void {
    if (this.#first + this.count >= this.starts.length) this.#makeSlots();
    if (this.#end + length <= this.bytes.length) return;
    const from = this.count > 0 ? (this.starts[this.#first] ?? 0) : this.#end;
    const live = this.#end - from;
    const wanted = 2 * (live + length);
    const bytes = wanted > this.bytes.length ? Buffer.allocUnsafeSlow(wanted < MIN_BYTES ? MIN_BYTES : wanted) : this.bytes;
    this.bytes.copy(bytes, 0, from, this.#end);
    this.bytes = bytes;
    for (let slot = this.#first; slot < this.#first + this.count; slot++) this.starts[slot] = (this.starts[slot] ?? 0) - from;
    this.#end = live;
  }

  /** Moves the live slots to the front, of arrays twice as large when they are half full. */
  #makeSlots(): void {
    const { count } = this;
    const first = this.#first;
    const length = 2 * count < this.starts.length ? this.starts.length : Math.max(MIN_SLOTS, 2 * this.starts.length);
    this.starts = moved(this.starts, new Int32Array(length), first, count);
    this.lengths = moved(this.lengths, new Uint16Array(length), first, count);
    this.nameLengths = moved(this.nameLengths, new Uint16Array(length), first, count);
    this.ids = moved(this.ids, new Uint8Array(length), first, count);
    this.kinds = moved(this.kinds, new Uint8Array(length), first, count);
    this.#first = 0;
  }
}

function moved<T extends Int32Array | Uint16Array | Uint8Array>(from: T, to: T, first: number, count: number): T {
  to.set(from.subarray(first, first + count));
  return to;
}

const EMPTY = Buffer.alloc(0);
const MIN_BYTES = 512;
const MIN_SLOTS = 16;
