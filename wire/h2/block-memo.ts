/**
 * Heads of blocks that hold nothing but indexed fields, remembered by their bytes and the version of the table: callers that
 * repeat themselves are read by one comparison. Bound: 16 heads of at most 1 KiB for each connection.
 *
 * Hot path.
 */
import type { FieldTable, MessageHead, RequestHead, ResponseHead } from '../h1/head.ts';

export class BlockMemo {
  contentLength = -1;
  protocol = '';
  readonly #slots: (Kept | null)[] = Array.from({ length: SLOTS }, () => null);
  #key = EMPTY;
  #keyStart = 0;
  #keyEnd = 0;
  #place = 0;
  #found: Kept | null = null;

  /** Whether a block is short and every representation in it is an indexed field of one byte. */
  static mayKeep(bytes: Buffer, start: number, end: number): boolean {
    if (end - start > MAX_KEY || start === end) return false;
    for (let index = start; index < end; index++) {
      const byte = bytes[index] ?? 0;
      if (byte < 0x80 || byte === 0xff) return false;
    }
    return true;
  }

  /** Looks for a block, for `restore` or one of the `keep` methods. */
  find(bytes: Buffer, start: number, end: number, version: number): void {
    let hash = end - start;
    for (let index = start; index < end; index++) hash = Math.imul(hash ^ (bytes[index] ?? 0), 16_777_619);
    this.#place = (hash ^ (hash >>> 15)) & (SLOTS - 1);
    this.#key = bytes;
    this.#keyStart = start;
    this.#keyEnd = end;
    const kept = this.#slots[this.#place] ?? null;
    this.#found = kept !== null && kept.version === version && isKey(kept.key, bytes, start, end) ? kept : null;
  }

  /** Fills the head with what was found; false when nothing was. */
  restore(request: RequestHead | null, response: ResponseHead | null): boolean {
    const kept = this.#found;
    if (kept === null) return false;
    this.contentLength = kept.contentLength;
    this.protocol = kept.protocol;
    if (request !== null) {
      restoreHead(request, kept);
      request.method = kept.method;
      request.targetStart = kept.targetStart;
      request.targetEnd = kept.targetEnd;
      request.hostIndex = kept.hostIndex;
      request.hostCount = kept.hostIndex < 0 ? 0 : 1;
      request.expectsContinue = kept.expectsContinue;
    } else if (response !== null) {
      restoreHead(response, kept);
      response.status = kept.status;
      response.reasonStart = kept.fieldsStart - 2;
      response.reasonEnd = kept.fieldsStart - 2;
    }
    return true;
  }

  /** Remembers the head of the block that was looked for. `version` is that of the table. */
  keepRequest(head: RequestHead, contentLength: number, protocol: string, version: number): void {
    const kept = this.#keep(head, contentLength, version);
    if (kept === null) return;
    kept.protocol = protocol;
    kept.method = head.method;
    kept.targetStart = head.targetStart - head.start;
    kept.targetEnd = head.targetEnd - head.start;
    kept.hostIndex = head.hostIndex;
    kept.expectsContinue = head.expectsContinue;
  }

  keepResponse(head: ResponseHead, contentLength: number, version: number): void {
    const kept = this.#keep(head, contentLength, version);
    if (kept !== null) kept.status = head.status;
  }

  #keep(head: MessageHead, contentLength: number, version: number): Kept | null {
    if (head.end - head.start > MAX_HEAD) return null;
    const key = Buffer.from(this.#key.subarray(this.#keyStart, this.#keyEnd));
    const kept = new Kept(key, version, head, contentLength);
    this.#slots[this.#place] = kept;
    return kept;
  }
}

/** A head whose offsets count from its own start. */
class Kept {
  readonly key: Buffer;
  readonly version: number;
  readonly contentLength: number;
  readonly bytes: Buffer;
  readonly fieldsStart: number;
  readonly ranges: Int32Array;
  readonly ids: Uint8Array;
  readonly hasUnderscore: boolean;
  protocol = '';
  method = '';
  targetStart = 0;
  targetEnd = 0;
  hostIndex = -1;
  expectsContinue = false;
  status = 0;

  constructor(key: Buffer, version: number, head: MessageHead, contentLength: number) {
    const { fields, start } = head;
    this.key = key;
    this.version = version;
    this.contentLength = contentLength;
    this.bytes = Buffer.from(head.bytes.subarray(start, head.end));
    this.fieldsStart = head.fieldsStart - start;
    this.ranges = fields.ranges.slice(0, 4 * fields.count);
    for (let index = 0; index < this.ranges.length; index++) this.ranges[index] = (this.ranges[index] ?? 0) - start;
    this.ids = fields.ids.slice(0, fields.count);
    this.hasUnderscore = fields.hasUnderscore;
  }
}

function restoreHead(head: MessageHead, kept: Kept): void {
  head.bytes = kept.bytes;
  head.start = 0;
  head.fieldsStart = kept.fieldsStart;
  head.end = kept.bytes.length;
  restoreFields(head.fields, kept);
}

function restoreFields(fields: FieldTable, { hasUnderscore, ids, ranges }: Kept): void {
  const count = ids.length;
  fields.count = count;
  fields.hasUnderscore = hasUnderscore;
  for (let index = 0; index < 4 * count; index++) fields.ranges[index] = ranges[index] ?? 0;
  for (let index = 0; index < count; index++) {
    fields.ids[index] = ids[index] ?? 0;
    fields.dropped[index] = 0;
  }
}

function isKey(key: Buffer, bytes: Buffer, start: number, end: number): boolean {
  if (key.length !== end - start) return false;
  for (let index = 0; index < key.length; index++) if (key[index] !== bytes[start + index]) return false;
  return true;
}

const SLOTS = 16;
const MAX_KEY = 32;
const MAX_HEAD = 1024;
const EMPTY: Buffer = Buffer.alloc(0);
