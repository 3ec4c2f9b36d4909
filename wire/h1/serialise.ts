/**
 * Heads written again: the kept field lines by contiguous runs, around start lines and framing of our own. A length or a coding
 * that a peer sent is never copied; whoever filters the fields has dropped it.
 *
 * Hot path: nothing is allocated; the caller sees to it that `out` has room.
 */

import type { Trailers } from './chunked.ts';
import type { FieldTable, MessageHead } from './head.ts';

/**
 * Copies the field lines that are not dropped, with their line ends, without the empty line that ends a head.
 *
 * @param out  has `head.end - head.fieldsStart` bytes from `at`
 * @returns the offset after what was written
 */
export function copyFields(head: MessageHead, out: Buffer, at: number): number {
  return copyLines(head.bytes, head.fields, head.end - 2, out, at);
}

/**
 * The same with the start line as it was received before it: one run with the first fields, mostly one copy in all. Each copy that
 * is saved is a call into native code less, about 0.15 us.
 */
export function copyHead(head: MessageHead, out: Buffer, at: number): number {
  return copyLines(head.bytes, head.fields, head.end - 2, out, at, head.start);
}

/** The same for a trailer section. */
export function copyTrailers(trailers: Trailers, out: Buffer, at: number): number {
  return copyLines(trailers.bytes, trailers.fields, trailers.end - 2, out, at);
}

/** Writes the size line of a chunk of `size` bytes; a size of 0 begins the end of the body. At most 14 bytes. */
export function writeChunkHeader(out: Buffer, at: number, size: number): number {
  let digits = 1;
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 16)) digits++;
  let rest = size;
  for (let index = at + digits - 1; index >= at; index--) {
    const digit = rest % 16;
    out[index] = digit < 10 ? 48 + digit : 87 + digit;
    rest = (rest - digit) / 16;
  }
  const end = at + digits;
  out[end] = 13;
  out[end + 1] = 10;
  return end + 2;
}

/** Writes ASCII or Latin-1 text, one byte a character. */
export function writeText(out: Buffer, at: number, text: string): number {
  const length = text.length;
  if (length > LOOP_LIMIT) return at + out.write(text, at, length, 'latin1');
  for (let index = 0; index < length; index++) out[at + index] = text.charCodeAt(index);
  return at + length;
}

/** Lines stand one after another without gaps, so that a line ends where the next begins. */
function copyLines(bytes: Buffer, fields: FieldTable, linesEnd: number, out: Buffer, at: number, from = -1): number {
  const { count, dropped, ranges } = fields;
  let end = at;
  let runStart = from;
  for (let index = 0; index < count; index++) {
    if (dropped[index] === 0) {
      if (runStart < 0) runStart = ranges[index << 2] ?? 0;
    } else if (runStart >= 0) {
      end += bytes.copy(out, end, runStart, ranges[index << 2] ?? 0);
      runStart = -1;
    }
  }
  return runStart < 0 ? end : end + bytes.copy(out, end, runStart, linesEnd);
}

/** Up to about this length a loop is cheaper than the call into native code. */
const LOOP_LIMIT = 48;
