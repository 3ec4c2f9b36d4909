/**
 * A small certificate authority for the demo and for tests: roots, intermediates and SVIDs on P-256, with the profile of X509-SVID
 * section 4. Keys live in memory and in what the caller writes. It attests nobody: whom to give which ID is the caller's decision.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import { PosternError } from '#base/error.ts';

import { parseSpiffeId, parseTrustDomain } from '../spiffe-id.ts';
import { readCertificate } from '../x509/certificate.ts';
import type { Certificate } from '../x509/certificate.ts';
import { EXTENDED_KEY_USAGE, KEY_USAGE } from '../x509/extensions.ts';
import { writePem } from '../x509/pem.ts';
import * as write from '../x509/write.ts';
import type { CertificateFields } from '../x509/write.ts';

/** A signer of one trust domain: the root, or an intermediate below it. */
export interface Authority {
  readonly trustDomain: string;
  readonly certificate: Certificate;
  readonly certificatePem: string;
  readonly key: KeyObject;
  /** Intermediates from this one up to, and without, the root; what stands behind a leaf in its chain. */
  readonly chain: readonly Certificate[];
  /** The root, as a bundle file. */
  readonly bundlePem: string;
}

export interface IssuedSvid {
  readonly certificate: Certificate;
  /** Leaf first, then the authority's chain, in DER. */
  readonly chain: readonly Buffer[];
  /** The same as PEM. */
  readonly certificatePem: string;
  /** PKCS#8. */
  readonly keyPem: string;
  readonly key: KeyObject;
}

export interface RootRequest {
  readonly trustDomain: string;
  readonly atMs: number;
  readonly lifetimeMs: number;
  readonly overrides?: Overrides;
}

export interface IntermediateRequest {
  readonly atMs: number;
  readonly lifetimeMs: number;
  /** Told apart by it in names. */
  readonly name?: string;
  readonly overrides?: Overrides;
}

export interface SvidRequest {
  readonly spiffeId: string;
  readonly atMs: number;
  readonly lifetimeMs: number;
  readonly dnsNames?: readonly string[];
  readonly overrides?: Overrides;
}

/**
 * What a test may bend, each field of the certificate as it would otherwise be written. With it no rule is checked.
 */
export type Overrides = (fields: CertificateFields) => Partial<CertificateFields>;

/** Makes a trust domain's root. */
export function createRoot(request: RootRequest): Authority {
  const { trustDomain, atMs, lifetimeMs } = request;
  const parsed = parseTrustDomain(trustDomain);
  if (!parsed.ok) throw new PosternError('authority_trust_domain', parsed.message);
  const keys = newKeys();
  const name = write.nameDer([[ORGANIZATION, trustDomain]]);
  const fields: CertificateFields = {
    ...common(atMs, lifetimeMs),
    issuer: name,
    subject: name,
    publicKey: keys.publicKey,
    signer: keys.privateKey,
    extensions: signerExtensions(keys.publicKey, keys.publicKey, [`spiffe://${trustDomain}`]),
  };
  const certificate = finish(fields, request.overrides);
  const certificatePem = writePem('CERTIFICATE', certificate.der);
  return { trustDomain, certificate, certificatePem, key: keys.privateKey, chain: [], bundlePem: certificatePem };
}

/** Makes an authority below another one. */
export function createIntermediate(parent: Authority, request: IntermediateRequest): Authority {
  const { atMs, lifetimeMs, name = 'intermediate' } = request;
  const { trustDomain, bundlePem } = parent;
  const keys = newKeys();
  const fields: CertificateFields = {
    ...common(atMs, lifetimeMs),
    issuer: parent.certificate.subject,
    subject: write.nameDer([
      [ORGANIZATION, trustDomain],
      [COMMON_NAME, name],
    ]),
    publicKey: keys.publicKey,
    signer: parent.key,
    extensions: signerExtensions(keys.publicKey, parent.certificate.x509.publicKey, []),
  };
  const certificate = finish(fields, request.overrides);
  const certificatePem = writePem('CERTIFICATE', certificate.der);
  return { trustDomain, certificate, certificatePem, key: keys.privateKey, chain: [certificate, ...parent.chain], bundlePem };
}

/** Issues an SVID with a new key. */
export function issueSvid(authority: Authority, request: SvidRequest): IssuedSvid {
  const { spiffeId, atMs, lifetimeMs, dnsNames = [], overrides } = request;
  if (overrides === undefined) checkId(spiffeId, authority.trustDomain);
  const keys = newKeys();
  const fields: CertificateFields = {
    ...common(atMs, lifetimeMs),
    issuer: authority.certificate.subject,
    subject: write.nameDer([]),
    publicKey: keys.publicKey,
    signer: authority.key,
    extensions: [
      write.basicConstraints(false),
      write.keyUsage(KEY_USAGE.digitalSignature),
      write.extKeyUsage([EXTENDED_KEY_USAGE.serverAuth, EXTENDED_KEY_USAGE.clientAuth]),
      // Critical because the subject is empty (RFC 5280, section 4.1.2.6).
      write.subjectAltName([spiffeId], dnsNames, true),
      write.subjectKeyIdentifier(keys.publicKey),
      write.authorityKeyIdentifier(authority.certificate.x509.publicKey),
    ],
  };
  const certificate = finish(fields, overrides);
  const chain = [certificate, ...authority.chain].map((each) => each.der);
  return {
    certificate,
    chain,
    certificatePem: chain.map((der) => writePem('CERTIFICATE', der)).join(''),
    keyPem: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    key: keys.privateKey,
  };
}

function common(atMs: number, lifetimeMs: number): Pick<CertificateFields, 'version' | 'serial' | 'notBeforeMs' | 'notAfterMs'> {
  return { version: 3, serial: newSerial(), notBeforeMs: atMs - BACKDATE_MS, notAfterMs: atMs + lifetimeMs };
}

function signerExtensions(own: KeyObject, issuer: KeyObject, uris: readonly string[]): CertificateFields['extensions'] {
  return [
    write.basicConstraints(true),
    write.keyUsage(KEY_USAGE.keyCertSign | KEY_USAGE.cRLSign),
    ...(uris.length === 0 ? [] : [write.subjectAltName(uris, [], false)]),
    write.subjectKeyIdentifier(own),
    write.authorityKeyIdentifier(issuer),
  ];
}

function finish(fields: CertificateFields, overrides: Overrides | undefined): Certificate {
  const der = write.writeCertificate(overrides === undefined ? fields : { ...fields, ...overrides(fields) });
  const read = readCertificate(der);
  if (!read.ok) throw new PosternError('authority_unreadable', read.message, 'an override made it so');
  return read.certificate;
}

function checkId(spiffeId: string, trustDomain: string): void {
  const parsed = parseSpiffeId(spiffeId);
  const found = parsed.ok ? `the authority signs for ${JSON.stringify(trustDomain)} only` : parsed.message;
  if (!parsed.ok || parsed.id.trustDomain !== trustDomain || parsed.id.path === '') {
    throw new PosternError('authority_spiffe_id', `Cannot issue an SVID for ${JSON.stringify(spiffeId)}: ${found}`);
  }
}

function newKeys(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

/** 126 random bits, positive and never zero. */
function newSerial(): Buffer {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial;
}

/** Clocks that lag behind ours do not refuse a new certificate. */
const BACKDATE_MS = 60_000;
const ORGANIZATION = '2.5.4.10';
const COMMON_NAME = '2.5.4.3';
