/**
 * SPIFFE IDs and trust domains (SPIFFE-ID, sections 2.1 to 2.3), parsed by hand and byte by byte. `URL` is never used: it lower-cases,
 * decodes and resolves, and two parsers that disagree about a name are a hole. There is no way to make a `SpiffeId` but to parse
 * one, so that an invalid ID cannot exist.
 */

/** Why a text is not a SPIFFE ID or trust domain. */
export type SpiffeIdFault =
  | 'id_empty'
  | 'id_too_long'
  | 'scheme'
  | 'trust_domain_missing'
  | 'trust_domain_too_long'
  | 'trust_domain_charset'
  | 'trust_domain_user_info'
  | 'trust_domain_port'
  | 'path_trailing_slash'
  | 'path_empty_segment'
  | 'path_dot_segment'
  | 'path_charset'
  | 'path_percent_encoding'
  | 'id_query'
  | 'id_fragment';

export type SpiffeIdResult =
  | { readonly ok: true; readonly id: SpiffeId }
  | { readonly ok: false; readonly code: SpiffeIdFault; readonly message: string };

export type TrustDomainResult =
  | { readonly ok: true; readonly trustDomain: string }
  | { readonly ok: false; readonly code: SpiffeIdFault; readonly message: string };

/** A valid SPIFFE ID. Immutable; two are the same when their `uri` is. */
export class SpiffeId {
  /** `spiffe://trust.domain/path`. */
  readonly uri: string;
  readonly trustDomain: string;
  /** With its leading slash; '' for the ID of the trust domain itself. */
  readonly path: string;

  private constructor(uri: string, trustDomain: string, path: string) {
    this.uri = uri;
    this.trustDomain = trustDomain;
    this.path = path;
    Object.freeze(this);
  }

  /** Parses the ID as it stands in a URI SAN; one character of `text` for each byte there. */
  static parse(text: string): SpiffeIdResult {
    if (text === '') return fault('id_empty', text);
    if (text.length > MAX_ID_BYTES) return fault('id_too_long', text);
    if (!text.startsWith(SCHEME)) return fault('scheme', text);
    const slash = text.indexOf('/', SCHEME.length);
    const end = slash < 0 ? text.length : slash;
    const code = trustDomainFault(text, SCHEME.length, end) ?? pathFault(text, end);
    if (code !== null) return fault(code, text);
    return { ok: true, id: new SpiffeId(text, text.slice(SCHEME.length, end), text.slice(end)) };
  }

  toString(): string {
    return this.uri;
  }
}

/** Parses a SPIFFE ID: scheme `spiffe` in lower case, trust domain, and a path that may be absent. Never throws. */
export function parseSpiffeId(text: string): SpiffeIdResult {
  return SpiffeId.parse(text);
}

/** Parses a trust domain given by its name, or by a SPIFFE ID of which it then takes the trust domain. Never throws. */
export function parseTrustDomain(text: string): TrustDomainResult {
  if (text === '') return fault('trust_domain_missing', text);
  // A colon before a slash can only be a scheme; a name with a port is then refused by its scheme.
  if (text.includes(':/')) {
    const parsed = SpiffeId.parse(text);
    return parsed.ok ? { ok: true, trustDomain: parsed.id.trustDomain } : parsed;
  }
  const code = trustDomainFault(text, 0, text.length);
  return code === null ? { ok: true, trustDomain: text } : fault(code, text);
}

function trustDomainFault(text: string, start: number, end: number): SpiffeIdFault | null {
  if (start === end) return 'trust_domain_missing';
  for (let at = start; at < end; at++) {
    const char = text.charCodeAt(at);
    const isAllowed = (char >= LOWER_A && char <= LOWER_Z) || (char >= ZERO && char <= NINE) || isMark(char);
    if (!isAllowed) return authorityFault(text, at, end);
  }
  return end - start > MAX_TRUST_DOMAIN_BYTES ? 'trust_domain_too_long' : null;
}

/** Names what an URI's authority may hold and a trust domain may not. */
function authorityFault(text: string, at: number, end: number): SpiffeIdFault {
  const userEnd = text.indexOf('@', at);
  if (userEnd >= 0 && userEnd < end) return 'trust_domain_user_info';
  switch (text.charAt(at)) {
    case ':':
      return isDigits(text, at + 1, end) ? 'trust_domain_port' : 'trust_domain_charset';
    case '?':
      return 'id_query';
    case '#':
      return 'id_fragment';
    default:
      return 'trust_domain_charset';
  }
}

/** `start` is at the leading slash, or at the end of a text without path. */
function pathFault(text: string, start: number): SpiffeIdFault | null {
  let segment = start + 1;
  for (let at = segment; at <= text.length && start < text.length; at++) {
    const char = at === text.length ? SLASH : text.charCodeAt(at);
    if (char === SLASH) {
      const length = at - segment;
      if (length === 0) return at === text.length ? 'path_trailing_slash' : 'path_empty_segment';
      if (length <= 2 && text.charCodeAt(segment) === DOT && text.charCodeAt(at - 1) === DOT) return 'path_dot_segment';
      segment = at + 1;
      continue;
    }
    const isLetter = (char >= LOWER_A && char <= LOWER_Z) || (char >= UPPER_A && char <= UPPER_Z);
    if (isLetter || (char >= ZERO && char <= NINE) || isMark(char)) continue;
    if (char === PERCENT) return 'path_percent_encoding';
    if (char === QUESTION) return 'id_query';
    return char === HASH ? 'id_fragment' : 'path_charset';
  }
  return null;
}

function isMark(char: number): boolean {
  return char === DOT || char === DASH || char === UNDERSCORE;
}

function isDigits(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const char = text.charCodeAt(at);
    if (char < ZERO || char > NINE) return false;
  }
  return true;
}

function fault(code: SpiffeIdFault, text: string): { ok: false; code: SpiffeIdFault; message: string } {
  const shown = JSON.stringify(text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text);
  return { ok: false, code, message: `Cannot read the SPIFFE ID ${shown}: ${SENTENCES[code]}` };
}

/** SPIFFE-ID, section 2.3: what every implementation must support, and nothing needs more. */
const MAX_ID_BYTES = 2048;
const MAX_TRUST_DOMAIN_BYTES = 255;
const SCHEME = 'spiffe://';
const SHOWN_CHARACTERS = 120;

const LOWER_A = 0x61;
const LOWER_Z = 0x7a;
const UPPER_A = 0x41;
const UPPER_Z = 0x5a;
const ZERO = 0x30;
const NINE = 0x39;
const DOT = 0x2e;
const DASH = 0x2d;
const UNDERSCORE = 0x5f;
const SLASH = 0x2f;
const PERCENT = 0x25;
const QUESTION = 0x3f;
const HASH = 0x23;

const SENTENCES: Readonly<Record<SpiffeIdFault, string>> = {
  id_empty: 'it is empty',
  id_too_long: `it is longer than ${MAX_ID_BYTES} bytes`,
  scheme: 'it must begin with "spiffe://" in lower case',
  trust_domain_missing: 'the trust domain is missing',
  trust_domain_too_long: `the trust domain is longer than ${MAX_TRUST_DOMAIN_BYTES} bytes`,
  trust_domain_charset: 'a trust domain may hold lower-case letters, digits, dots, dashes and underscores only',
  trust_domain_user_info: 'a trust domain has no user information',
  trust_domain_port: 'a trust domain has no port',
  path_trailing_slash: 'the path ends with a slash',
  path_empty_segment: 'the path has an empty segment',
  path_dot_segment: 'the path has a segment "." or ".."',
  path_charset: 'a path segment may hold letters, digits, dots, dashes and underscores only',
  path_percent_encoding: 'a path may not be percent-encoded',
  id_query: 'a SPIFFE ID has no query',
  id_fragment: 'a SPIFFE ID has no fragment',
};
