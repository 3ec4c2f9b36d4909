/**
 * Certificate revocation lists (RFC 5280, section 5): read from DER, and asked about one certificate at a time. A list that cannot be
 * trusted or is out of date refuses the chain that it is about: unknown is never "not revoked".
 */
import type { Certificate } from './certificate.ts';
import { contextTag, DerCursor, TAG } from './der.ts';
import { KEY_USAGE } from './extensions.ts';
import { isBytesSignedBy } from './signature.ts';

export interface RevocationList {
  readonly issuer: Buffer;
  readonly thisUpdateMs: number;
  /** Null when the list does not say when the next will come. */
  readonly nextUpdateMs: number | null;
  /** Serial numbers as hex of their contents. */
  readonly revokedSerials: ReadonlySet<string>;
  /** A critical extension of list or entry that is not understood, or null. */
  readonly unknownCritical: string | null;
  readonly signatureOid: string;
  readonly signedBytes: Buffer;
  readonly signature: Buffer;
}

export type RevocationListResult =
  | { readonly ok: true; readonly list: RevocationList }
  | { readonly ok: false; readonly code: 'crl_malformed'; readonly message: string };

/** What the lists say of a certificate. `unknown` only when none is its issuer's. */
export type RevocationStatus =
  | { readonly state: 'good' | 'unknown'; readonly validUntilMs: number }
  | { readonly state: 'revoked' | 'expired' | 'invalid'; readonly found: string };

/** Reads a list; all of `der` must be it. Never throws. */
export function readRevocationList(der: Buffer): RevocationListResult {
  const bytes = Buffer.from(der);
  const all = DerCursor.over(bytes);
  const outer = all.enter(TAG.sequence);
  all.close();
  const signedBytes = outer.readWhole(TAG.sequence);
  const tbs = DerCursor.over(signedBytes).enter(TAG.sequence);
  const signatureOid = outer.enter(TAG.sequence).readOid();
  const signature = outer.readBitStringBytes();
  outer.close();

  if (tbs.peekTag() === TAG.integer && tbs.readSmallInteger() !== 1) return malformed('it is not of version 2');
  const innerOid = tbs.enter(TAG.sequence).readOid();
  const issuer = tbs.readWhole(TAG.sequence);
  const thisUpdateMs = tbs.readTimeMs();
  const isTime = tbs.peekTag() === TAG.utcTime || tbs.peekTag() === TAG.generalizedTime;
  const nextUpdateMs = isTime ? tbs.readTimeMs() : null;
  const revokedSerials = new Set<string>();
  let unknownCritical: string | null = null;
  const entries = tbs.enterOptional(TAG.sequence);
  while (entries !== null && !entries.isAtEnd) {
    const entry = entries.enter(TAG.sequence);
    revokedSerials.add(entry.readInteger().toString('hex'));
    entry.readTimeMs();
    const extensions = entry.enterOptional(TAG.sequence);
    unknownCritical ??= firstCritical(extensions, KNOWN_ENTRY_EXTENSIONS);
    entry.close();
  }
  const wrapped = tbs.enterOptional(contextTag(0, 'constructed'));
  unknownCritical ??= firstCritical(wrapped?.enter(TAG.sequence) ?? null, KNOWN_LIST_EXTENSIONS);
  wrapped?.close();
  tbs.close();
  if (!all.isSound || !tbs.isSound) return malformed('its bytes are not a revocation list in DER');
  if (innerOid !== signatureOid) return malformed('it names two different signature algorithms');
  const facts = { issuer, thisUpdateMs, nextUpdateMs, revokedSerials, unknownCritical, signatureOid };
  return { ok: true, list: Object.freeze({ ...facts, signedBytes, signature }) };
}

/** Asks every list of the certificate's issuer. A delta or indirect list has a critical extension and is therefore invalid here. */
export function revocationStatus(
  certificate: Certificate,
  issuer: Certificate,
  lists: readonly RevocationList[],
  atMs: number,
): RevocationStatus {
  let validUntilMs = Number.POSITIVE_INFINITY;
  let isKnown = false;
  const serial = certificate.serial.toString('hex');
  for (const list of lists) {
    if (!list.issuer.equals(issuer.subject)) continue;
    const invalid = listFault(list, issuer);
    if (invalid !== null) return { state: 'invalid', found: invalid };
    if (list.revokedSerials.has(serial)) return { state: 'revoked', found: 'it stands in the revocation list of its issuer' };
    if (atMs < list.thisUpdateMs) return { state: 'expired', found: "its issuer's revocation list is not valid yet" };
    if (list.nextUpdateMs !== null && atMs > list.nextUpdateMs) {
      return { state: 'expired', found: `its issuer's revocation list ended at ${new Date(list.nextUpdateMs).toISOString()}` };
    }
    isKnown = true;
    validUntilMs = Math.min(validUntilMs, list.nextUpdateMs ?? validUntilMs);
  }
  return { state: isKnown ? 'good' : 'unknown', validUntilMs };
}

function listFault(list: RevocationList, issuer: Certificate): string | null {
  if (list.unknownCritical !== null) {
    return `its issuer's revocation list has the unknown critical extension ${list.unknownCritical}`;
  }
  const { keyUsage } = issuer.extensions;
  if (keyUsage !== null && (keyUsage.bits & KEY_USAGE.cRLSign) === 0)
    return 'its issuer may not sign revocation lists (no cRLSign)';
  return isListSignedBy(list, issuer) ? null : "its issuer's revocation list has a wrong signature";
}

/** One signature check for each pair of list and issuer, not for each chain. */
function isListSignedBy(list: RevocationList, issuer: Certificate): boolean {
  const key = issuer.fingerprint;
  const known = SIGNED_BY.get(list);
  if (known?.fingerprint === key) return known.isSigned;
  const isSigned = isBytesSignedBy(issuer, list.signatureOid, list.signedBytes, list.signature);
  SIGNED_BY.set(list, { fingerprint: key, isSigned });
  return isSigned;
}

function firstCritical(extensions: DerCursor | null, known: ReadonlySet<string>): string | null {
  let found: string | null = null;
  while (extensions !== null && !extensions.isAtEnd) {
    const extension = extensions.enter(TAG.sequence);
    const oid = extension.readOid();
    const isCritical = extension.peekTag() === TAG.boolean && extension.readBoolean();
    extension.read(TAG.octetString);
    extension.close();
    if (isCritical && !known.has(oid)) found ??= oid;
  }
  return found;
}

function malformed(found: string): RevocationListResult {
  return { ok: false, code: 'crl_malformed', message: `Cannot read the revocation list: ${found}` };
}

const SIGNED_BY = new WeakMap<RevocationList, { readonly fingerprint: string; readonly isSigned: boolean }>();

/** authorityKeyIdentifier and cRLNumber, which do not change what a list means. */
const KNOWN_LIST_EXTENSIONS: ReadonlySet<string> = new Set(['2.5.29.35', '2.5.29.20']);
/** reasonCode (removeFromCRL exists in delta lists only) and invalidityDate. */
const KNOWN_ENTRY_EXTENSIONS: ReadonlySet<string> = new Set(['2.5.29.21', '2.5.29.24']);
