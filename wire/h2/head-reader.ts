/**
 * Header blocks become heads (RFC 9113, section 8): the rules of pseudo-headers and of fields that HTTP/2 forbids, Host and
 * `:authority` reconciled, cookie crumbs joined, and a start line of HTTP/1.1 set before the fields, so that a head reads like one
 * that came over HTTP/1.1 and can be written there as it is. What a target or an authority means is not judged here.
 *
 * Hot path. Heads are shared by all connections and valid until the next block is read.
 */
import { LOWER, TARGET } from '../h1/characters.ts';
import { Trailers } from '../h1/chunked.ts';
import { equalsName, nameBytes } from '../h1/field-names.ts';
import { FIELD, FRAMING, RequestHead, ResponseHead, type FieldTable } from '../h1/head.ts';
import { methodText } from '../h1/request.ts';
import { writeText } from '../h1/serialise.ts';
import { BlockMemo } from './block-memo.ts';
import type { H2Fault } from './faults.ts';
import { DecodedFields, LINES_START, MAX_HEADER_LIST_BYTES, type FieldLimits } from './hpack/decoded-fields.ts';
import { HpackDecoder } from './hpack/decoder.ts';
import { PSEUDO } from './hpack/field-kind.ts';

/** The request that `HeadReader.request` read last. */
export const requestHead = new RequestHead();

/** The response that `HeadReader.response` read last. */
export const responseHead = new ResponseHead();

/** The trailer section that `HeadReader.trailers` read last. */
export const trailers = new Trailers(MAX_HEADER_LIST_BYTES);

/** Reads the blocks of one connection, which must all pass through it: requests or responses, and trailers. */
export class HeadReader {
  /** What Content-Length said in the last head, -1 without one. */
  contentLength = -1;
  /** `:protocol` of the last request, '' without one: the method is then shown as GET (RFC 8441, section 4). */
  protocol = '';
  readonly #decoder = new HpackDecoder();
  readonly #limits: FieldLimits;
  #memo: BlockMemo | null = null;

  constructor(limits: FieldLimits) {
    this.#limits = limits;
  }

  /** Reads a request's block into `requestHead`. */
  request(bytes: Buffer, start: number, end: number, endsStream: boolean): H2Fault | null {
    const memo = this.#recall(bytes, start, end);
    if (memo !== null && memo.restore(requestHead, null)) {
      this.contentLength = memo.contentLength;
      this.protocol = memo.protocol;
    } else {
      requestHead.expectsContinue = false;
      const fault = this.#decode(bytes, start, end, requestHead.fields, 1, true) ?? this.#makeRequest();
      if (fault !== null) return fault;
      if (memo !== null) memo.keepRequest(requestHead, this.contentLength, this.protocol, this.#decoder.table.version);
    }
    const isTunnel = this.protocol !== '' || requestHead.method === 'CONNECT';
    // What a tunnel carries has no length.
    if (this.contentLength >= 0 && (isTunnel || (endsStream && this.contentLength > 0))) return 'content_length';
    this.#frameRequest(endsStream || isTunnel);
    return null;
  }

  /** Reads a response's block into `responseHead`; `method` is that of the request. */
  response(bytes: Buffer, start: number, end: number, endsStream: boolean, method: string): H2Fault | null {
    const memo = this.#recall(bytes, start, end);
    if (memo !== null && memo.restore(null, responseHead)) this.contentLength = memo.contentLength;
    else {
      const fault = this.#decode(bytes, start, end, responseHead.fields, 0, false) ?? this.#makeResponse();
      if (fault !== null) return fault;
      if (memo !== null) memo.keepResponse(responseHead, this.contentLength, this.#decoder.table.version);
    }
    const { status } = responseHead;
    // RFC 9113, sections 8.1.1 and 8.6: an interim response ends nothing, and nothing is switched to.
    if (status < 200 && (endsStream || status === 101 || this.contentLength > 0))
      return status === 101 ? 'status' : 'message_order';
    const isBodiless = status < 200 || status === 204 || status === 304 || method === 'HEAD';
    if (isBodiless || (method === 'CONNECT' && status < 300)) {
      responseHead.framing = FRAMING.none;
      responseHead.contentLength = 0;
      this.contentLength = -1;
      return null;
    }
    if (endsStream && this.contentLength > 0) return 'content_length';
    // A response without a body still has a length over HTTP/1.1.
    if (endsStream) this.contentLength = 0;
    responseHead.framing = this.contentLength < 0 ? FRAMING.chunked : FRAMING.length;
    responseHead.contentLength = this.contentLength < 0 ? 0 : this.contentLength;
    return null;
  }

  /** Reads a trailer section's block into `trailers`. */
  trailers(bytes: Buffer, start: number, end: number): H2Fault | null {
    const { fields } = trailers;
    const fault = this.#decode(bytes, start, end, fields, 0, false);
    if (fault !== null) return fault;
    for (let which = PSEUDO.method; which <= PSEUDO.status; which++) if (hasPseudo(which)) return 'pseudo_misplaced';
    FIELDS.bytes.copy(trailers.bytes, 0, LINES_START, FIELDS.end);
    const { count, ranges } = fields;
    for (let index = 0; index < 4 * count; index++) ranges[index] = (ranges[index] ?? 0) - LINES_START;
    const linesEnd = FIELDS.end - LINES_START;
    trailers.end = linesEnd + 2;
    return null;
  }

  /** Reads a block for the sake of the table alone. */
  skip(bytes: Buffer, start: number, end: number): H2Fault | null {
    FIELDS.begin(trailers.fields, 0, false, NO_FIELDS);
    return this.#decoder.decode(bytes, start, end, FIELDS);
  }

  /** The place of this block in the memo, null when it may not have one. */
  #recall(bytes: Buffer, start: number, end: number): BlockMemo | null {
    if (!BlockMemo.mayKeep(bytes, start, end)) return null;
    this.#memo ??= new BlockMemo();
    this.#memo.find(bytes, start, end, this.#decoder.table.version);
    return this.#memo;
  }

  #decode(bytes: Buffer, start: number, end: number, table: FieldTable, first: number, isRequest: boolean): H2Fault | null {
    this.contentLength = -1;
    FIELDS.begin(table, first, isRequest, this.#limits);
    const fault = this.#decoder.decode(bytes, start, end, FIELDS) ?? FIELDS.fault;
    if (fault !== null) return fault;
    if (isRequest) FIELDS.joinCookies();
    const { count, ids, ranges } = table;
    for (let index = first; index < count; index++) {
      const id = ids[index] ?? 0;
      if (id === FIELD.unknown || id > FIELD.proxyConnection) continue;
      const found = this.#judgeField(id, ranges[(index << 2) + 2] ?? 0, ranges[(index << 2) + 3] ?? 0, isRequest);
      if (found !== null) return found;
    }
    return null;
  }

  #judgeField(id: number, start: number, end: number, isRequest: boolean): H2Fault | null {
    const { bytes } = FIELDS;
    switch (id) {
      // RFC 9113, section 8.2.2.
      case FIELD.connection:
      case FIELD.keepAlive:
      case FIELD.proxyConnection:
      case FIELD.transferEncoding:
      case FIELD.upgrade:
        return 'field_forbidden';
      case FIELD.te:
        return equalsName(bytes, start, end, TRAILERS) ? null : 'field_forbidden';
      case FIELD.contentLength:
        if (this.contentLength >= 0) return 'content_length';
        this.contentLength = lengthOf(bytes, start, end);
        return this.contentLength < 0 ? 'content_length' : null;
      case FIELD.expect:
        if (!isRequest) return null;
        if (!equalsName(bytes, start, end, CONTINUE)) return 'field_expect';
        requestHead.expectsContinue = true;
        return null;
      default:
        return null;
    }
  }

  /** Sets the start line and Host before the lines of the fields. */
  #makeRequest(): H2Fault | null {
    const { bytes, pseudo } = FIELDS;
    this.protocol = '';
    const methodEnd = pseudo[2 * PSEUDO.method + 1] ?? -1;
    if (methodEnd < 0) return 'pseudo_missing';
    if (hasPseudo(PSEUDO.status)) return 'pseudo_unknown';
    let method = methodText(bytes, pseudo[2 * PSEUDO.method] ?? 0, methodEnd);
    if (method === '') return 'method';
    let target: number = PSEUDO.path;
    if (hasPseudo(PSEUDO.protocol)) {
      const fault = this.#takeProtocol(method);
      if (fault !== null) return fault;
      method = 'GET';
    } else if (method === 'CONNECT') {
      // RFC 9113, section 8.5.
      if (hasPseudo(PSEUDO.scheme) || hasPseudo(PSEUDO.path)) return 'pseudo_misplaced';
      if (!hasPseudo(PSEUDO.authority)) return 'pseudo_missing';
      target = PSEUDO.authority;
    }
    if (target === PSEUDO.path) {
      if (!hasPseudo(PSEUDO.path) || !hasPseudo(PSEUDO.scheme)) return 'pseudo_missing';
      if (!isScheme()) return 'scheme';
      if (!isPath(method)) return 'path';
    }
    const fault = settleHost();
    if (fault !== null) return fault;

    const hostLength = FIELDS.hostEnd < 0 ? 0 : FIELDS.hostEnd - FIELDS.hostStart;
    const targetFrom = pseudo[2 * target] ?? 0;
    const targetLength = (pseudo[2 * target + 1] ?? 0) - targetFrom;
    const hostLine = FIELDS.hostEnd < 0 ? 0 : hostLength + 8;
    const head = requestHead;
    head.method = method;
    head.bytes = bytes;
    head.fieldsStart = LINES_START - hostLine;
    head.start = head.fieldsStart - method.length - targetLength - 12;
    head.targetStart = writeText(bytes, head.start, method) + 1;
    bytes[head.targetStart - 1] = 32;
    head.targetEnd = copyRun(bytes, targetFrom, targetLength, head.targetStart);
    writeText(bytes, head.targetEnd, ' HTTP/1.1\r\n');
    if (hostLine > 0) writeHost(head.fieldsStart, hostLength);
    head.hostIndex = hostLine > 0 ? 0 : -1;
    head.hostCount = hostLine > 0 ? 1 : 0;
    if (hostLine === 0) dropFirst(head.fields);
    endHead(head);
    return null;
  }

  /** RFC 8441, section 4: the bootstrapped protocol stands beside the pseudo-headers of a usual request. */
  #takeProtocol(method: string): H2Fault | null {
    const { bytes, pseudo } = FIELDS;
    if (method !== 'CONNECT') return 'protocol';
    if (!hasPseudo(PSEUDO.authority)) return 'pseudo_missing';
    const start = pseudo[2 * PSEUDO.protocol] ?? 0;
    const end = pseudo[2 * PSEUDO.protocol + 1] ?? 0;
    if (start === end || end - start > MAX_PROTOCOL || !isTargetText(start, end)) return 'protocol';
    this.protocol = bytes.toString('latin1', start, end);
    return null;
  }

  #frameRequest(hasNoContent: boolean): void {
    const head = requestHead;
    head.contentLength = this.contentLength < 0 ? 0 : this.contentLength;
    if (this.contentLength >= 0) head.framing = FRAMING.length;
    else head.framing = hasNoContent ? FRAMING.none : FRAMING.chunked;
  }

  #makeResponse(): H2Fault | null {
    const { bytes, pseudo } = FIELDS;
    for (let which = PSEUDO.method; which <= PSEUDO.protocol; which++) if (hasPseudo(which)) return 'pseudo_unknown';
    if (!hasPseudo(PSEUDO.status)) return 'pseudo_missing';
    const start = pseudo[2 * PSEUDO.status] ?? 0;
    if ((pseudo[2 * PSEUDO.status + 1] ?? 0) - start !== 3) return 'status';
    const status = lengthOf(bytes, start, start + 3);
    if (status < 100 || status > 599) return 'status';
    const head = responseHead;
    head.status = status;
    head.bytes = bytes;
    head.fieldsStart = LINES_START;
    head.start = LINES_START - STATUS_LINE_BYTES;
    writeText(bytes, head.start, 'HTTP/1.1 ');
    copyRun(bytes, start, 3, head.start + 9);
    head.reasonStart = writeText(bytes, head.start + 12, ' ');
    head.reasonEnd = head.reasonStart;
    writeText(bytes, head.reasonStart, '\r\n');
    endHead(head);
    return null;
  }
}

function hasPseudo(which: number): boolean {
  return (FIELDS.pseudo[2 * which + 1] ?? -1) >= 0;
}

function isScheme(): boolean {
  const start = FIELDS.pseudo[2 * PSEUDO.scheme] ?? 0;
  const end = FIELDS.pseudo[2 * PSEUDO.scheme + 1] ?? 0;
  return equalsName(FIELDS.bytes, start, end, HTTPS) || equalsName(FIELDS.bytes, start, end, HTTP);
}

/** RFC 9113, section 8.3.1: it starts with a slash, or is the asterisk of OPTIONS. */
function isPath(method: string): boolean {
  const { bytes, pseudo } = FIELDS;
  const start = pseudo[2 * PSEUDO.path] ?? 0;
  const end = pseudo[2 * PSEUDO.path + 1] ?? 0;
  if (start === end) return false;
  if (bytes[start] !== 47 && !(bytes[start] === 42 && end - start === 1 && method === 'OPTIONS')) return false;
  return isTargetText(start, end);
}

/** Leaves the one authority as the host of `FIELDS`; `:authority` and Host say the same, or the request is malformed. */
function settleHost(): H2Fault | null {
  const { bytes, pseudo } = FIELDS;
  if (FIELDS.hostCount > 1) return 'authority';
  if (hasPseudo(PSEUDO.authority)) {
    const start = pseudo[2 * PSEUDO.authority] ?? 0;
    const end = pseudo[2 * PSEUDO.authority + 1] ?? 0;
    if (FIELDS.hostEnd >= 0 && !isSameText(bytes, start, end, FIELDS.hostStart, FIELDS.hostEnd)) return 'authority';
    FIELDS.hostStart = start;
    FIELDS.hostEnd = end;
  }
  if (FIELDS.hostEnd < 0) return null;
  return FIELDS.hostEnd > FIELDS.hostStart && isTargetText(FIELDS.hostStart, FIELDS.hostEnd) ? null : 'authority';
}

function isSameText(bytes: Buffer, start: number, end: number, otherStart: number, otherEnd: number): boolean {
  if (end - start !== otherEnd - otherStart) return false;
  for (let index = 0; index < end - start; index++) {
    if (LOWER[bytes[start + index] ?? 0] !== LOWER[bytes[otherStart + index] ?? 0]) return false;
  }
  return true;
}

function isTargetText(start: number, end: number): boolean {
  for (let index = start; index < end; index++) if (TARGET[FIELDS.bytes[index] ?? 0] === 0) return false;
  return true;
}

/** Digits only, and no more than a double can count exactly; else -1. */
function lengthOf(bytes: Buffer, start: number, end: number): number {
  if (start === end || end - start > MAX_LENGTH_DIGITS) return -1;
  let value = 0;
  for (let index = start; index < end; index++) {
    const digit = (bytes[index] ?? 0) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** Writes Host's line and enters it as the first field. */
function writeHost(at: number, length: number): void {
  const { bytes } = FIELDS;
  const { ranges, ids, dropped } = requestHead.fields;
  writeText(bytes, at, 'host: ');
  const end = copyRun(bytes, FIELDS.hostStart, length, at + 6);
  writeText(bytes, end, '\r\n');
  ranges[0] = at;
  ranges[1] = at + 4;
  ranges[2] = at + 6;
  ranges[3] = end;
  ids[0] = FIELD.host;
  dropped[0] = 0;
}

/** The place that was kept for Host is not needed. */
function dropFirst(fields: FieldTable): void {
  fields.count--;
  fields.ranges.copyWithin(0, 4, 4 * (fields.count + 1));
  fields.ids.copyWithin(0, 1, fields.count + 1);
  fields.dropped.copyWithin(0, 1, fields.count + 1);
}

function endHead(head: RequestHead | ResponseHead): void {
  const { bytes, end } = FIELDS;
  bytes[end] = 13;
  bytes[end + 1] = 10;
  head.end = end + 2;
}

function copyRun(bytes: Buffer, start: number, length: number, to: number): number {
  if (length > LOOP_LIMIT) return to + bytes.copy(bytes, to, start, start + length);
  for (let index = 0; index < length; index++) bytes[to + index] = bytes[start + index] ?? 0;
  return to + length;
}

/** Blocks are read and used within one call, so that all connections share this. */
const FIELDS = new DecodedFields();
const NO_FIELDS: FieldLimits = { headerListBytes: 0, headerFields: 0 };
const TRAILERS = nameBytes('trailers');
const CONTINUE = nameBytes('100-continue');
const HTTP = nameBytes('http');
const HTTPS = nameBytes('https');
const STATUS_LINE_BYTES = 15;
const MAX_LENGTH_DIGITS = 15;
const MAX_PROTOCOL = 64;
const LOOP_LIMIT = 48;
