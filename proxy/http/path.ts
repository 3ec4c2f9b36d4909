/**
 * Paths in canonical form, by the modes that Istio and Envoy know and one of our own: `none` takes a path as it is; `base` decodes
 * escaped unreserved characters, reads a backslash as a slash and removes dot segments (RFC 3986, section 6.2.2, as Envoy's
 * `normalize_path`); `merge-slashes` then merges slashes; `decode-and-merge` first decodes escaped slashes; `strict` refuses what
 * two servers could read in two ways. In every mode what has no canonical form is refused, and a canonical path is its own.
 *
 * A segment `.` or `..` with a path parameter (`..;x`) is a dot segment. Queries never come here.
 *
 * Hot path: `isCanonicalPath` allocates nothing and settles all but a few requests.
 */

import { HEX } from '#wire/h1/characters.ts';

export type PathMode = 'none' | 'base' | 'merge-slashes' | 'decode-and-merge' | 'strict';

export const PATH_MODES: readonly PathMode[] = ['none', 'base', 'merge-slashes', 'decode-and-merge', 'strict'];

/**
 * Whether the path at `start` to `end` is canonical beyond doubt. False says only that `canonicalPath` has to look.
 */
export function isCanonicalPath(bytes: Uint8Array, start: number, end: number, mode: PathMode): boolean {
  if (bytes[start] !== SLASH) return false;
  const mergesSlashes = mode !== 'none' && mode !== 'base';
  const isStrict = mode === 'strict';
  for (let index = start; index < end; index++) {
    const byte = bytes[index] ?? 0;
    const kind = KIND[byte] ?? REFUSED;
    if (kind === PLAIN || (kind === PARAMETER && !isStrict)) continue;
    if (kind === SEGMENT_END) {
      const next = index + 1 < end ? (bytes[index + 1] ?? 0) : 0;
      if (next === SLASH && mergesSlashes) return false;
      if (next === DOT && isDotSegment(bytes, index + 1, end)) return false;
      continue;
    }
    if (kind !== ESCAPE || isStrict || !isKeptEscape(bytes, index, end, mode)) return false;
    index += 2;
  }
  return true;
}

/** The canonical form of a path, null when it has none. One character is one byte. */
export function canonicalPath(raw: string, mode: PathMode): string | null {
  if (raw.charCodeAt(0) !== SLASH || !isWellFormed(raw, mode)) return null;
  if (mode === 'none') return raw;
  if (mode === 'strict' && isAmbiguous(raw)) return null;
  const text = decodeEscapes(raw, mode === 'decode-and-merge');
  // Decoding may bring an escape of an escape together.
  if (mode === 'strict' && isAmbiguous(text)) return null;
  const path = removeDotSegments(text);
  return mode === 'base' ? path : mergeSlashes(path);
}

/** A dot segment, whatever follows it: `.` or `..` before a slash, a parameter or the end; an escape may be a dot as well. */
function isDotSegment(bytes: Uint8Array, start: number, end: number): boolean {
  let index = start + 1;
  if (index < end && bytes[index] === DOT) index++;
  if (index >= end) return true;
  const byte = bytes[index];
  return byte === SLASH || byte === SEMICOLON || byte === PERCENT || byte === BACKSLASH;
}

function isKeptEscape(bytes: Uint8Array, at: number, end: number, mode: PathMode): boolean {
  if (at + 2 >= end) return false;
  const high = HEX[bytes[at + 1] ?? 0] ?? 255;
  const low = HEX[bytes[at + 2] ?? 0] ?? 255;
  if (high === 255 || low === 255) return false;
  const value = high * 16 + low;
  if (value === 0 || (UNRESERVED[value] === 1 && mode !== 'none')) return false;
  return mode !== 'decode-and-merge' || (value !== SLASH && value !== BACKSLASH);
}

/** Refuses bytes that no path holds, `%00`, and, except in `none`, which decodes nothing, escapes that are none. */
function isWellFormed(path: string, mode: PathMode): boolean {
  for (let index = 0; index < path.length; index++) {
    const code = path.charCodeAt(index);
    if (code > 126 || KIND[code] === REFUSED) return false;
    if (code !== PERCENT) continue;
    const value = escapeAt(path, index);
    if (value === 0 || (value < 0 && mode !== 'none')) return false;
  }
  return true;
}

/** What servers read in different ways: slashes, dots and parameters in disguise, and escapes of escapes. */
function isAmbiguous(path: string): boolean {
  for (let index = 0; index < path.length; index++) {
    const code = path.charCodeAt(index);
    if (code === BACKSLASH || code === SEMICOLON) return true;
    if (code === SLASH && isAmbiguousSegment(path, index + 1)) return true;
    if (code !== PERCENT) continue;
    const value = escapeAt(path, index);
    if (value < 32 || value === 127 || value === SLASH || value === BACKSLASH || value === SEMICOLON) return true;
    if (value === PERCENT && escapeDigits(path, index + 3) >= 0) return true;
    index += 2;
  }
  return false;
}

/** Whether the segment at `start` is empty before another, or `.` or `..` however they are written. */
function isAmbiguousSegment(path: string, start: number): boolean {
  if (path.charCodeAt(start) === SLASH) return true;
  let dots = 0;
  let index = start;
  while (index < path.length && path.charCodeAt(index) !== SLASH) {
    if (path.charCodeAt(index) === DOT) index++;
    else if (path.charCodeAt(index) === PERCENT && escapeAt(path, index) === DOT) index += 3;
    else return false;
    dots++;
  }
  return dots === 1 || dots === 2;
}

/** Decodes what need not be escaped, escapes what Envoy escapes, and turns backslashes into slashes. */
function decodeEscapes(path: string, decodesSlashes: boolean): string {
  let text = '';
  let copied = 0;
  for (let index = 0; index < path.length; index++) {
    const code = path.charCodeAt(index);
    let replacement = '';
    let length = 1;
    if (code === BACKSLASH) {
      replacement = '/';
    } else if (code === PERCENT) {
      const value = escapeAt(path, index);
      length = 3;
      if (UNRESERVED[value] === 1) replacement = String.fromCharCode(value);
      else if (decodesSlashes && (value === SLASH || value === BACKSLASH)) replacement = '/';
    } else if (KIND[code] === ESCAPED_BY_US) {
      replacement = `%${code.toString(16).toUpperCase()}`;
    }
    if (replacement !== '') {
      text += path.slice(copied, index) + replacement;
      copied = index + length;
    }
    index += length - 1;
  }
  return text + path.slice(copied);
}

/** Envoy's order: an empty segment is one that `..` takes away; slashes are merged afterwards. */
function removeDotSegments(path: string): string {
  const kept: string[] = [];
  let start = 1;
  for (;;) {
    const slash = path.indexOf('/', start);
    const isLast = slash < 0;
    const segment = path.slice(start, isLast ? path.length : slash);
    const parameters = segment.indexOf(';');
    const name = parameters < 0 ? segment : segment.slice(0, parameters);
    if (name === '.' || name === '..') {
      if (name === '..') kept.pop();
      if (isLast) kept.push('');
    } else {
      kept.push(segment);
    }
    if (isLast) break;
    start = slash + 1;
  }
  return `/${kept.join('/')}`;
}

function mergeSlashes(path: string): string {
  let text = '';
  let copied = 0;
  let at = path.indexOf('//');
  while (at >= 0) {
    text += path.slice(copied, at + 1);
    copied = at + 1;
    while (path.charCodeAt(copied) === SLASH) copied++;
    at = path.indexOf('//', copied);
  }
  return text + path.slice(copied);
}

/** The byte that the escape at `at` stands for, -1 when it is none. */
function escapeAt(path: string, at: number): number {
  return escapeDigits(path, at + 1);
}

function escapeDigits(path: string, at: number): number {
  if (at + 1 >= path.length) return -1;
  const high = HEX[path.charCodeAt(at)] ?? 255;
  const low = HEX[path.charCodeAt(at + 1)] ?? 255;
  return high === 255 || low === 255 ? -1 : high * 16 + low;
}

const PERCENT = 37;
const DOT = 46;
const SLASH = 47;
const SEMICOLON = 59;
const BACKSLASH = 92;

/** Kinds of bytes in a path. */
const REFUSED = 0;
const PLAIN = 1;
const SEGMENT_END = 2;
const ESCAPE = 3;
/** Has to be looked at: a backslash. */
const LOOKED_AT = 4;
const ESCAPED_BY_US = 5;
/** Plain, but ambiguous in `strict`. */
const PARAMETER = 6;

const KIND = new Uint8Array(256);
const UNRESERVED = new Uint8Array(256);
for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~') {
  KIND[character.charCodeAt(0)] = PLAIN;
  UNRESERVED[character.charCodeAt(0)] = 1;
}
for (const character of "!$&'()*+,=:@[]") KIND[character.charCodeAt(0)] = PLAIN;
for (const character of '"<>^`{|}') KIND[character.charCodeAt(0)] = ESCAPED_BY_US;
KIND[SLASH] = SEGMENT_END;
KIND[PERCENT] = ESCAPE;
KIND[SEMICOLON] = PARAMETER;
KIND[BACKSLASH] = LOOKED_AT;
