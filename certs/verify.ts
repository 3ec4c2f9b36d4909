/**
 * Verifies the chain that a peer presented as an X.509-SVID, in the order of the standard's clauses: one URI name, the SPIFFE ID in it,
 * the leaf's own constraints, the bundle of the leaf's own trust domain, the path to it, revocation. The clock is an argument. Hostile
 * input is refused by a value and never by an exception.
 *
 * This is the whole of peer verification: what OpenSSL says of a handshake (`authorized`) is asked in addition, never instead.
 */
import { findPath } from './path.ts';
import { refuse, shown } from './refusal.ts';
import type { SvidRefusal } from './refusal.ts';
import { dateFault, leafIdentity } from './rules.ts';
import { SpiffeId } from './spiffe-id.ts';
import type { TrustBundle, TrustBundles } from './trust-bundle.ts';
import { serialText } from './x509/certificate.ts';
import type { Certificate } from './x509/certificate.ts';
import { readChain } from './x509/chain.ts';
import { revocationStatus } from './x509/crl.ts';
import { nameText } from './x509/name.ts';

/** Who a peer is, proved. Frozen, and the same object for the same certificate while it is cached. */
export interface PeerIdentity {
  /** `spiffe://trust.domain/path`. */
  readonly spiffeId: string;
  readonly trustDomain: string;
  readonly path: string;
  /** From this instant on until the other the proof holds: the common validity of all certificates of the path, and of its CRLs. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Upper-case hex. */
  readonly serial: string;
  /** SHA-256 of the leaf, lower-case hex. */
  readonly fingerprint: string;
  /** Subject of the leaf as RFC 4514 text; '' for the usual empty one. */
  readonly subject: string;
  /** DNS names of the leaf as they stand there; they identify nobody. */
  readonly dnsNames: readonly string[];
}

export interface VerifyOptions {
  readonly atMs: number;
  /** Most intermediate certificates between leaf and anchor (as OpenSSL's `-verify_depth` counts), `DEFAULT_MAX_DEPTH` when left out. */
  readonly maxDepth?: number;
}

export type VerifyResult = { readonly ok: true; readonly identity: PeerIdentity } | SvidRefusal;

export const DEFAULT_MAX_DEPTH = 4;

/** Verifies a chain in DER, the leaf first, the others in any order. Never throws. */
export function verifySvid(chain: readonly Buffer[], bundles: TrustBundles, options: VerifyOptions): VerifyResult {
  const read = readChain(chain);
  if (!read.ok) return { ...refuse(read.code, ''), message: read.message };
  return verifyChain(read.chain, bundles, options);
}

/** As `verifySvid`, for a chain that is already read. */
export function verifyChain(
  chain: readonly [Certificate, ...Certificate[]],
  bundles: TrustBundles,
  options: VerifyOptions,
): VerifyResult {
  const [leaf, ...presented] = chain;
  const { atMs, maxDepth = DEFAULT_MAX_DEPTH } = options;
  const id = leafIdentity(leaf);
  if (!(id instanceof SpiffeId)) return id;
  const date = dateFault(leaf, atMs);
  if (date !== null) return date;

  const bundle = bundles.of(id.trustDomain);
  if (bundle === null) return refuse('bundle_missing', `there is no trust bundle for ${shown(id.trustDomain)}`);
  if (bundle.anchors.length === 0) return refuse('bundle_missing', `the trust bundle of ${shown(id.trustDomain)} is empty`);
  const path = findPath({ leaf, presented, bundle, bundles, atMs, maxDepth });
  if ('ok' in path) return path;

  const crlEndMs = revocationEnd(path, bundle, atMs);
  if (typeof crlEndMs !== 'number') return crlEndMs;
  return { ok: true, identity: describe(leaf, id, path, crlEndMs) };
}

/** When the revocation lists of the path must be asked again; infinite without lists. */
function revocationEnd(path: readonly Certificate[], bundle: TrustBundle, atMs: number): number | SvidRefusal {
  let endMs = Number.POSITIVE_INFINITY;
  if (bundle.revocationLists.length === 0) return endMs;
  for (const [index, issuer] of path.entries()) {
    const certificate = path[index - 1];
    if (certificate === undefined) continue;
    const status = revocationStatus(certificate, issuer, bundle.revocationLists, atMs);
    if (!('validUntilMs' in status)) {
      const whose = index === 1 ? 'the leaf' : 'an intermediate';
      return refuse(REVOCATION_CODES[status.state], `${whose} cannot be trusted: ${status.found}`);
    }
    endMs = Math.min(endMs, status.validUntilMs);
  }
  return endMs;
}

function describe(leaf: Certificate, id: SpiffeId, path: readonly Certificate[], crlEndMs: number): PeerIdentity {
  let notBeforeMs = 0;
  let notAfterMs = crlEndMs;
  for (const certificate of path) {
    notBeforeMs = Math.max(notBeforeMs, certificate.notBeforeMs);
    notAfterMs = Math.min(notAfterMs, certificate.notAfterMs);
  }
  return Object.freeze({
    spiffeId: id.uri,
    trustDomain: id.trustDomain,
    path: id.path,
    notBeforeMs,
    notAfterMs,
    serial: serialText(leaf),
    fingerprint: leaf.fingerprint,
    subject: nameText(leaf.subject),
    dnsNames: Object.freeze([...(leaf.extensions.altNames?.dnsNames ?? [])]),
  });
}

const REVOCATION_CODES = { revoked: 'revoked', expired: 'crl_expired', invalid: 'crl_invalid' } as const;
