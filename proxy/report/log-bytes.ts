/**
 * Pieces of a log line as bytes, written where the line is gathered. A line made of forty strings is joined, flattened and encoded
 * afterwards; written as bytes it costs less than half (0.45 against 1.1 us). Hot path.
 */
import { jsonText } from './json-text.ts';

/** Fixed text, made once. */
export function fixedBytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'utf8'));
}

/** Copies a short piece; a call into native code would cost more than this loop. */
export function putBytes(out: Buffer, at: number, bytes: Uint8Array): number {
  for (let i = 0; i < bytes.length; i++) out[at + i] = bytes[i] ?? 0;
  return at + bytes.length;
}

/**
 * Writes `text`, cut to `limit` characters, as a JSON string; null when it is ''. Takes at most `6 * limit + 2` bytes.
 */
export function putText(out: Buffer, at: number, text: string, limit: number): number {
  if (text === '') return putBytes(out, at, NULL);
  const length = text.length < limit ? text.length : limit;
  let end = at;
  out[end++] = QUOTE;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 126 || PLAIN[code] === 0) return at + out.write(jsonText(text, limit), at, 'utf8');
    out[end++] = code;
  }
  out[end++] = QUOTE;
  return end;
}

/** Writes a whole number of zero or more, in decimal or base 36. */
export function putNumber(out: Buffer, at: number, value: number, base: 10 | 36 = 10): number {
  let digits = 1;
  for (let bound = base; value >= bound; bound *= base) digits++;
  let rest = value;
  for (let i = at + digits - 1; i >= at; i--) {
    const next = Math.floor(rest / base);
    const digit = rest - next * base;
    out[i] = digit < 10 ? ZERO + digit : LOWER_A + digit - 10;
    rest = next;
  }
  return at + digits;
}

/** Writes `2026-01-02T03:04:05.678Z`; the second is formatted once, the milliseconds each time. */
export function putTimestamp(out: Buffer, at: number, ms: number): number {
  const second = Math.floor(ms / 1000);
  if (second !== lastSecond) {
    lastSecond = second;
    prefix = fixedBytes(new Date(second * 1000).toISOString().slice(0, 20));
  }
  const rest = Math.floor(ms - second * 1000);
  const end = putBytes(out, at, prefix);
  const hundreds = Math.floor(rest / 100);
  const tens = Math.floor(rest / 10) % 10;
  out[end] = ZERO + hundreds;
  out[end + 1] = ZERO + tens;
  out[end + 2] = ZERO + (rest % 10);
  out[end + 3] = LETTER_Z;
  return end + 4;
}

let lastSecond = -1;
let prefix: Uint8Array = new Uint8Array(20);

const QUOTE = 34;
const ZERO = 48;
const LETTER_Z = 90;
const LOWER_A = 97;
const NULL = fixedBytes('null');

/** 1 for what stands in a JSON string as it is. */
const PLAIN = new Uint8Array(128);
for (let code = 0x20; code < 0x7f; code++) PLAIN[code] = code === 0x22 || code === 0x5c ? 0 : 1;
