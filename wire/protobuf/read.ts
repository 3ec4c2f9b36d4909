/**
 * Reads messages of Protocol Buffers (the encoding of proto2 and proto3) into lists of fields. What is not exactly a message (a length
 * beyond the end, a number that never ends, a group, a field zero) is none at all: nothing of it is believed.
 */

export interface ProtoField {
  readonly field: number;
  /** Of a number; a negative or very large one is taken as Infinity. 0 for a run of bytes. */
  readonly count: number;
  /** Of a run: a text, bytes or a message. Null for a number. */
  readonly bytes: Buffer | null;
}

/** The fields of a message in their order, or null when the bytes are none. */
export function readProto(bytes: Buffer): readonly ProtoField[] | null {
  const fields: ProtoField[] = [];
  const cursor = { at: 0 };
  while (cursor.at < bytes.length) {
    const key = readVarint(bytes, cursor);
    if (key < 0 || key > MAX_KEY || key >>> 3 === 0) return null;
    const read = readValue(bytes, cursor, key >>> 3, key & 7);
    if (read === null) return null;
    fields.push(read);
  }
  return fields;
}

/** The last run with a number, as readers of proto3 take it; null when there is none. */
export function lastRun(fields: readonly ProtoField[], field: number): Buffer | null {
  return fields.findLast((one) => one.field === field && one.bytes !== null)?.bytes ?? null;
}

/** Every run with a number. */
export function runs(fields: readonly ProtoField[], field: number): readonly Buffer[] {
  return fields.flatMap((one) => (one.field === field && one.bytes !== null ? [one.bytes] : []));
}

/** The last number with a number of field, 0 when there is none. */
export function lastCount(fields: readonly ProtoField[], field: number): number {
  return fields.findLast((one) => one.field === field && one.bytes === null)?.count ?? 0;
}

interface Cursor {
  at: number;
}

function readValue(bytes: Buffer, cursor: Cursor, field: number, wire: number): ProtoField | null {
  switch (wire) {
    case VARINT: {
      const count = readVarint(bytes, cursor);
      return count < 0 ? null : { field, count, bytes: null };
    }
    case FIXED64:
      return readRun(bytes, cursor, 8) === null ? null : { field, count: Infinity, bytes: null };
    case FIXED32:
      return readRun(bytes, cursor, 4) === null ? null : { field, count: Infinity, bytes: null };
    case DELIMITED: {
      const length = readVarint(bytes, cursor);
      const run = length < 0 ? null : readRun(bytes, cursor, length);
      return run === null ? null : { field, count: 0, bytes: run };
    }
    default:
      return null;
  }
}

function readRun(bytes: Buffer, cursor: Cursor, length: number): Buffer | null {
  if (length > bytes.length - cursor.at) return null;
  const run = bytes.subarray(cursor.at, cursor.at + length);
  cursor.at += length;
  return run;
}

/** -1 for none; Infinity for one above 2^53 - 1. */
function readVarint(bytes: Buffer, cursor: Cursor): number {
  let value = 0;
  let weight = 1;
  for (let digits = 0; digits < MAX_DIGITS; digits++) {
    const byte = bytes[cursor.at++];
    if (byte === undefined) return -1;
    value += (byte & 0x7f) * weight;
    weight *= 0x80;
    if (byte < 0x80) return value <= Number.MAX_SAFE_INTEGER ? value : Infinity;
  }
  return -1;
}

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;
const MAX_DIGITS = 10;
const MAX_KEY = 0xffff_ffff;
