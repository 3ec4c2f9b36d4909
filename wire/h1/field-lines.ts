/**
 * Field lines of a head or of a trailer section (RFC 9112, section 5), parsed in one pass into a `FieldTable`. What frames the
 * message is judged the moment its line ends. Nothing is repaired: no bare LF, no folding, no blank before the colon.
 *
 * Hot path.
 */

import { COLON, COMMA, CR, HTAB, LF, SP, TEXT, TOKEN } from './characters.ts';
import { equalsName, fieldId, nameBytes } from './field-names.ts';
import { FAULT } from './faults.ts';
import { FIELD, FRAMING } from './head.ts';
import type { FieldTable, MessageHead, RequestHead } from './head.ts';

/**
 * Reads field lines up to and with the empty line that ends them.
 *
 * @param limit      no byte at or after it is looked at
 * @param maxFields  one line more is a fault
 * @param head       takes what the fields say of framing and connection, null for trailers
 * @param request    the same head when it is a request, for Host and Expect
 * @returns the offset after the empty line, 0 when `limit` came first, or a negative fault
 */
export function parseFieldLines(
  bytes: Buffer,
  at: number,
  limit: number,
  table: FieldTable,
  maxFields: number,
  head: MessageHead | null,
  request: RequestHead | null,
): number {
  const { ranges, ids, dropped } = table;
  let count = 0;
  let connection = 0;
  let seen = 0;
  let index = at;
  for (;;) {
    if (index >= limit) return 0;
    let byte = bytes[index] ?? 0;
    if (byte === CR) {
      if (index + 1 >= limit) return 0;
      if (bytes[index + 1] !== LF) return FAULT.lineEnd;
      table.count = count;
      table.hasUnderscore = (seen & 2) !== 0;
      if (head !== null) applyConnection(head, connection);
      return index + 2;
    }
    if (count >= maxFields) return FAULT.tooManyFields;

    const nameStart = index;
    let kind = TOKEN[byte] ?? 0;
    while (kind !== 0) {
      seen |= kind;
      if (++index >= limit) return 0;
      byte = bytes[index] ?? 0;
      kind = TOKEN[byte] ?? 0;
    }
    const nameEnd = index;
    if (byte !== COLON || nameEnd === nameStart) return nameFault(byte, nameEnd - nameStart, count);
    const id = fieldId(bytes, nameStart, nameEnd);
    const isFraming = head !== null && (id === FIELD.contentLength || id === FIELD.transferEncoding);
    if (isFraming) {
      const fault = framingFault(head, id);
      if (fault < 0) return fault;
    }

    if (++index >= limit) return 0;
    byte = bytes[index] ?? 0;
    while (byte === SP || byte === HTAB) {
      if (++index >= limit) return 0;
      byte = bytes[index] ?? 0;
    }
    const valueStart = index;
    if (isFraming && id === FIELD.contentLength && !isLengthSoFar(bytes, index, limit)) return FAULT.contentLength;
    while (TEXT[byte] === 1) {
      if (++index >= limit) return 0;
      byte = bytes[index] ?? 0;
    }
    if (byte !== CR) return byte === LF ? FAULT.lineEnd : FAULT.fieldValue;
    if (index + 1 >= limit) return 0;
    if (bytes[index + 1] !== LF) return FAULT.lineEnd;
    let valueEnd = index;
    while (valueEnd > valueStart && isBlank(bytes[valueEnd - 1] ?? 0)) valueEnd--;
    index += 2;

    const entry = count << 2;
    ranges[entry] = nameStart;
    ranges[entry + 1] = nameEnd;
    ranges[entry + 2] = valueStart;
    ranges[entry + 3] = valueEnd;
    ids[count] = id;
    dropped[count] = 0;
    if (head !== null && id !== FIELD.unknown && id <= FIELD.expect) {
      if (id === FIELD.connection) {
        const options = connectionOptions(bytes, valueStart, valueEnd);
        if (options < 0) return options;
        connection |= options;
      } else {
        const fault = judgeField(bytes, valueStart, valueEnd, id, count, head, request);
        if (fault < 0) return fault;
      }
    }
    count++;
  }
}

function nameFault(byte: number, length: number, count: number): number {
  if (byte === LF) return FAULT.lineEnd;
  if (byte === SP || byte === HTAB) {
    return length === 0 && count > 0 ? FAULT.lineFolding : FAULT.fieldWhitespace;
  }
  return FAULT.fieldName;
}

function judgeField(
  bytes: Buffer,
  start: number,
  end: number,
  id: number,
  position: number,
  head: MessageHead,
  request: RequestHead | null,
): number {
  switch (id) {
    case FIELD.contentLength:
      return contentLength(bytes, start, end, head);
    case FIELD.transferEncoding:
      if (!equalsName(bytes, start, end, CHUNKED)) return codingFault(bytes, start, end);
      if (isTabBehind(bytes, end)) return FAULT.transferEncoding;
      head.framing = FRAMING.chunked;
      return 0;
    case FIELD.upgrade:
      head.hasUpgrade = true;
      return 0;
    case FIELD.host:
      if (request !== null && request.hostCount++ === 0) request.hostIndex = position;
      return 0;
    case FIELD.expect:
      if (request === null) return 0;
      if (!equalsName(bytes, start, end, CONTINUE)) return FAULT.expectation;
      // RFC 9110, section 10.1.1: from an HTTP/1.0 client it is to be ignored.
      request.expectsContinue = head.minor === 1;
      return 0;
    default:
      return 0;
  }
}

/** A second field that frames the message is a fault before its value is read, and so is a coding in HTTP/1.0. */
function framingFault(head: MessageHead, id: number): number {
  if (id === FIELD.contentLength) {
    if (head.framing === FRAMING.none) return 0;
    return head.framing === FRAMING.length ? FAULT.contentLength : FAULT.framingConflict;
  }
  if (head.framing === FRAMING.length) return FAULT.framingConflict;
  return head.framing === FRAMING.chunked || head.minor === 0 ? FAULT.transferEncoding : 0;
}

/** Whether what is there of a length may still become one: digits, then blanks. The end of the line is judged elsewhere. */
function isLengthSoFar(bytes: Buffer, start: number, limit: number): boolean {
  let index = start;
  while (index < limit && isDigit(bytes[index] ?? 0)) index++;
  if (index - start > MAX_LENGTH_DIGITS) return false;
  while (index < limit && isBlank(bytes[index] ?? 0)) index++;
  return index >= limit || bytes[index] === CR || bytes[index] === LF;
}

/** Digits only, and no more than a double can count exactly. */
function contentLength(bytes: Buffer, start: number, end: number, head: MessageHead): number {
  if (start === end || end - start > MAX_LENGTH_DIGITS) return FAULT.contentLength;
  let value = 0;
  for (let index = start; index < end; index++) {
    const byte = bytes[index] ?? 0;
    if (!isDigit(byte)) return FAULT.contentLength;
    value = value * 10 + byte - 48;
  }
  head.framing = FRAMING.length;
  head.contentLength = value;
  return 0;
}

/** llhttp takes a coding with a tab behind it for another one; what an app might read so is not sent through. */
function isTabBehind(bytes: Buffer, end: number): boolean {
  let index = end;
  while (bytes[index] === SP) index++;
  return bytes[index] === HTAB;
}

/** Tells a coding that exists but is not served, which is 501, from nonsense, which is 400. */
function codingFault(bytes: Buffer, start: number, end: number): number {
  let index = start;
  while (index < end && TOKEN[bytes[index] ?? 0] !== 0) index++;
  if (index === start || equalsName(bytes, start, index, CHUNKED)) return FAULT.transferEncoding;
  while (index < end) {
    const byte = bytes[index] ?? 0;
    if (TOKEN[byte] === 0 && byte !== COMMA && !isBlank(byte)) return FAULT.transferEncoding;
    index++;
  }
  return FAULT.transferCoding;
}

/** The `OPTION` bits of one Connection value, or a fault when it is no list of tokens. */
function connectionOptions(bytes: Buffer, start: number, end: number): number {
  if (equalsName(bytes, start, end, KEEP_ALIVE)) return OPTION.keepAlive;
  if (equalsName(bytes, start, end, CLOSE)) return OPTION.close;
  let options = 0;
  let index = start;
  while (index < end) {
    let byte = bytes[index] ?? 0;
    if (byte === COMMA || isBlank(byte)) {
      index++;
      continue;
    }
    const optionStart = index;
    while (index < end && TOKEN[bytes[index] ?? 0] !== 0) index++;
    if (index === optionStart) return FAULT.connectionOption;
    if (equalsName(bytes, optionStart, index, CLOSE)) options |= OPTION.close;
    else if (equalsName(bytes, optionStart, index, KEEP_ALIVE)) options |= OPTION.keepAlive;
    else options |= OPTION.other;
    while (index < end && isBlank(bytes[index] ?? 0)) index++;
    byte = bytes[index] ?? 0;
    if (index < end && byte !== COMMA) return FAULT.connectionOption;
  }
  return options;
}

function applyConnection(head: MessageHead, options: number): void {
  head.hasConnectionOptions = (options & OPTION.other) !== 0;
  if ((options & OPTION.close) !== 0) head.isPersistent = false;
  else head.isPersistent = head.minor === 1 || (options & OPTION.keepAlive) !== 0;
}

function isDigit(byte: number): boolean {
  return byte >= 48 && byte <= 57;
}

function isBlank(byte: number): boolean {
  return byte === SP || byte === HTAB;
}

const OPTION = { close: 1, keepAlive: 2, other: 4 } as const;
const CHUNKED = nameBytes('chunked');
const CONTINUE = nameBytes('100-continue');
const KEEP_ALIVE = nameBytes('keep-alive');
const CLOSE = nameBytes('close');
/** 999,999,999,999,999 is below 2^53. */
const MAX_LENGTH_DIGITS = 15;
