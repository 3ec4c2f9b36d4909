/**
 * The certificate extensions that a verifier of X.509-SVIDs reads (RFC 5280, section 4.2): basic constraints, key usage, extended key
 * usage, subject alternative names, name constraints. Facts only; what they allow is judged in certs/rules.ts.
 */
import { contextTag, TAG } from './der.ts';
import type { DerCursor } from './der.ts';

/** Bits of `keyUsage`, nine named bits with bit 0 highest (RFC 5280, section 4.2.1.3). */
export const KEY_USAGE = {
  digitalSignature: 0x100,
  keyEncipherment: 0x040,
  keyAgreement: 0x010,
  keyCertSign: 0x008,
  cRLSign: 0x004,
} as const;

export const EXTENDED_KEY_USAGE = { serverAuth: '1.3.6.1.5.5.7.3.1', clientAuth: '1.3.6.1.5.5.7.3.2' } as const;

/** Object identifiers of extensions. */
export const EXTENSION = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
} as const;

/** Hosts of the URI name constraints (RFC 5280, section 4.2.1.10), in lower case. */
export interface NameConstraints {
  readonly isCritical: boolean;
  readonly permittedHosts: readonly string[];
  readonly excludedHosts: readonly string[];
  /** A constraint on another kind of name is there, or one with a minimum or maximum. */
  readonly hasOtherKinds: boolean;
}

export interface BasicConstraints {
  readonly isCritical: boolean;
  readonly isCa: boolean;
  readonly pathLength: number | null;
}

export interface KeyUsage {
  readonly isCritical: boolean;
  /** `KEY_USAGE` bits. */
  readonly bits: number;
}

export interface AltNames {
  /** Contents of the URI names, one character for each byte. */
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
}

export interface Extensions {
  readonly basicConstraints: BasicConstraints | null;
  readonly keyUsage: KeyUsage | null;
  readonly extKeyUsage: readonly string[] | null;
  readonly altNames: AltNames | null;
  readonly isAltNameCritical: boolean;
  readonly nameConstraints: NameConstraints | null;
  /** The first critical extension that is none of the above, or null. */
  readonly unknownCritical: string | null;
  /** An extension that is there twice, or null (forbidden by RFC 5280, section 4.2). */
  readonly duplicate: string | null;
}

/** Reads `SEQUENCE OF Extension`; `cursor` is over its elements, or null where a certificate has none. */
export function readExtensions(cursor: DerCursor | null): Extensions {
  const found: { -readonly [K in keyof Extensions]: Extensions[K] } = {
    basicConstraints: null,
    keyUsage: null,
    extKeyUsage: null,
    altNames: null,
    isAltNameCritical: false,
    nameConstraints: null,
    unknownCritical: null,
    duplicate: null,
  };
  const seen = new Set<string>();
  while (cursor !== null && !cursor.isAtEnd) {
    const extension = cursor.enter(TAG.sequence);
    const oid = extension.readOid();
    // DER leaves a default out, so that `FALSE` is never written; certificates that write it are common and read alike.
    const isCritical = extension.peekTag() === TAG.boolean && extension.readBoolean();
    const value = extension.enter(TAG.octetString);
    extension.close();
    if (seen.has(oid)) found.duplicate ??= oid;
    seen.add(oid);
    switch (oid) {
      case EXTENSION.basicConstraints:
        found.basicConstraints = readBasicConstraints(value, isCritical);
        break;
      case EXTENSION.keyUsage:
        found.keyUsage = { isCritical, bits: value.readNamedBits(9) };
        value.close();
        break;
      case EXTENSION.extKeyUsage:
        found.extKeyUsage = readOids(value);
        break;
      case EXTENSION.subjectAltName:
        found.altNames = readAltNames(value);
        found.isAltNameCritical = isCritical;
        break;
      case EXTENSION.nameConstraints:
        found.nameConstraints = readNameConstraints(value, isCritical);
        break;
      default:
        if (isCritical) found.unknownCritical ??= oid;
    }
  }
  return found;
}

function readBasicConstraints(value: DerCursor, isCritical: boolean): BasicConstraints {
  const fields = value.enter(TAG.sequence);
  value.close();
  const isCa = fields.peekTag() === TAG.boolean && fields.readBoolean();
  const pathLength = fields.peekTag() === TAG.integer ? fields.readSmallInteger() : null;
  fields.close();
  return { isCritical, isCa, pathLength };
}

function readOids(value: DerCursor): string[] {
  const list = value.enter(TAG.sequence);
  value.close();
  const oids: string[] = [];
  while (!list.isAtEnd) oids.push(list.readOid());
  return oids;
}

function readAltNames(value: DerCursor): AltNames {
  const names = value.enter(TAG.sequence);
  value.close();
  const uris: string[] = [];
  const dnsNames: string[] = [];
  while (!names.isAtEnd) {
    const tag = names.readAny();
    if (tag === URI_NAME) uris.push(names.lastContents.toString('latin1'));
    else if (tag === DNS_NAME) dnsNames.push(names.lastContents.toString('latin1'));
  }
  return { uris, dnsNames };
}

function readNameConstraints(value: DerCursor, isCritical: boolean): NameConstraints {
  const sides = value.enter(TAG.sequence);
  value.close();
  const permitted = readSubtrees(sides.enterOptional(contextTag(0, 'constructed')));
  const excluded = readSubtrees(sides.enterOptional(contextTag(1, 'constructed')));
  sides.close();
  return {
    isCritical,
    permittedHosts: permitted.hosts,
    excludedHosts: excluded.hosts,
    hasOtherKinds: permitted.hasOtherKinds || excluded.hasOtherKinds,
  };
}

function readSubtrees(trees: DerCursor | null): { hosts: string[]; hasOtherKinds: boolean } {
  const hosts: string[] = [];
  let hasOtherKinds = false;
  while (trees !== null && !trees.isAtEnd) {
    const tree = trees.enter(TAG.sequence);
    if (tree.readAny() === URI_NAME) hosts.push(tree.lastContents.toString('latin1').toLowerCase());
    else hasOtherKinds = true;
    // A minimum or maximum must not be there (RFC 5280, section 4.2.1.10).
    if (!tree.isAtEnd) hasOtherKinds = true;
  }
  return { hosts, hasOtherKinds };
}

/** Context tags of GeneralName: dNSName is [2], uniformResourceIdentifier is [6]. */
const DNS_NAME = contextTag(2, 'primitive');
const URI_NAME = contextTag(6, 'primitive');
