/**
 * Writes certificates, extensions and revocation lists (RFC 5280, sections 4 and 5), signed by `node:crypto`. It writes what it is told,
 * malformed things included: what an SVID must look like is the authority's business, and tests need the others.
 */
import { createHash, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import { DerCursor, TAG } from './der.ts';
import * as asn from './encode.ts';
import type { Element } from './encode.ts';
import { EXTENSION } from './extensions.ts';

export interface ExtensionFields {
  readonly oid: string;
  readonly isCritical: boolean;
  /** Contents of the OCTET STRING. */
  readonly value: Buffer;
}

export interface CertificateFields {
  readonly version: 1 | 3;
  /** Big-endian two's complement. */
  readonly serial: Buffer;
  /** Names in DER. */
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKey: KeyObject;
  readonly extensions: readonly ExtensionFields[];
  /** The issuer's private key: EC, RSA or Ed25519. */
  readonly signer: KeyObject;
}

export interface RevocationListFields {
  readonly issuer: Buffer;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number | null;
  readonly revoked: readonly { readonly serial: Buffer; readonly atMs: number }[];
  readonly extensions?: readonly ExtensionFields[];
  readonly signer: KeyObject;
}

/** `[oid, text]` pairs, one relative name each; none is the empty name. */
export function nameDer(attributes: readonly (readonly [oid: string, text: string])[]): Buffer {
  return asn.toDer(
    asn.sequence(...attributes.map(([oid, text]) => asn.set(asn.sequence(asn.objectId(oid), asn.utf8String(text))))),
  );
}

export function writeCertificate(fields: CertificateFields): Buffer {
  const algorithm = algorithmOf(fields.signer);
  const extensions = fields.extensions.map(extensionElement);
  const tbs = asn.sequence(
    ...(fields.version === 1 ? [] : [asn.contextOf(0, asn.integer(fields.version - 1))]),
    asn.integer(fields.serial),
    algorithm.element,
    asn.fromDer(fields.issuer),
    asn.sequence(asn.time(fields.notBeforeMs), asn.time(fields.notAfterMs)),
    asn.fromDer(fields.subject),
    asn.fromDer(fields.publicKey.export({ type: 'spki', format: 'der' })),
    ...(extensions.length === 0 ? [] : [asn.contextOf(3, asn.sequence(...extensions))]),
  );
  return signed(tbs, algorithm, fields.signer);
}

export function writeRevocationList(fields: RevocationListFields): Buffer {
  const algorithm = algorithmOf(fields.signer);
  const entries = fields.revoked.map((each) => asn.sequence(asn.integer(each.serial), asn.time(each.atMs)));
  const extensions = (fields.extensions ?? []).map(extensionElement);
  const tbs = asn.sequence(
    asn.integer(1),
    algorithm.element,
    asn.fromDer(fields.issuer),
    asn.time(fields.thisUpdateMs),
    ...(fields.nextUpdateMs === null ? [] : [asn.time(fields.nextUpdateMs)]),
    ...(entries.length === 0 ? [] : [asn.sequence(...entries)]),
    ...(extensions.length === 0 ? [] : [asn.contextOf(0, asn.sequence(...extensions))]),
  );
  return signed(tbs, algorithm, fields.signer);
}

export function basicConstraints(isCa: boolean, pathLength: number | null = null): ExtensionFields {
  const fields = [...(isCa ? [asn.boolean(true)] : []), ...(pathLength === null ? [] : [asn.integer(pathLength)])];
  return extension(EXTENSION.basicConstraints, true, asn.sequence(...fields));
}

/** `bits` are `KEY_USAGE` bits. */
export function keyUsage(bits: number): ExtensionFields {
  return extension(EXTENSION.keyUsage, true, asn.namedBits(bits, 9));
}

export function extKeyUsage(oids: readonly string[]): ExtensionFields {
  return extension(EXTENSION.extKeyUsage, false, asn.sequence(...oids.map(asn.objectId)));
}

/** Text is written one byte for each character. */
export function subjectAltName(uris: readonly string[], dnsNames: readonly string[], isCritical: boolean): ExtensionFields {
  const names = [
    ...uris.map((each) => asn.contextString(6, Buffer.from(each, 'latin1'))),
    ...dnsNames.map((each) => asn.contextString(2, Buffer.from(each, 'latin1'))),
  ];
  return extension(EXTENSION.subjectAltName, isCritical, asn.sequence(...names));
}

/** Hosts of URI names. */
export function nameConstraints(permitted: readonly string[], excluded: readonly string[]): ExtensionFields {
  const trees = (hosts: readonly string[]): Element[] =>
    hosts.map((each) => asn.sequence(asn.contextString(6, Buffer.from(each))));
  return extension(
    EXTENSION.nameConstraints,
    true,
    asn.sequence(
      ...(permitted.length === 0 ? [] : [asn.contextOf(0, ...trees(permitted))]),
      ...(excluded.length === 0 ? [] : [asn.contextOf(1, ...trees(excluded))]),
    ),
  );
}

export function subjectKeyIdentifier(publicKey: KeyObject): ExtensionFields {
  return extension(EXTENSION.subjectKeyIdentifier, false, asn.octetString(keyIdentifier(publicKey)));
}

export function authorityKeyIdentifier(publicKey: KeyObject): ExtensionFields {
  return extension(EXTENSION.authorityKeyIdentifier, false, asn.sequence(asn.contextString(0, keyIdentifier(publicKey))));
}

/** SHA-1 of the key's bits, the first way of RFC 5280, section 4.2.1.2; a name, not a proof. */
export function keyIdentifier(publicKey: KeyObject): Buffer {
  const spki = DerCursor.over(publicKey.export({ type: 'spki', format: 'der' })).enter(TAG.sequence);
  spki.read(TAG.sequence);
  return createHash('sha1').update(spki.readBitStringBytes()).digest();
}

function extension(oid: string, isCritical: boolean, value: Element): ExtensionFields {
  return { oid, isCritical, value: asn.toDer(value) };
}

function extensionElement({ oid, isCritical, value }: ExtensionFields): Element {
  return asn.sequence(asn.objectId(oid), ...(isCritical ? [asn.boolean(true)] : []), asn.octetString(value));
}

interface Algorithm {
  readonly element: Element;
  readonly digest: string | null;
}

function algorithmOf(key: KeyObject): Algorithm {
  const type = key.asymmetricKeyType;
  if (type === 'rsa') {
    // PKCS#1 algorithms carry a NULL (RFC 4055, section 5), the others nothing.
    return { element: asn.sequence(asn.objectId('1.2.840.113549.1.1.11'), asn.fromDer(Buffer.from([5, 0]))), digest: 'sha256' };
  }
  if (type === 'ed25519') return { element: asn.sequence(asn.objectId('1.3.101.112')), digest: null };
  return { element: asn.sequence(asn.objectId('1.2.840.10045.4.3.2')), digest: 'sha256' };
}

function signed(tbs: Element, algorithm: Algorithm, signer: KeyObject): Buffer {
  const signature = sign(algorithm.digest, asn.toDer(tbs), signer);
  return asn.toDer(asn.sequence(tbs, algorithm.element, asn.bitString(signature)));
}
