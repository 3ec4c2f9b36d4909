/**
 * One X.509 certificate as facts (RFC 5280, section 4.1): read once from DER by our own reader, and held beside OpenSSL's view of it,
 * which is asked for signatures only. What `node:crypto` hides (key usage bits, criticality, path length, name constraints) or turns
 * into text (alternative names) is read here from the bytes. Nothing is judged.
 */
import { hash, X509Certificate } from 'node:crypto';

import { contextTag, DerCursor, TAG } from './der.ts';
import { readExtensions } from './extensions.ts';
import type { Extensions } from './extensions.ts';

export type CertificateFault = 'certificate_malformed' | 'certificate_too_large' | 'duplicate_extension';

export type CertificateResult =
  | { readonly ok: true; readonly certificate: Certificate }
  | { readonly ok: false; readonly code: CertificateFault; readonly message: string };

/** Immutable. `der` and the buffers below are views into one private copy. */
export interface Certificate {
  readonly der: Buffer;
  /** SHA-256 of the DER, lower-case hex: what XFCC calls Hash. */
  readonly fingerprint: string;
  /** 1, 2 or 3. */
  readonly version: number;
  /** Contents of the INTEGER, big-endian two's complement. */
  readonly serial: Buffer;
  /** Names as DER, compared byte by byte. */
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** OID of the algorithm that it is signed with. */
  readonly signatureOid: string;
  readonly extensions: Extensions;
  /** OpenSSL's view of the same bytes. */
  readonly x509: X509Certificate;
}

/** Reads a certificate; all of `der` must be it. Never throws. */
export function readCertificate(der: Buffer): CertificateResult {
  if (der.length > MAX_CERTIFICATE_BYTES) {
    return fault('certificate_too_large', `it has ${der.length} bytes, at most ${MAX_CERTIFICATE_BYTES} are read`);
  }
  const bytes = Buffer.from(der);
  const all = DerCursor.over(bytes);
  const outer = all.enter(TAG.sequence);
  all.close();
  const tbs = outer.enter(TAG.sequence);
  const signatureAlgorithm = outer.readWhole(TAG.sequence);
  outer.readBitStringBytes();
  outer.close();

  const version = (tbs.enterOptional(contextTag(0, 'constructed'))?.readSmallInteger() ?? 0) + 1;
  const serial = tbs.readInteger();
  const innerAlgorithm = tbs.readWhole(TAG.sequence);
  const issuer = tbs.readWhole(TAG.sequence);
  const validity = tbs.enter(TAG.sequence);
  const notBeforeMs = validity.readTimeMs();
  const notAfterMs = validity.readTimeMs();
  validity.close();
  const subject = tbs.readWhole(TAG.sequence);
  tbs.read(TAG.sequence);
  tbs.readOptional(ISSUER_UNIQUE_ID);
  tbs.readOptional(SUBJECT_UNIQUE_ID);
  const wrapped = tbs.enterOptional(contextTag(3, 'constructed'));
  const extensions = readExtensions(wrapped === null ? null : wrapped.enter(TAG.sequence));
  wrapped?.close();
  tbs.close();

  if (!all.isSound || version > 3) return fault('certificate_malformed', 'its bytes are not a certificate in DER');
  if (!signatureAlgorithm.equals(innerAlgorithm)) {
    return fault('certificate_malformed', 'it names two different signature algorithms');
  }
  const signatureOid = DerCursor.over(signatureAlgorithm).enter(TAG.sequence).readOid();
  if (extensions.duplicate !== null) return fault('duplicate_extension', `extension ${extensions.duplicate} is there twice`);
  const x509 = openSslView(bytes);
  if (x509 === null) return fault('certificate_malformed', 'OpenSSL cannot read it');
  const fingerprint = hash('sha256', bytes, 'hex');
  const facts = { version, serial, issuer, subject, notBeforeMs, notAfterMs, signatureOid, extensions };
  return { ok: true, certificate: Object.freeze({ der: bytes, fingerprint, ...facts, x509 }) };
}

/** Serial number as OpenSSL and Istio print it: upper-case hex without leading zero bytes. */
export function serialText(certificate: Certificate): string {
  const bytes = certificate.serial;
  const start = bytes.length > 1 && bytes[0] === 0 ? 1 : 0;
  return bytes.subarray(start).toString('hex').toUpperCase();
}

/** The constructor is the only way to have OpenSSL's view, and it throws. */
function openSslView(der: Buffer): X509Certificate | null {
  try {
    return new X509Certificate(der);
  } catch {
    return null;
  }
}

function fault(code: CertificateFault, found: string): { ok: false; code: CertificateFault; message: string } {
  return { ok: false, code, message: `Cannot read the certificate: ${found}` };
}

/** A P-256 SVID has 600 bytes, an RSA-4096 root with many names 4 KiB. */
const MAX_CERTIFICATE_BYTES = 32_768;
const ISSUER_UNIQUE_ID = contextTag(1, 'primitive');
const SUBJECT_UNIQUE_ID = contextTag(2, 'primitive');
