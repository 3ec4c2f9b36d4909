/**
 * The head of an HTTP/1.x request (RFC 9112, sections 2 to 6), parsed strictly in one pass: what is not exactly the grammar is a
 * fault, found at the first byte that shows it, and nothing is repaired. It judges grammar and framing; what the target, the
 * method's case and Host mean is judged by proxy/http.
 *
 * Hot path: no allocation but the text of an uncommon method.
 */

import { CR, LF, SP, TARGET, TOKEN } from './characters.ts';
import { FAULT } from './faults.ts';
import { parseFieldLines } from './field-lines.ts';
import { FRAMING, MAX_FIELDS } from './head.ts';
import type { HeadLimits, RequestHead } from './head.ts';
import { incomplete, parseVersion } from './start-line.ts';

/**
 * Parses a request head in `bytes` from `start`, looking at no byte at or after `end`.
 *
 * Up to four empty lines before the start line are skipped (RFC 9112, section 2.2); `head.start` is the first byte after them.
 *
 * @returns the offset after the head, 0 when it needs more bytes, or a negative fault (`wireFault`)
 */
export function parseRequestHead(bytes: Buffer, start: number, end: number, head: RequestHead, limits: HeadLimits): number {
  let index = start;
  for (let lines = 0; index < end && bytes[index] === CR; lines++) {
    if (lines === MAX_EMPTY_LINES) return FAULT.startLine;
    if (index + 1 >= end) return 0;
    if (bytes[index + 1] !== LF) return FAULT.lineEnd;
    index += 2;
  }
  const headStart = index;
  const bound = headStart + limits.headBytes;
  const limit = end < bound ? end : bound;
  const maxFields = limits.fields < MAX_FIELDS ? limits.fields : MAX_FIELDS;
  head.bytes = bytes;
  head.start = headStart;
  head.framing = FRAMING.none;
  head.contentLength = 0;
  head.hasUpgrade = false;
  head.hostIndex = -1;
  head.hostCount = 0;
  head.expectsContinue = false;

  let byte = 0;
  for (;;) {
    if (index >= limit) return incomplete(headStart, end, limits.headBytes);
    byte = bytes[index] ?? 0;
    if (TOKEN[byte] === 0) break;
    index++;
  }
  if (byte !== SP || index === headStart) return byte === LF ? FAULT.lineEnd : FAULT.method;
  head.method = methodText(bytes, headStart, index);
  if (head.method === '') return FAULT.method;

  const targetStart = ++index;
  for (;;) {
    if (index >= limit) return incomplete(headStart, end, limits.headBytes);
    byte = bytes[index] ?? 0;
    if (TARGET[byte] === 0) break;
    index++;
  }
  if (byte !== SP || index === targetStart) return targetFault(byte);
  head.targetStart = targetStart;
  head.targetEnd = index;
  index++;

  const version = parseVersion(bytes, index, limit);
  if (version <= 0) return version < 0 ? version : incomplete(headStart, end, limits.headBytes);
  head.minor = version - 1;
  index += 8;
  if (index >= limit) return incomplete(headStart, end, limits.headBytes);
  byte = bytes[index] ?? 0;
  if (byte !== CR) return byte === LF ? FAULT.lineEnd : FAULT.startLine;
  if (index + 1 >= limit) return incomplete(headStart, end, limits.headBytes);
  if (bytes[index + 1] !== LF) return FAULT.lineEnd;
  index += 2;
  head.fieldsStart = index;

  const after = parseFieldLines(bytes, index, limit, head.fields, maxFields, head, head);
  if (after === 0) return incomplete(headStart, end, limits.headBytes);
  if (after > 0) head.end = after;
  return after;
}

/** A line that ends after its target is HTTP/0.9, which is not served. */
function targetFault(byte: number): number {
  if (byte === LF) return FAULT.lineEnd;
  return byte === CR ? FAULT.startLine : FAULT.target;
}

/**
 * The method as text, '' when it is not one of `METHODS`. The common ones are told apart by length and one byte, then compared in
 * full.
 */
export function methodText(bytes: Buffer, start: number, end: number): string {
  let common = '';
  switch (end - start) {
    case 3:
      common = bytes[start] === 71 ? 'GET' : 'PUT';
      break;
    case 4:
      common = bytes[start] === 80 ? 'POST' : 'HEAD';
      break;
    case 5:
      common = 'PATCH';
      break;
    case 6:
      common = 'DELETE';
      break;
    case 7:
      common = bytes[start] === 79 ? 'OPTIONS' : 'CONNECT';
      break;
    default:
      break;
  }
  const length = common.length;
  for (let index = 0; index < length; index++) {
    if (bytes[start + index] !== common.charCodeAt(index)) return uncommonMethod(bytes, start, end);
  }
  return length === 0 ? uncommonMethod(bytes, start, end) : common;
}

function uncommonMethod(bytes: Buffer, start: number, end: number): string {
  if (end - start > MAX_METHOD) return '';
  const text = bytes.toString('latin1', start, end);
  return METHODS.has(text) ? text : '';
}

/**
 * The methods of IANA's registry that are in use over HTTP/1.x, the same that llhttp and Envoy know: an app behind another parser
 * would refuse any other one with an answer that the caller could not tell from a broken connection.
 */
const METHODS: ReadonlySet<string> = new Set(
  (
    'ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY OPTIONS PATCH ' +
    'POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK UNSUBSCRIBE'
  ).split(' '),
);
const MAX_METHOD = 20;
const MAX_EMPTY_LINES = 4;
