/**
 * The way from a leaf to an anchor of one bundle (RFC 5280, section 6; X509-SVID, section 5.1). Presented certificates are only ever
 * stepping stones: an anchor is one of the bundle, found by name and proved by its key, and a root that a peer sends counts for
 * nothing. Depth and the number of signature checks are bounded, so that no chain costs more than a few milliseconds.
 */
import { refuse, shown } from './refusal.ts';
import type { SvidRefusal } from './refusal.ts';
import { nameConstraintFault, signerFault } from './rules.ts';
import type { TrustBundle, TrustBundles } from './trust-bundle.ts';
import type { Certificate } from './x509/certificate.ts';
import { isSignedBy } from './x509/signature.ts';

export interface PathSearch {
  readonly leaf: Certificate;
  readonly presented: readonly Certificate[];
  readonly bundle: TrustBundle;
  /** Only to say whose a forged chain is; never trusted. */
  readonly bundles: TrustBundles;
  readonly atMs: number;
  /** Most intermediates between leaf and anchor. */
  readonly maxDepth: number;
}

/** Leaf first, anchor last; or the refusal of the attempt that came furthest. */
export function findPath(search: PathSearch): readonly Certificate[] | SvidRefusal {
  const walk: Walk = { ...search, budget: SIGNATURE_BUDGET, fault: null, faultDepth: -1, stuckAt: search.leaf, stuckDepth: -1 };
  const path = climb(walk, [search.leaf]);
  if (path !== null) return path;
  if (walk.budget < 0) return overBudget();
  return foreignIssuer(walk) ?? walk.fault ?? missingIssuer(walk.stuckAt);
}

interface Walk extends PathSearch {
  /** Signature checks that are left; below zero once one was refused for want of them. */
  budget: number;
  fault: SvidRefusal | null;
  faultDepth: number;
  /** The certificate furthest up for which no issuer was found. */
  stuckAt: Certificate;
  stuckDepth: number;
}

/** `path` leads from the leaf to a certificate whose issuer is wanted. */
function climb(walk: Walk, path: readonly [Certificate, ...Certificate[]]): readonly Certificate[] | null {
  const current = path[path.length - 1] ?? path[0];
  const depth = path.length - 1;
  if (depth > walk.stuckDepth) {
    walk.stuckDepth = depth;
    walk.stuckAt = current;
  }
  for (const anchor of walk.bundle.anchors) {
    if (!current.issuer.equals(anchor.subject)) continue;
    const fault = issuerFault(walk, path, anchor, 'anchor');
    if (fault === null) return [...path, anchor];
    note(walk, depth, fault);
  }
  for (const candidate of walk.presented) {
    if (!current.issuer.equals(candidate.subject) || path.includes(candidate)) continue;
    if (depth >= walk.maxDepth) {
      note(walk, depth, refuse('path_too_deep', `it needs more than ${walk.maxDepth} intermediate certificates`));
      return null;
    }
    const fault = issuerFault(walk, path, candidate, 'intermediate');
    if (fault !== null) {
      note(walk, depth, fault);
      continue;
    }
    const found = climb(walk, [...path, candidate]);
    if (found !== null) return found;
  }
  return null;
}

/** Everything that must hold for `issuer` to stand above `path`. The signature comes last: it is what costs. */
function issuerFault(
  walk: Walk,
  path: readonly [Certificate, ...Certificate[]],
  issuer: Certificate,
  role: 'intermediate' | 'anchor',
): SvidRefusal | null {
  const own = signerFault(issuer, role, walk.atMs);
  if (own !== null) return own;
  const pathLength = issuer.extensions.basicConstraints?.pathLength ?? null;
  // Self-issued intermediates (key rollover) do not count, and the leaf never does (RFC 5280, section 4.2.1.9).
  const below = path.slice(1).filter((each) => !each.issuer.equals(each.subject)).length;
  if (pathLength !== null && below > pathLength) {
    return refuse('path_length', `${below} certificate authorities stand below one that allows ${pathLength}`);
  }
  for (const each of path) {
    const constraint = nameConstraintFault(issuer, each);
    if (constraint !== null) return constraint;
  }
  const subject = path[path.length - 1] ?? path[0];
  // Compares key identifiers where both have them: two authorities may share a name.
  if (!subject.x509.checkIssued(issuer.x509)) {
    return refuse('issuer_mismatch', 'the certificate of that name is not the one that the authority key identifier points to');
  }
  walk.budget--;
  if (walk.budget < 0) return overBudget();
  return isSignedBy(subject, issuer) ? null : refuse('signature', `the key of ${nameOf(issuer)} did not sign it`);
}

/** Keeps the fault nearest to the anchors, and the first of those: it tells most about what was meant. */
function note(walk: Walk, depth: number, fault: SvidRefusal): void {
  if (depth <= walk.faultDepth) return;
  walk.fault = fault;
  walk.faultDepth = depth;
}

/** Tells a forgery by another trust domain's authority from a chain that merely lacks a link. */
function foreignIssuer(walk: Walk): SvidRefusal | null {
  const isAboutIssuer = walk.fault === null || walk.fault.code === 'signature' || walk.fault.code === 'issuer_mismatch';
  if (!isAboutIssuer) return null;
  for (const other of walk.bundles.each()) {
    if (other === walk.bundle) continue;
    for (const anchor of other.anchors) {
      if (!walk.stuckAt.issuer.equals(anchor.subject) || walk.budget <= 0) continue;
      walk.budget--;
      if (!isSignedBy(walk.stuckAt, anchor)) continue;
      const found = `it leads to an authority of ${shown(other.trustDomain)}, which may not sign for ${shown(walk.bundle.trustDomain)}`;
      return refuse('foreign_issuer', found);
    }
  }
  return null;
}

function overBudget(): SvidRefusal {
  return refuse('signature_budget', `it takes more than ${SIGNATURE_BUDGET} signature checks`);
}

function missingIssuer(certificate: Certificate): SvidRefusal {
  return refuse('issuer_missing', `neither bundle nor peer has the issuer of ${nameOf(certificate)}`);
}

function nameOf(certificate: Certificate): string {
  const subject = certificate.x509.subject ?? '';
  return subject === '' ? `the certificate ${certificate.fingerprint.slice(0, 16)}` : shown(subject.replaceAll('\n', ', '));
}

/** Enough for every path through ten certificates that a real authority makes; 24 checks cost about 2.5 ms (P-256). */
const SIGNATURE_BUDGET = 24;
