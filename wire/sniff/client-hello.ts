/**
 * A TLS ClientHello, read before TLS is spoken, for what it says of its sender's intent: the application protocols that it offers
 * (RFC 7301) and the server that it names (RFC 6066, section 3). Put together over segments and records (RFC 8446, section 5.1).
 * Strict: every length has to fit. What it says is no proof of anything; the handshake comes afterwards, over the same bytes.
 */

export interface ClientHello {
  /** Latin-1, in order of preference; empty without the extension. */
  readonly alpn: readonly string[];
  /** Lower case, or null when none is named. */
  readonly serverName: string | null;
}

/** Why bytes are no ClientHello. */
export type HelloFault = 'hello_malformed' | 'hello_too_large';

/** Larger ones are refused: those of today's clients have 0.3 to 2 KiB. */
export const HELLO_MAX = 16 * 1024;

/** Reads `bytes` from `start` to `end`; `more` while they are a beginning. */
export function readClientHello(bytes: Buffer, start: number, end: number): ClientHello | HelloFault | 'more' {
  const message = joinRecords(bytes, start, end);
  if (typeof message === 'string') return message;
  const reader = new Reader(message, HANDSHAKE_HEADER, message.length);
  // Version and random.
  reader.skip(2 + 32);
  reader.skip(reader.vector(1, 0, 32));
  const suites = reader.vector(2, 2, 0xfffe);
  if (suites % 2 !== 0) return 'hello_malformed';
  reader.skip(suites);
  reader.skip(reader.vector(1, 1, 255));
  if (reader.isBroken) return 'hello_malformed';
  // Before TLS 1.3 there may be no extensions at all.
  if (reader.left === 0) return { alpn: [], serverName: null };
  const extensions = reader.vector(2, 0, 0xffff);
  if (reader.isBroken || extensions !== reader.left) return 'hello_malformed';
  return readExtensions(reader) ?? 'hello_malformed';
}

/** The handshake message alone, without the headers of its records. */
function joinRecords(bytes: Buffer, start: number, end: number): Buffer | HelloFault | 'more' {
  const parts: Buffer[] = [];
  let gathered = 0;
  let wanted = HANDSHAKE_HEADER;
  let at = start;
  while (gathered < wanted) {
    if (end - at < RECORD_HEADER) return lengthSoFar(end - start);
    const length = bytes.readUInt16BE(at + 3);
    // A fragment of a handshake message is never empty.
    if (bytes[at] !== TLS_HANDSHAKE || bytes[at + 1] !== 3 || length === 0 || length > RECORD_MAX) return 'hello_malformed';
    const from = at + RECORD_HEADER;
    const to = Math.min(end, from + length);
    parts.push(bytes.subarray(from, to));
    gathered += to - from;
    at = from + length;
    const wasHeaderKnown = wanted > HANDSHAKE_HEADER;
    if (!wasHeaderKnown && gathered >= HANDSHAKE_HEADER) {
      const head = parts.length === 1 ? (parts[0] ?? NO_BYTES) : Buffer.concat(parts);
      if (head[0] !== CLIENT_HELLO) return 'hello_malformed';
      wanted = HANDSHAKE_HEADER + head.readUIntBE(1, 3);
      if (wanted > HELLO_MAX) return 'hello_too_large';
    }
    if (to < from + length && gathered < wanted) return lengthSoFar(end - start);
  }
  const message = parts.length === 1 ? (parts[0] ?? NO_BYTES) : Buffer.concat(parts);
  return message.subarray(0, wanted);
}

/** Tiny records could make a message of allowed size arbitrarily long. */
function lengthSoFar(length: number): 'more' | HelloFault {
  return length > BYTES_MAX ? 'hello_too_large' : 'more';
}

function readExtensions(reader: Reader): ClientHello | null {
  const seen = new Set<number>();
  let alpn: readonly string[] = [];
  let serverName: string | null = null;
  while (reader.left > 0) {
    const type = reader.number(2);
    const length = reader.vector(2, 0, 0xffff);
    if (reader.isBroken || seen.has(type)) return null;
    seen.add(type);
    const body = reader.part(length);
    if (type === EXTENSION_SERVER_NAME) {
      const named = readServerName(body);
      if (named === null) return null;
      serverName = named;
    } else if (type === EXTENSION_ALPN) {
      const offered = readProtocols(body);
      if (offered === null) return null;
      alpn = offered;
    }
  }
  return { alpn, serverName };
}

/** A list of names of which one kind exists, so one name. */
function readServerName(reader: Reader): string | null {
  const list = reader.vector(2, 1, 0xffff);
  if (reader.isBroken || list !== reader.left) return null;
  const kind = reader.number(1);
  const length = reader.vector(2, 1, NAME_MAX);
  if (kind !== 0 || reader.isBroken || length !== reader.left) return null;
  const name = reader.text(length);
  // ASCII without blanks and control characters; what else it may be is for whoever compares it.
  for (let index = 0; index < name.length; index++) {
    const code = name.charCodeAt(index);
    if (code <= 0x20 || code >= 0x7f) return null;
  }
  return name.toLowerCase();
}

function readProtocols(reader: Reader): readonly string[] | null {
  const list = reader.vector(2, 2, 0xffff);
  if (reader.isBroken || list !== reader.left) return null;
  const protocols: string[] = [];
  while (reader.left > 0) {
    const length = reader.vector(1, 1, 255);
    if (reader.isBroken) return null;
    protocols.push(reader.text(length));
  }
  return protocols;
}

/** Reads on within bounds; once something did not fit, it is broken for good and yields zeros. */
class Reader {
  isBroken = false;
  readonly #bytes: Buffer;
  #at: number;
  readonly #end: number;

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get left(): number {
    return this.#end - this.#at;
  }

  number(bytes: number): number {
    if (this.left < bytes) {
      this.isBroken = true;
      return 0;
    }
    const value = this.#bytes.readUIntBE(this.#at, bytes);
    this.#at += bytes;
    return value;
  }

  /** The length in front of a vector, which has to lie between the bounds and to fit. */
  vector(lengthBytes: number, least: number, most: number): number {
    const length = this.number(lengthBytes);
    if (length < least || length > most || length > this.left) this.isBroken = true;
    return this.isBroken ? 0 : length;
  }

  skip(bytes: number): void {
    if (this.left < bytes) this.isBroken = true;
    else this.#at += bytes;
  }

  part(bytes: number): Reader {
    const part = new Reader(this.#bytes, this.#at, this.#at + bytes);
    this.#at += bytes;
    return part;
  }

  text(bytes: number): string {
    const text = this.#bytes.toString('latin1', this.#at, this.#at + bytes);
    this.#at += bytes;
    return text;
  }
}

const TLS_HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const RECORD_HEADER = 5;
const RECORD_MAX = 16_384;
const HANDSHAKE_HEADER = 4;
const EXTENSION_SERVER_NAME = 0;
const EXTENSION_ALPN = 16;
const NAME_MAX = 255;
/** A message of `HELLO_MAX` in records of 64 bytes. */
const BYTES_MAX = HELLO_MAX + (HELLO_MAX / 64) * RECORD_HEADER;
const NO_BYTES = Buffer.alloc(0);
