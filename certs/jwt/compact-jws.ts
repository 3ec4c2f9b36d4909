/**
 * A JSON Web Signature in compact form (RFC 7515), read strictly: three parts of unpadded base64url with nothing left over, a header
 * that says only what we understand. Reading proves nothing; that is done by verify-jws.ts.
 */
import type { JwtCode } from './codes.ts';

export interface CompactJws {
  readonly algorithm: string;
  /** Null without one. */
  readonly keyId: string | null;
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Buffer;
  /** The bytes that are signed. */
  readonly signed: Buffer;
  readonly signature: Buffer;
}

/** Never throws. */
export function readCompactJws(token: string): CompactJws | JwtCode {
  if (token.length > TOKEN_MAX) return 'jwt_too_large';
  const first = token.indexOf('.');
  const second = token.indexOf('.', first + 1);
  if (first < 1 || second < 0 || token.includes('.', second + 1)) return 'jwt_malformed';
  const headerBytes = base64url(token.slice(0, first));
  const payload = base64url(token.slice(first + 1, second));
  const signature = base64url(token.slice(second + 1));
  if (headerBytes === null || payload === null || signature === null) return 'jwt_malformed';
  const header = jsonObject(headerBytes);
  if (header === null) return 'jwt_malformed';
  const { alg, kid } = header;
  if (typeof alg !== 'string') return 'jwt_malformed';
  if (alg.toLowerCase() === 'none') return 'jwt_alg_none';
  if (Object.hasOwn(header, 'crit')) return 'jwt_crit';
  if (Object.hasOwn(header, 'b64')) return 'jwt_b64';
  if (HEADER_KEYS.some((name) => Object.hasOwn(header, name))) return 'jwt_header_key';
  if (kid !== undefined && typeof kid !== 'string') return 'jwt_kid';
  return {
    algorithm: alg,
    keyId: kid ?? null,
    header,
    payload,
    signed: Buffer.from(token.slice(0, second), 'latin1'),
    signature,
  };
}

/** The object in `bytes`; null for anything else. Text that is not UTF-8, and a name given twice, are no JSON here. */
export function jsonObject(bytes: Buffer): Readonly<Record<string, unknown>> | null {
  let text: string;
  let value: unknown;
  try {
    text = UTF8.decode(bytes);
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  return value as Record<string, unknown>; // an object that is no list has names and values
}

/** Null for anything but the one way to write these bytes (RFC 7515, section 2, and RFC 4648, section 3.5). */
function base64url(text: string): Buffer | null {
  if (!BASE64URL.test(text)) return null;
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : null;
}

const TOKEN_MAX = 16 * 1024;
const BASE64URL = /^[\w-]*$/;
const UTF8 = new TextDecoder('utf-8', { fatal: true });
const HEADER_KEYS = ['jwk', 'jku', 'x5c', 'x5u'];
