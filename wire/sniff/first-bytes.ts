/**
 * What a connection speaks, told from its first bytes: a TLS ClientHello, a PROXY protocol header, HTTP/2's preface, a request line
 * of HTTP/1, or none of them. Errs on the side of HTTP: whatever a lenient server could take for a request is `http1`, so that the
 * strict reader refuses it and no rule about requests is passed by. Never decides from half a sign; reads no further than needed.
 */
import { CR, HTAB, LF, SP, TOKEN } from '../h1/characters.ts';

/** `more`: the bytes so far are the beginning of several. */
export type FirstBytes = 'tls' | 'http1' | 'http2' | 'proxy' | 'raw' | 'more';

/** Bytes after which a first line without an end is HTTP/1, and refused as one. */
export const FIRST_LINE_MAX = 8 * 1024;

/** Looks at what came first, `bytes` from `start` to `end`. */
export function readFirstBytes(bytes: Uint8Array, start: number, end: number): FirstBytes {
  if (start >= end) return 'more';
  const first = bytes[start] ?? 0;
  if (first === TLS_HANDSHAKE) return readTls(bytes, start, end);
  const isPreface = beginsWith(bytes, start, end, HTTP2_PREFACE);
  if (isPreface === 'whole') return 'http2';
  const isProxyV1 = beginsWith(bytes, start, end, PROXY_V1);
  const isProxyV2 = beginsWith(bytes, start, end, PROXY_V2);
  if (isProxyV1 === 'whole' || isProxyV2 === 'whole') return 'proxy';
  if (isPreface === 'part' || isProxyV1 === 'part' || isProxyV2 === 'part') return 'more';
  return readRequestLine(bytes, start, end);
}

/** Whether the bytes so far can become HTTP/2's preface, are it, or are something else. */
export function readPreface(bytes: Uint8Array, start: number, end: number): 'whole' | 'part' | 'other' {
  return beginsWith(bytes, start, end, HTTP2_PREFACE);
}

/** A record of type handshake, of any version 3.x, whose message is a ClientHello (RFC 8446, sections 4 and 5.1). */
function readTls(bytes: Uint8Array, start: number, end: number): FirstBytes {
  if (end - start > 1 && bytes[start + 1] !== 3) return 'raw';
  if (end - start > 2 && (bytes[start + 2] ?? 0) > 4) return 'raw';
  if (end - start < 6) return 'more';
  return bytes[start + 5] === CLIENT_HELLO ? 'tls' : 'raw';
}

/**
 * A request line: a method and a blank, and if the method is none of the usual ones, `HTTP/` somewhere in the line. Empty lines
 * before it are passed over, as RFC 9112, section 2.2, has servers do, and so are blanks.
 */
function readRequestLine(bytes: Uint8Array, start: number, end: number): FirstBytes {
  let at = start;
  while (at < end && isBlank(bytes[at])) at++;
  if (at - start > BLANKS_MAX) return 'http1';
  const methodStart = at;
  while (at < end && TOKEN[bytes[at] ?? 0] !== 0) at++;
  if (at === end && at - methodStart <= METHOD_MAX) return 'more';
  // Whatever stands behind a method, even a NUL.
  if (METHODS.has(latin1(bytes, methodStart, at))) return 'http1';
  return readLine(bytes, methodStart, end);
}

/**
 * A first line that begins like no request: still one, and refused, when it names a protocol of that family, because some server may
 * be found that takes it. Text is waited for to the end of its line; what has other bytes soon is a binary protocol.
 */
function readLine(bytes: Uint8Array, lineStart: number, end: number): FirstBytes {
  const last = Math.min(end, lineStart + FIRST_LINE_MAX);
  for (let at = lineStart; at < last; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === LF) return 'raw';
    if (byte === SLASH && isProtocolBefore(bytes, lineStart, at)) return 'http1';
    if (byte < SP && byte !== HTAB && byte !== CR) return 'raw';
  }
  return last - lineStart >= FIRST_LINE_MAX ? 'http1' : 'more';
}

function isBlank(byte: number | undefined): boolean {
  return byte === CR || byte === LF || byte === SP || byte === HTAB;
}

/** Whether the name of a protocol with request lines stands right before `at`, in any case. */
function isProtocolBefore(bytes: Uint8Array, from: number, at: number): boolean {
  const name = latin1(bytes, Math.max(from, at - 4), at).toUpperCase();
  return name === 'HTTP' || name === 'RTSP' || name.endsWith('ICE');
}

function beginsWith(bytes: Uint8Array, start: number, end: number, sign: Uint8Array): 'whole' | 'part' | 'other' {
  const length = Math.min(end - start, sign.length);
  for (let index = 0; index < length; index++) if (bytes[start + index] !== sign[index]) return 'other';
  return length === sign.length ? 'whole' : 'part';
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at] ?? 0);
  return text;
}

const TLS_HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SLASH = 47;
const METHOD_MAX = 64;
const BLANKS_MAX = 16;
const HTTP2_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const PROXY_V1 = Buffer.from('PROXY ', 'latin1');
const PROXY_V2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

/** RFC 9110, section 9, and RFC 5789. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']);
