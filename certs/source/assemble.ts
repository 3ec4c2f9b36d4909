/**
 * From the texts of identity files to a snapshot, or to what is wrong with them as a whole: the key must belong to the certificate, the
 * chain must lead to our own trust domain's bundle, every bundle must hold at least one certificate. Pure.
 */
import { parseSvid } from '../svid.ts';
import type { Svid } from '../svid.ts';
import { makeTrustBundle, parseTrustBundle, TrustBundles } from '../trust-bundle.ts';
import type { TrustBundle } from '../trust-bundle.ts';
import { verifyChain } from '../verify.ts';
import { readRevocationList, type RevocationList } from '../x509/crl.ts';
import { readPem } from '../x509/pem.ts';

/** Our own identity and whom we trust, at one moment. Immutable; swapped by reference, so that a connection keeps the one it began with. */
export interface IdentitySnapshot {
  /** Grows with every change of certificate, key or bundles. */
  readonly generation: number;
  /** Grows only when bundles change: peers that were verified before must be verified again. */
  readonly bundleGeneration: number;
  readonly svid: Svid;
  readonly bundles: TrustBundles;
}

/** Why files were not taken. */
export interface IdentityFault {
  /** Stable: that of an SVID, of a bundle, or of reading. */
  readonly code: string;
  readonly message: string;
  /** The file at fault, or null when it is how they fit together. */
  readonly file: string | null;
}

export interface IdentityTexts {
  readonly certificate: string;
  readonly key: string;
  /** By trust domain. */
  readonly bundles: ReadonlyMap<string, string>;
  /** By trust domain; a domain without one revokes nothing. */
  readonly revocationLists: ReadonlyMap<string, string>;
}

export interface IdentityFiles {
  readonly certificate: string;
  readonly key: string;
  /** File by trust domain. */
  readonly bundles: Readonly<Record<string, string>>;
  /** File of certificate revocation lists by trust domain. */
  readonly revocationLists?: Readonly<Record<string, string>>;
}

export type AssembleResult =
  | { readonly ok: true; readonly svid: Svid; readonly bundles: readonly TrustBundle[] }
  | { readonly ok: false; readonly fault: IdentityFault };

/** Checks everything against everything. `files` only names the culprit. */
export function assemble(texts: IdentityTexts, files: IdentityFiles, trustDomain: string, atMs: number): AssembleResult {
  const bundles: TrustBundle[] = [];
  for (const [domain, text] of texts.bundles) {
    const file = files.bundles[domain] ?? null;
    const parsed = parseTrustBundle(domain, text);
    if (!parsed.ok) return refused(parsed.code, parsed.message, file);
    if (parsed.bundle.anchors.length === 0) {
      // A file that is just being written is empty; taking it would refuse every peer of the domain.
      return refused('bundle_empty', `Cannot use the trust bundle of "${domain}": it holds no certificate`, file);
    }
    const lists = readLists(texts.revocationLists.get(domain) ?? null);
    if (typeof lists === 'string') {
      const file_ = files.revocationLists?.[domain] ?? null;
      return refused('crl_malformed', `Cannot use the revocation lists of "${domain}": ${lists}`, file_);
    }
    const { anchors, refreshHintS, sequence } = parsed.bundle;
    const made =
      lists.length === 0 ? parsed : makeTrustBundle(domain, anchors, { revocationLists: lists, refreshHintS, sequence });
    if (!made.ok) return refused(made.code, made.message, file);
    bundles.push(made.bundle);
  }

  const loaded = parseSvid(texts.certificate, texts.key);
  if (!loaded.ok) return refused(loaded.code, loaded.message, loaded.code.startsWith('key_') ? files.key : files.certificate);
  const { svid } = loaded;
  if (svid.spiffeId.trustDomain !== trustDomain) {
    const found = `it is of the trust domain "${svid.spiffeId.trustDomain}", the configuration says "${trustDomain}"`;
    return refused('trust_domain_mismatch', `Cannot use the SVID "${svid.spiffeId.uri}": ${found}`, files.certificate);
  }
  const verified = verifyChain(svid.chain, new TrustBundles(bundles, 0), { atMs });
  if (!verified.ok)
    return refused(verified.code, `Cannot use the SVID "${svid.spiffeId.uri}": ${verified.message}`, files.certificate);
  return { ok: true, svid, bundles };
}

/** The lists in a PEM text, or what is wrong with it; a domain without a file has none. */
function readLists(text: string | null): readonly RevocationList[] | string {
  if (text === null) return [];
  const pem = readPem(text);
  if (!pem.ok) return pem.message;
  // An empty file is one that is just being written; taking it would let everybody in again.
  if (pem.blocks.length === 0) return 'it holds no list';
  const lists: RevocationList[] = [];
  for (const { label, der } of pem.blocks) {
    if (label !== 'X509 CRL') return `it holds a PEM block "${label}"`;
    const read = readRevocationList(der);
    if (!read.ok) return read.message;
    lists.push(read.list);
  }
  return lists;
}

function refused(code: string, message: string, file: string | null): AssembleResult {
  return { ok: false, fault: { code, message: file === null ? message : `${message} (${file})`, file } };
}
