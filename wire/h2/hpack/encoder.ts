/**
 * HPACK encoder of one connection (RFC 7541). A field enters the dynamic table when it is seen for the second time within a short
 * memory, so that values that never come again neither push out others nor change the table; credentials are never indexed
 * (RFC 7541, section 7.1.3). Strings are in Huffman's code where they enter the table, plain otherwise: those are read once.
 *
 * Hot path: bytes in, bytes out, no strings.
 */
import { LOWER } from '../../h1/characters.ts';
import { FIELD } from '../../h1/head.ts';
import { DynamicTable, ENTRY_OVERHEAD, TABLE_BYTES } from './dynamic-table.ts';
import { EntryIndex, equals, equalsLower, hashOfId, hashOfName, hashOfValue } from './entry-index.ts';
import { KIND, PSEUDO } from './field-kind.ts';
import { encodeHuffman, huffmanLength } from './huffman.ts';
import { STATIC_BYTES, STATIC_COUNT, STATIC_IDS, STATIC_KINDS, STATIC_NAME_LENGTHS, STATIC_STARTS } from './static-table.ts';

export class HpackEncoder {
  readonly table = new DynamicTable();
  /** What was encoded since `begin` is `out` from 0 to `end`. Read `out` anew after each call. */
  out = SHARED;
  end = 0;
  /** Nothing since `begin` changed the table: the same fields give the same bytes as long as its version stays. */
  isRepeatable = true;
  #peerTableBytes = TABLE_BYTES;
  /** The lowest size since the last block, which must be told first (RFC 7541, section 4.2); -1 when none is to be told. */
  #lowestTold = -1;
  #index: EntryIndex | null = null;

  /** Takes the peer's SETTINGS_HEADER_TABLE_SIZE; of a larger one no more than `TABLE_BYTES` is used. */
  resize(peerTableBytes: number): void {
    const size = peerTableBytes < TABLE_BYTES ? peerTableBytes : TABLE_BYTES;
    if (size === this.#peerTableBytes) return;
    this.#peerTableBytes = size;
    if (this.#lowestTold < 0 || size < this.#lowestTold) this.#lowestTold = size;
    this.table.resize(size);
  }

  /** Begins a block. */
  begin(): void {
    this.out = SHARED;
    this.end = 0;
    this.isRepeatable = true;
    if (this.#lowestTold < 0) return;
    this.isRepeatable = false;
    if (this.#lowestTold < this.table.maxSize) this.end = writeInteger(this.out, this.end, 0x20, 0x1f, this.#lowestTold);
    this.end = writeInteger(this.out, this.end, 0x20, 0x1f, this.table.maxSize);
    this.#lowestTold = -1;
  }

  /** Appends a field that the static table holds in full. */
  indexed(staticIndex: number): void {
    this.#reserve(1);
    this.out[this.end++] = 0x80 | staticIndex;
  }

  /** Appends what was encoded before under the same table version, by `isRepeatable`. */
  repeat(block: Buffer): void {
    this.#reserve(block.length);
    this.end += block.copy(this.out, this.end);
  }

  /**
   * Appends a field; its name is written in lower case.
   *
   * @param id  its `FIELD` number or `pseudoId`; always the same for a name. `FIELD.unknown` for every other name
   */
  field(bytes: Buffer, nameStart: number, nameEnd: number, valueStart: number, valueEnd: number, id: number): void {
    const valueLength = valueEnd - valueStart;
    const nameLength = nameEnd - nameStart;
    this.#reserve(2 * (nameLength + valueLength) + 16);
    const { out } = this;
    const nameHash = id === FIELD.unknown ? hashOfName(bytes, nameStart, nameEnd) : hashOfId(id);
    let hash = nameHash;
    const isSecret = NEVER_INDEXED[id] === 1;
    const isNew = NEVER_THE_SAME[id] === 1;
    const mayBeIndexed = !isSecret && valueLength <= MAX_INDEXED_VALUE;

    if (mayBeIndexed && !isNew) {
      hash = hashOfValue(nameHash, bytes, valueStart, valueEnd);
      const found =
        this.#index === null ? 0 : this.#index.find(this.table, hash, bytes, nameStart, nameEnd, valueStart, valueEnd, id);
      if (found !== 0) {
        const index = STATIC_COUNT + 1 + this.table.inserted - found;
        if (index < 127) out[this.end++] = 0x80 | index;
        else this.end = writeInteger(out, this.end, 0x80, 0x7f, index);
        return;
      }
      if (valueLength === GZIP_DEFLATE_LENGTH && isGzipDeflate(bytes, nameStart, nameEnd, valueStart)) {
        out[this.end++] = 0x80 | ACCEPT_ENCODING;
        return;
      }
    }

    let nameIndex = id === FIELD.unknown ? staticName(nameHash, bytes, nameStart, nameEnd) : (STATIC_BY_ID[id] ?? 0);
    let isNewName = false;
    if (nameIndex === 0) {
      const named = this.#index === null ? 0 : this.#index.findName(this.table, nameHash, bytes, nameStart, nameEnd, id);
      if (named !== 0) nameIndex = STATIC_COUNT + 1 + this.table.inserted - named;
      else isNewName = true;
    }
    if (
      mayBeIndexed &&
      (isNewName || (!isNew && this.#wasSeen(hash, id === PATH ? PATH_TIMES : 1))) &&
      nameLength + valueLength + ENTRY_OVERHEAD <= this.table.maxSize >> 2
    ) {
      this.#literal(0x40, 0x3f, nameIndex, bytes, nameStart, nameEnd, valueStart, valueEnd, true);
      this.#insert(bytes, nameStart, nameEnd, valueStart, valueEnd, id, nameHash, hash);
      return;
    }
    this.#literal(isSecret ? 0x10 : 0, 0x0f, nameIndex, bytes, nameStart, nameEnd, valueStart, valueEnd, false);
  }

  #insert(
    bytes: Buffer,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
    id: number,
    nameHash: number,
    hash: number,
  ): void {
    this.isRepeatable = false;
    this.#index ??= new EntryIndex();
    lowerName(bytes, nameStart, nameEnd);
    if (!this.table.insert(NAME, 0, nameEnd - nameStart, bytes, valueStart, valueEnd, id, 0)) return;
    this.#index.add(this.table, nameHash, hash);
  }

  #literal(
    pattern: number,
    mask: number,
    nameIndex: number,
    bytes: Buffer,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
    isKept: boolean,
  ): void {
    const { out } = this;
    let at = this.end;
    if (nameIndex < mask) out[at++] = pattern | nameIndex;
    else at = writeInteger(out, at, pattern, mask, nameIndex);
    if (nameIndex === 0) {
      lowerName(bytes, nameStart, nameEnd);
      at = writeString(out, at, NAME, 0, nameEnd - nameStart, true);
    }
    this.end = writeString(out, at, bytes, valueStart, valueEnd, isKept);
  }

  #wasSeen(hash: number, times: number): boolean {
    this.#index ??= new EntryIndex();
    return this.#index.wasSeen(hash, times);
  }

  #reserve(bytes: number): void {
    if (this.end + bytes <= this.out.length) return;
    const grown = Buffer.allocUnsafeSlow(2 * (this.end + bytes));
    this.out.copy(grown, 0, 0, this.end);
    this.out = grown;
  }
}

/** The id of a pseudo-header for `HpackEncoder.field`: its `PSEUDO` number, behind all of `FIELD`. */
export function pseudoId(pseudo: number): number {
  return FIRST_PSEUDO_ID + pseudo;
}

/** Writes an integer with its first bits under `mask` (RFC 7541, section 5.1). */
function writeInteger(out: Buffer, at: number, pattern: number, mask: number, value: number): number {
  if (value < mask) {
    out[at] = pattern | value;
    return at + 1;
  }
  out[at++] = pattern | mask;
  let rest = value - mask;
  while (rest >= 128) {
    out[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  out[at] = rest;
  return at + 1;
}

function writeString(out: Buffer, at: number, bytes: Buffer, start: number, end: number, isKept: boolean): number {
  const length = end - start;
  if (isKept) {
    const packed = huffmanLength(bytes, start, end);
    if (packed < length) return encodeHuffman(bytes, start, end, out, writeInteger(out, at, 0x80, 0x7f, packed));
  }
  const to = writeInteger(out, at, 0, 0x7f, length);
  if (length > LOOP_LIMIT) return to + bytes.copy(out, to, start, end);
  for (let index = 0; index < length; index++) out[to + index] = bytes[start + index] ?? 0;
  return to + length;
}

/** Puts a name in lower case into `NAME`. */
function lowerName(bytes: Buffer, start: number, end: number): void {
  for (let index = start; index < end; index++) NAME[index - start] = LOWER[bytes[index] ?? 0] ?? 0;
}

function staticName(hash: number, bytes: Buffer, start: number, end: number): number {
  for (let place = hash & (STATIC_PLACES - 1); ; place = (place + 1) & (STATIC_PLACES - 1)) {
    const index = STATIC_BY_NAME[place] ?? 0;
    if (index === 0) return 0;
    const isSame = STATIC_NAME_LENGTHS[index] === end - start;
    if (isSame && equalsLower(bytes, start, end, STATIC_BYTES, STATIC_STARTS[index] ?? 0)) return index;
  }
}

function isGzipDeflate(bytes: Buffer, nameStart: number, nameEnd: number, valueStart: number): boolean {
  const line = STATIC_STARTS[ACCEPT_ENCODING] ?? 0;
  const nameLength = STATIC_NAME_LENGTHS[ACCEPT_ENCODING] ?? 0;
  if (nameEnd - nameStart !== nameLength || !equalsLower(bytes, nameStart, nameEnd, STATIC_BYTES, line)) return false;
  return equals(bytes, valueStart, valueStart + GZIP_DEFLATE_LENGTH, STATIC_BYTES, line + nameLength + 2);
}

/** Longer values are not worth their place. */
const MAX_INDEXED_VALUE = 512;
const LOOP_LIMIT = 48;
const ACCEPT_ENCODING = 16;
const GZIP_DEFLATE_LENGTH = 'gzip, deflate'.length;

/** 1 for the `FIELD` numbers of credentials. */
const NEVER_INDEXED = new Uint8Array(256);
for (const id of [FIELD.authorization, FIELD.proxyAuthorization, FIELD.cookie, FIELD.setCookie]) NEVER_INDEXED[id] = 1;

/** 1 for those whose values are made for one request: only their names are looked for. */
const NEVER_THE_SAME = new Uint8Array(256);
for (const id of [FIELD.xRequestId, FIELD.traceparent]) NEVER_THE_SAME[id] = 1;

/** Blocks are encoded and framed within one call, so that all connections share this. */
const SHARED = Buffer.allocUnsafeSlow(65_536);
/** The lower-case name that is being written; as long as any head. */
const NAME = Buffer.allocUnsafeSlow(65_536);

const FIRST_PSEUDO_ID = 200;
const PATH = pseudoId(PSEUDO.path);
/**
 * A path is asked for by a few callers at once and then no more, or, a gRPC method, all the time: only the latter is worth that the table
 * changes, and with it all that was learned of it.
 */
const PATH_TIMES = 16;

/** The first entry of the static table with a name, by id; 0 for none. */
const STATIC_BY_ID = new Uint8Array(256);
for (let index = STATIC_COUNT; index >= 1; index--) {
  const pseudo = (STATIC_KINDS[index] ?? 0) & KIND.pseudo;
  const id = pseudo === PSEUDO.none ? (STATIC_IDS[index] ?? 0) : pseudoId(pseudo);
  if (id !== FIELD.unknown) STATIC_BY_ID[id] = index;
}

const STATIC_PLACES = 256;
const STATIC_BY_NAME = new Uint8Array(STATIC_PLACES);
for (let index = STATIC_COUNT; index >= 1; index--) placeName(index);

/** Of entries with the same name the first one in the table is kept. */
function placeName(index: number): void {
  const start = STATIC_STARTS[index] ?? 0;
  const end = start + (STATIC_NAME_LENGTHS[index] ?? 0);
  let place = hashOfName(STATIC_BYTES, start, end) & (STATIC_PLACES - 1);
  for (;;) {
    const other = STATIC_BY_NAME[place] ?? 0;
    const isSame =
      other !== 0 &&
      STATIC_BYTES.compare(
        STATIC_BYTES,
        start,
        end,
        STATIC_STARTS[other] ?? 0,
        (STATIC_STARTS[other] ?? 0) + (STATIC_NAME_LENGTHS[other] ?? 0),
      ) === 0;
    if (other === 0 || isSame) break;
    place = (place + 1) & (STATIC_PLACES - 1);
  }
  STATIC_BY_NAME[place] = index;
}
