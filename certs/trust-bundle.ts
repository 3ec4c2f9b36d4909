/**
 * Trust bundles: the certificates from which the SVIDs of one trust domain are verified (SPIFFE Trust Domain and Bundle, section 4;
 * X509-SVID, section 6). One bundle for each trust domain.
 *
 * INVARIANT: bundles of two trust domains are never merged (SPIFFE Federation, section 4.2); there is no function that returns the
 * anchors of more than one.
 */
import { hash } from 'node:crypto';

import { repeatedMember } from './json-members.ts';
import { parseTrustDomain } from './spiffe-id.ts';
import { readCertificate } from './x509/certificate.ts';
import type { Certificate } from './x509/certificate.ts';
import type { RevocationList } from './x509/crl.ts';
import { readPem, writePem } from './x509/pem.ts';

/** Immutable. An empty one is allowed and refuses every SVID of its domain. */
export interface TrustBundle {
  readonly trustDomain: string;
  readonly anchors: readonly Certificate[];
  readonly revocationLists: readonly RevocationList[];
  /** The anchors as PEM, for a TLS context's `ca`. */
  readonly pem: string;
  /** SHA-256 over domain, anchors and lists: the same content has the same. */
  readonly digest: string;
  /** Seconds after which the publisher wants to be asked again, or null. */
  readonly refreshHintS: number | null;
  readonly sequence: number | null;
}

export type TrustBundleFault =
  | 'trust_domain'
  | 'bundle_too_large'
  | 'bundle_not_pem'
  | 'bundle_certificate'
  | 'bundle_json'
  | 'bundle_repeated_member'
  | 'bundle_keys'
  | 'bundle_key_id'
  | 'bundle_number';

export type TrustBundleResult =
  | { readonly ok: true; readonly bundle: TrustBundle }
  | { readonly ok: false; readonly code: TrustBundleFault; readonly message: string };

/** The bundles that one process trusts, each under its own trust domain. Immutable; swapped by reference. */
export class TrustBundles {
  /** Grows with every change; part of the key of whatever depends on trust. */
  readonly generation: number;
  readonly #byDomain: ReadonlyMap<string, TrustBundle>;

  /** Of two bundles for one domain the last counts. */
  constructor(bundles: Iterable<TrustBundle>, generation: number) {
    const byDomain = new Map<string, TrustBundle>();
    for (const bundle of bundles) byDomain.set(bundle.trustDomain, bundle);
    this.#byDomain = byDomain;
    this.generation = generation;
    Object.freeze(this);
  }

  /** The bundle of exactly this trust domain, or null. */
  of(trustDomain: string): TrustBundle | null {
    return this.#byDomain.get(trustDomain) ?? null;
  }

  get trustDomains(): readonly string[] {
    return [...this.#byDomain.keys()];
  }

  /** All bundles, one by one. */
  each(): IterableIterator<TrustBundle> {
    return this.#byDomain.values();
  }
}

/** Reads a bundle document, PEM or SPIFFE JWKS, for the trust domain that the caller names; it is never inferred. Never throws. */
export function parseTrustBundle(trustDomain: string, document: string): TrustBundleResult {
  if (document.length > MAX_DOCUMENT_CHARACTERS) {
    return fault('bundle_too_large', trustDomain, `it has more than ${MAX_DOCUMENT_CHARACTERS} characters`);
  }
  return document.trimStart().startsWith('{') ? parseJwks(trustDomain, document) : parsePem(trustDomain, document);
}

/** A bundle of certificates and revocation lists in hand. */
export function makeTrustBundle(
  trustDomain: string,
  anchors: readonly Certificate[],
  more: Partial<Pick<TrustBundle, 'revocationLists' | 'refreshHintS' | 'sequence'>> = {},
): TrustBundleResult {
  const parsed = parseTrustDomain(trustDomain);
  if (!parsed.ok) return fault('trust_domain', trustDomain, parsed.message);
  const { revocationLists = [], refreshHintS = null, sequence = null } = more;
  const unique = anchors.filter((each, at) => anchors.findIndex((other) => other.fingerprint === each.fingerprint) === at);
  const parts = [
    ...unique.map((each) => each.fingerprint),
    ...revocationLists.map((each) => hash('sha256', each.signedBytes, 'hex')),
  ];
  const pem = unique.map((each) => writePem('CERTIFICATE', each.der)).join('');
  const digest = hash('sha256', [parsed.trustDomain, ...parts].join('\n'), 'hex');
  const facts = { trustDomain: parsed.trustDomain, anchors: Object.freeze(unique), revocationLists, pem, digest };
  return { ok: true, bundle: Object.freeze({ ...facts, refreshHintS, sequence }) };
}

function parsePem(trustDomain: string, document: string): TrustBundleResult {
  const pem = readPem(document);
  if (!pem.ok) return fault('bundle_not_pem', trustDomain, pem.message);
  if (pem.blocks.length === 0 && document.trim() !== '') {
    return fault('bundle_not_pem', trustDomain, 'it is neither PEM nor a JSON object');
  }
  const anchors: Certificate[] = [];
  for (const block of pem.blocks) {
    if (block.label !== 'CERTIFICATE') return fault('bundle_not_pem', trustDomain, `it holds a PEM block "${block.label}"`);
    const read = readCertificate(block.der);
    if (!read.ok) return fault('bundle_certificate', trustDomain, read.message);
    anchors.push(read.certificate);
  }
  return makeTrustBundle(trustDomain, anchors);
}

function parseJwks(trustDomain: string, document: string): TrustBundleResult {
  const parsed = parseJson(document);
  if (!isRecord(parsed)) return fault('bundle_json', trustDomain, 'it is not a JSON object');
  const repeated = repeatedMember(document);
  if (repeated !== null)
    return fault('bundle_repeated_member', trustDomain, `the member ${JSON.stringify(repeated)} is there twice`);
  const keys = parsed['keys'];
  if (!Array.isArray(keys)) return fault('bundle_keys', trustDomain, 'it has no list "keys"');
  const refreshHintS = parsed['spiffe_refresh_hint'] ?? null;
  const sequence = parsed['spiffe_sequence'] ?? null;
  if (!isWholeOrNull(refreshHintS) || !isWholeOrNull(sequence)) {
    return fault('bundle_number', trustDomain, 'spiffe_refresh_hint and spiffe_sequence are whole numbers');
  }
  const anchors: Certificate[] = [];
  for (const [index, key] of keys.entries()) {
    const read = readKey(key);
    if (typeof read === 'string') return fault(JWKS_FAULT[read] ?? 'bundle_keys', trustDomain, `keys[${index}] ${read}`);
    if (read !== null) anchors.push(read);
  }
  return makeTrustBundle(trustDomain, anchors, { refreshHintS, sequence });
}

/** The anchor of a JWK entry, null for an entry that is not an X.509 authority's, or what is wrong with it. */
function readKey(key: unknown): Certificate | null | keyof typeof JWKS_FAULT {
  if (!isRecord(key)) return NOT_AN_OBJECT;
  if (key['use'] === 'jwt-svid' && (typeof key['kid'] !== 'string' || key['kid'] === '')) return NO_KEY_ID;
  if (key['use'] !== 'x509-svid') return null;
  const x5c: unknown = key['x5c'];
  // X509-SVID 6.2: an entry without x5c is ignored, and so are all values of x5c but the first.
  if (x5c === undefined || (Array.isArray(x5c) && x5c.length === 0)) return null;
  const first: unknown = Array.isArray(x5c) ? x5c[0] : null;
  if (typeof first !== 'string' || !BASE64.test(first) || first.length % 4 !== 0) return NO_CERTIFICATE;
  const read = readCertificate(Buffer.from(first, 'base64'));
  return read.ok ? read.certificate : NO_CERTIFICATE;
}

function parseJson(text: string): unknown {
  try {
    const parsed: unknown = JSON.parse(text);
    return parsed;
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isWholeOrNull(value: unknown): value is number | null {
  return value === null || (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0);
}

function fault(
  code: TrustBundleFault,
  trustDomain: string,
  found: string,
): { ok: false; code: TrustBundleFault; message: string } {
  return { ok: false, code, message: `Cannot read the trust bundle of ${JSON.stringify(trustDomain)}: ${found}` };
}

/** 64 roots of RSA-4096 with room to spare. */
const MAX_DOCUMENT_CHARACTERS = 1_048_576;
const BASE64 = /^[A-Za-z0-9+\/]+={0,2}$/v;

const NOT_AN_OBJECT = 'is not an object';
const NO_KEY_ID = 'is a jwt-svid key without kid';
const NO_CERTIFICATE = 'has an x5c that does not begin with a certificate in base64';
const JWKS_FAULT = {
  [NOT_AN_OBJECT]: 'bundle_keys',
  [NO_KEY_ID]: 'bundle_key_id',
  [NO_CERTIFICATE]: 'bundle_certificate',
} as const satisfies Readonly<Record<string, TrustBundleFault>>;
