/**
 * Heads become header blocks (RFC 9113, section 8): pseudo-headers first, names in lower case, and none of the fields that speak
 * of a connection. What comes again is copied from a memo.
 *
 * Hot path.
 */
import type { Trailers } from '../h1/chunked.ts';
import { equalsName, fieldId, nameBytes } from '../h1/field-names.ts';
import { FIELD, FRAMING, type FieldTable, type MessageHead, type RequestHead, type ResponseHead } from '../h1/head.ts';
import { writeText } from '../h1/serialise.ts';
import { HpackEncoder, pseudoId } from './hpack/encoder.ts';
import { kindOfName, PSEUDO, PSEUDO_NAMES } from './hpack/field-kind.ts';
import { WrittenMemo } from './written-memo.ts';

/**
 * Writes the blocks of one connection. Begin a block with `begin`, add the parts of a head in their order, then have it sent before
 * anything else is written: blocks count in the order in which they were encoded.
 */
export class HeadWriter {
  readonly encoder = new HpackEncoder();
  readonly #memo = new WrittenMemo();

  begin(): void {
    this.encoder.begin();
  }

  /**
   * Adds a request's pseudo-headers and fields, and Content-Length as its framing says. `:authority` is the head's Host.
   *
   * @param target    what to write instead of the head's own target, '' to keep it
   * @param protocol  for extended CONNECT (RFC 8441), else ''
   */
  request(head: RequestHead, target: string, scheme: 'http' | 'https', protocol: string): void {
    const { bytes, fields, hostIndex } = head;
    const { encoder } = this;
    const isConnect = head.method === 'CONNECT';
    if (protocol !== '') this.text(':method', 'CONNECT');
    else if (head.method === 'GET') encoder.indexed(METHOD_GET);
    else if (head.method === 'POST') encoder.indexed(METHOD_POST);
    else this.text(':method', head.method);
    if (protocol !== '') this.text(':protocol', protocol);
    if (!isConnect) {
      encoder.indexed(scheme === 'https' ? SCHEME_HTTPS : SCHEME_HTTP);
      if (target === '') this.#pseudo(PSEUDO.path, bytes, head.targetStart, head.targetEnd);
      else this.text(':path', target);
    }
    // Callers ask for many things and say much the same of themselves.
    const { count, dropped } = fields;
    if (this.#memo.repeat(encoder, bytes, head.fieldsStart, head.end, dropped, count, KIND_REQUEST + head.framing)) return;
    if (hostIndex >= 0) {
      this.#pseudo(PSEUDO.authority, bytes, fields.ranges[(hostIndex << 2) + 2] ?? 0, fields.ranges[(hostIndex << 2) + 3] ?? 0);
    }
    this.#fields(bytes, fields);
    this.#length(head);
    this.#memo.keep(encoder);
  }

  /** Adds a response's status and fields, and Content-Length as its framing says. */
  response(head: ResponseHead): void {
    const { bytes, end, fields, framing, start, status } = head;
    const { encoder } = this;
    // The status stands in the start line too, unless it was changed.
    const kind = KIND_RESPONSE + framing + (status << 4);
    if (this.#memo.repeat(encoder, bytes, start, end, fields.dropped, fields.count, kind)) return;
    this.status(status);
    this.#fields(bytes, fields);
    this.#length(head);
    this.#memo.keep(encoder);
  }

  /** Adds `:status`. */
  status(status: number): void {
    const index = STATUSES.indexOf(status);
    if (index >= 0) this.encoder.indexed(STATUS_200 + index);
    else this.text(':status', String(status));
  }

  /** Adds the trailers that are not dropped. */
  trailers({ bytes, fields }: Trailers): void {
    this.#fields(bytes, fields);
  }

  /** Adds a field given as text, a name in lower case and a value in Latin-1; pseudo-headers too. */
  text(name: string, value: string): void {
    const length = name.length + value.length;
    const bytes = length <= TEXT.length ? TEXT : Buffer.allocUnsafe(length);
    const nameEnd = writeText(bytes, 0, name);
    const end = writeText(bytes, nameEnd, value);
    const kind = name.charCodeAt(0) === COLON ? kindOfName(bytes, 0, nameEnd) : PSEUDO.none;
    this.encoder.field(bytes, 0, nameEnd, nameEnd, end, kind === PSEUDO.none ? fieldId(bytes, 0, nameEnd) : pseudoId(kind));
  }

  /** Adds fields given as lines of HTTP/1.1 that we wrote ourselves: `name: value`, each with its line end. */
  lines(bytes: Buffer, start: number, end: number): void {
    if (this.#memo.repeat(this.encoder, bytes, start, end, bytes, 0, KIND_LINES)) return;
    this.#lines(bytes, start, end);
    this.#memo.keep(this.encoder);
  }

  #lines(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      // Lines are short: a search by the runtime costs more than these steps.
      let colon = at;
      while (colon < end && bytes[colon] !== COLON) colon++;
      let lineEnd = colon;
      while (lineEnd < end && bytes[lineEnd] !== CR) lineEnd++;
      if (lineEnd >= end) return;
      this.encoder.field(bytes, at, colon, colon + 2, lineEnd, fieldId(bytes, at, colon));
      at = lineEnd + 2;
    }
  }

  /** A pseudo-header other than those that the static table holds in full. */
  #pseudo(pseudo: number, bytes: Buffer, start: number, end: number): void {
    const name = PSEUDO_NAMES[pseudo] ?? NO_NAME;
    // The encoder takes name and value from one run of bytes.
    const length = name.length + end - start;
    const run = length <= TEXT.length ? TEXT : Buffer.allocUnsafe(length);
    for (let index = 0; index < name.length; index++) run[index] = name[index] ?? 0;
    bytes.copy(run, name.length, start, end);
    this.encoder.field(run, 0, name.length, name.length, length, pseudoId(pseudo));
  }

  #fields(bytes: Buffer, { count, dropped, ids, ranges }: FieldTable): void {
    const { encoder } = this;
    for (let index = 0; index < count; index++) {
      if (dropped[index] !== 0) continue;
      const id = ids[index] ?? 0;
      const entry = index << 2;
      const valueStart = ranges[entry + 2] ?? 0;
      const valueEnd = ranges[entry + 3] ?? 0;
      if (OF_CONNECTION[id] === 1) continue;
      if (id === FIELD.te && !equalsName(bytes, valueStart, valueEnd, TRAILERS)) continue;
      encoder.field(bytes, ranges[entry] ?? 0, ranges[entry + 1] ?? 0, valueStart, valueEnd, id);
    }
  }

  #length(head: MessageHead): void {
    if (head.framing !== FRAMING.length) return;
    const nameEnd = CONTENT_LENGTH.length;
    CONTENT_LENGTH.copy(TEXT, 0);
    let value = head.contentLength;
    let digits = 1;
    for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
    for (let at = nameEnd + digits - 1; at >= nameEnd; at--) {
      TEXT[at] = 48 + (value % 10);
      value = Math.floor(value / 10);
    }
    this.encoder.field(TEXT, 0, nameEnd, nameEnd, nameEnd + digits, FIELD.contentLength);
  }
}

/** What a remembered run of lines is; responses have their framing and status beside it. */
const KIND_REQUEST = 4;
const KIND_LINES = 8;
const KIND_RESPONSE = 12;

/** Indexes in the static table. */
const METHOD_GET = 2;
const METHOD_POST = 3;
const SCHEME_HTTP = 6;
const SCHEME_HTTPS = 7;
const STATUS_200 = 8;
const STATUSES = [200, 204, 206, 304, 400, 404, 500];

const NO_NAME = new Uint8Array(0);
const COLON = 58;
const CR = 13;
const CONTENT_LENGTH = Buffer.from('content-length', 'latin1');
const TRAILERS = nameBytes('trailers');

/** 1 for the fields that never stand in an HTTP/2 message (RFC 9113, section 8.2.2), Host, which is `:authority`, among them. */
const OF_CONNECTION = new Uint8Array(256);
for (const id of [
  FIELD.host,
  FIELD.connection,
  FIELD.keepAlive,
  FIELD.proxyConnection,
  FIELD.transferEncoding,
  FIELD.upgrade,
  FIELD.http2Settings,
]) {
  OF_CONNECTION[id] = 1;
}

/** Fields made of text are put together here; longer ones get memory of their own. */
const TEXT = Buffer.allocUnsafeSlow(8192);
