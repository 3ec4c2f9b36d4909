/**
 * What a request asks for, in the one form that is judged, logged and forwarded: method, path and authority (RFC 9110, section 7.1;
 * RFC 9112, section 3.2). One request, one reading: whatever two servers could take for two different things is refused here.
 *
 * Hot path: a path that is canonical already and a Host that was there before cost one string for the path.
 */

import type { RequestHead } from '#wire/h1/head.ts';
import type { Failure } from '../failure.ts';
import { authorityText, defaultPort, parseAuthority } from './authority.ts';
import type { Authority } from './authority.ts';
import { canonicalPath, isCanonicalPath } from './path.ts';
import type { PathMode } from './path.ts';

/** Where a request goes. One record is filled again for each request. */
export class CanonicalTarget {
  /** One character a byte; `*` for `OPTIONS *`. */
  path = '/';
  /** Where the query stands in the head's bytes, `?` included; equal offsets mean there is none. It is never changed. */
  queryStart = 0;
  queryEnd = 0;
  /** As policies compare it: lower case, one trailing dot dropped, the port kept when one was sent. */
  authority = '';
  /** The host alone. */
  host = '';
  /** The port, null when none was sent or it is that of the scheme. */
  port: number | null = null;
  /** The Host or `:authority` that `authority`, `host` and `given` were made from; the same one again is not parsed again. */
  rawAuthority = '';
  given: Authority | null = null;
}

/** A request's target as text, for HTTP/2 and for the verbs. */
export interface TargetText {
  readonly method: string;
  /** One character a byte. */
  readonly target: string;
  /** Values of all Host fields. */
  readonly hosts: readonly string[];
  /** `:authority`, null when there is none. */
  readonly authority: string | null;
  readonly scheme: string;
}

/**
 * Canonicalises the target of a parsed head into `out`.
 *
 * @param scheme  `http` or `https`, as the connection is
 * @returns null, or why the request is refused
 */
export function canonicaliseHead(head: RequestHead, mode: PathMode, scheme: string, out: CanonicalTarget): Failure | null {
  const { bytes, fields, hostIndex } = head;
  const fault = methodFailure(head.method);
  if (fault !== null) return fault;
  if (head.hostCount !== 1) return 'bad_authority';
  const start = fields.ranges[(hostIndex << 2) + 2] ?? 0;
  const end = fields.ranges[(hostIndex << 2) + 3] ?? 0;
  if (!isText(bytes, start, end, out.rawAuthority)) {
    if (!takeAuthority(bytes.toString('latin1', start, end), out)) return 'bad_authority';
  }
  settlePort(scheme, out);
  return canonicaliseRange(head.method, bytes, head.targetStart, head.targetEnd, mode, out);
}

/**
 * The same for a target in text; the query's offsets in `out` are those of the text.
 *
 * @returns null, or why the request is refused
 */
export function canonicaliseText(request: TargetText, mode: PathMode, out: CanonicalTarget): Failure | null {
  const { authority, hosts, method, scheme, target } = request;
  const fault = methodFailure(method);
  if (fault !== null) return fault;
  if (defaultPort(scheme) === null) return 'bad_path';
  if (hosts.length > 1) return 'bad_authority';
  const raw = authority ?? hosts[0];
  if (raw === undefined || !takeAuthority(raw, out)) return 'bad_authority';
  settlePort(scheme, out);
  if (authority !== null && hosts[0] !== undefined && !agrees(hosts[0], scheme, out)) return 'bad_authority';
  for (let index = 0; index < target.length; index++) {
    if (target.charCodeAt(index) > 126) return 'bad_path';
  }
  return canonicaliseRange(method, Buffer.from(target, 'latin1'), 0, target.length, mode, out);
}

/** One to twenty upper-case letters, and no tunnel. */
function methodFailure(method: string): Failure | null {
  if (method === 'GET' || method === 'POST') return null;
  if (method === 'CONNECT') return 'method_refused';
  const length = method.length;
  if (length === 0 || length > MAX_METHOD) return 'bad_method';
  for (let index = 0; index < length; index++) {
    const code = method.charCodeAt(index);
    if (code < 65 || code > 90) return 'bad_method';
  }
  return null;
}

/** Target forms: origin-form, `*` for OPTIONS, and absolute-form that names the same host; authority-form is CONNECT's alone. */
function canonicaliseRange(
  method: string,
  bytes: Buffer,
  start: number,
  end: number,
  mode: PathMode,
  out: CanonicalTarget,
): Failure | null {
  const first = bytes[start];
  if (first === SLASH) return takePath(bytes, start, end, mode, out);
  if (first === ASTERISK && end - start === 1 && method === 'OPTIONS') {
    out.path = '*';
    out.queryStart = out.queryEnd = end;
    return null;
  }
  return takeAbsolute(method, bytes, start, end, mode, out);
}

function takePath(bytes: Buffer, start: number, end: number, mode: PathMode, out: CanonicalTarget): Failure | null {
  let pathEnd = start;
  while (pathEnd < end && bytes[pathEnd] !== QUESTION) pathEnd++;
  if (!takeQuery(bytes, pathEnd, end, out)) return 'bad_path';
  if (isCanonicalPath(bytes, start, pathEnd, mode)) {
    out.path = bytes.toString('latin1', start, pathEnd);
  } else {
    const path = canonicalPath(bytes.toString('latin1', start, pathEnd), mode);
    if (path === null || path.length > MAX_PATH) return 'bad_path';
    out.path = path;
  }
  return null;
}

/** The query goes on as it came; it has only to be made of what a URI may hold, and to have no fragment behind it. */
function takeQuery(bytes: Buffer, start: number, end: number, out: CanonicalTarget): boolean {
  for (let index = start; index < end; index++) {
    const byte = bytes[index] ?? 0;
    if (byte <= 32 || byte > 126 || byte === HASH) return false;
  }
  out.queryStart = start;
  out.queryEnd = end;
  return true;
}

function takeAbsolute(
  method: string,
  bytes: Buffer,
  start: number,
  end: number,
  mode: PathMode,
  out: CanonicalTarget,
): Failure | null {
  const colon = bytes.indexOf('://', start, 'latin1');
  if (colon < 0 || colon >= end) return 'bad_path';
  const scheme = bytes.toString('latin1', start, colon).toLowerCase();
  if (defaultPort(scheme) === null) return 'bad_path';
  const authorityStart = colon + 3;
  let authorityEnd = authorityStart;
  while (authorityEnd < end && bytes[authorityEnd] !== SLASH && bytes[authorityEnd] !== QUESTION) authorityEnd++;
  if (!agrees(bytes.toString('latin1', authorityStart, authorityEnd), scheme, out)) return 'bad_authority';
  if (authorityEnd < end && bytes[authorityEnd] === SLASH) return takePath(bytes, authorityEnd, end, mode, out);
  // RFC 9112, section 3.2.4: OPTIONS without a path asks about the server itself.
  out.path = method === 'OPTIONS' && authorityEnd === end ? '*' : '/';
  return takeQuery(bytes, authorityEnd, end, out) ? null : 'bad_path';
}

/** Makes `out` speak of the authority `raw`; false when it is none. */
function takeAuthority(raw: string, out: CanonicalTarget): boolean {
  const given = parseAuthority(raw);
  if (given === null) return false;
  out.rawAuthority = raw;
  out.given = given;
  out.host = given.host;
  out.authority = authorityText(given);
  return true;
}

function settlePort(scheme: string, out: CanonicalTarget): void {
  const port = out.given === null ? null : out.given.port;
  out.port = port === defaultPort(scheme) ? null : port;
}

/** Whether another authority of the same request names the same host and port. */
function agrees(raw: string, scheme: string, out: CanonicalTarget): boolean {
  const other = parseAuthority(raw);
  if (other === null || out.given === null || other.host !== out.given.host) return false;
  const port = defaultPort(scheme);
  return (other.port ?? port) === (out.given.port ?? port);
}

function isText(bytes: Buffer, start: number, end: number, text: string): boolean {
  const length = text.length;
  if (length === 0 || end - start !== length) return false;
  for (let index = 0; index < length; index++) {
    if (bytes[start + index] !== text.charCodeAt(index)) return false;
  }
  return true;
}

const HASH = 35;
const ASTERISK = 42;
const SLASH = 47;
const QUESTION = 63;
const MAX_METHOD = 20;
/** Escaping makes a path up to three times as long; with the rest of the largest head this still fits into one write (io/outlet.ts). */
const MAX_PATH = 65_536;
