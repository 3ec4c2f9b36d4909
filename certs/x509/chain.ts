/**
 * A chain as a peer presents it: certificates in DER, the leaf first. The rest is a heap to look for issuers in, whatever its order
 * (RFC 8446, section 4.4.2).
 */
import { readCertificate } from './certificate.ts';
import type { Certificate, CertificateFault } from './certificate.ts';

export type ChainFault = CertificateFault | 'chain_empty' | 'chain_too_long';

export type ChainResult =
  | { readonly ok: true; readonly chain: readonly [Certificate, ...Certificate[]] }
  | { readonly ok: false; readonly code: ChainFault; readonly message: string };

/**
 * Reads the certificates of a peer. `raw` holds the `raw` of each link of `getPeerCertificate(true)`, or those of a PEM file; one that
 * is there twice is read once. Never throws.
 */
export function readChain(raw: readonly Buffer[]): ChainResult {
  if (raw.length === 0)
    return { ok: false, code: 'chain_empty', message: 'Cannot accept the certificate chain: there is no certificate' };
  if (raw.length > MAX_PRESENTED) {
    const message = `Cannot accept the certificate chain: it has ${raw.length} certificates, at most ${MAX_PRESENTED} are read`;
    return { ok: false, code: 'chain_too_long', message };
  }
  const chain: Certificate[] = [];
  for (const der of raw) {
    const result = readCertificate(der);
    if (!result.ok) return result;
    const { certificate } = result;
    if (!chain.some((other) => other.fingerprint === certificate.fingerprint)) chain.push(certificate);
  }
  const [leaf, ...rest] = chain;
  if (leaf === undefined)
    return { ok: false, code: 'chain_empty', message: 'Cannot accept the certificate chain: there is no certificate' };
  return { ok: true, chain: [leaf, ...rest] };
}

/** Most certificates that a peer may present; real meshes send two to four. */
const MAX_PRESENTED = 10;
