/**
 * What an X.509-SVID and its signers must look like, certificate by certificate (X509-SVID, sections 2 to 5; RFC 5280, section 4), in
 * the order of the clauses. Pure; the way from one certificate to the next is certs/path.ts.
 */
import { refuse, shown } from './refusal.ts';
import type { SvidRefusal } from './refusal.ts';
import { SpiffeId } from './spiffe-id.ts';
import type { Certificate } from './x509/certificate.ts';
import { EXTENDED_KEY_USAGE, KEY_USAGE } from './x509/extensions.ts';
import { keyStrengthFault, signatureStrengthFault } from './x509/strength.ts';

/** The SPIFFE ID of a certificate that may identify a workload, or why it may not. Dates are judged apart, by `dateFault`. */
export function leafIdentity(leaf: Certificate): SpiffeId | SvidRefusal {
  const { altNames, basicConstraints, keyUsage, extKeyUsage, nameConstraints } = leaf.extensions;
  if (altNames === null) return refuse('san_missing', 'the leaf has no subject alternative name');
  const [uri] = altNames.uris;
  if (uri === undefined) return refuse('uri_san_missing', 'the leaf has no URI among its subject alternative names');
  if (altNames.uris.length > 1)
    return refuse('uri_san_multiple', `the leaf has ${altNames.uris.length} URI names, one is allowed`);
  const parsed = SpiffeId.parse(uri);
  if (!parsed.ok) return refuse(parsed.code, `the leaf's URI name is no SPIFFE ID. ${parsed.message}`);
  if (parsed.id.path === '')
    return refuse('path_missing', `the leaf's SPIFFE ID ${shown(uri)} is a trust domain's, without a path`);

  if (!leaf.extensions.isAltNameCritical && isEmptyName(leaf.subject)) {
    return refuse('san_not_critical', 'the leaf has no subject, and its alternative names are not marked critical');
  }

  if (basicConstraints?.isCa === true) return refuse('leaf_is_ca', 'the leaf is a certificate authority (cA is set)');
  if (nameConstraints !== null)
    return refuse('leaf_name_constraints', 'the leaf has name constraints, which are for signers only');
  if (keyUsage === null) return refuse('key_usage_missing', 'the leaf has no key usage');
  if (!keyUsage.isCritical) return refuse('key_usage_not_critical', "the leaf's key usage is not marked critical");
  if ((keyUsage.bits & KEY_USAGE.digitalSignature) === 0) {
    return refuse('digital_signature_missing', "the leaf's key usage lacks digitalSignature");
  }
  if ((keyUsage.bits & KEY_USAGE.keyCertSign) !== 0) return refuse('leaf_key_cert_sign', "the leaf's key usage has keyCertSign");
  if ((keyUsage.bits & KEY_USAGE.cRLSign) !== 0) return refuse('leaf_crl_sign', "the leaf's key usage has cRLSign");
  if (extKeyUsage !== null) {
    const { serverAuth, clientAuth } = EXTENDED_KEY_USAGE;
    if (!extKeyUsage.includes(serverAuth) || !extKeyUsage.includes(clientAuth)) {
      return refuse('extended_key_usage', "the leaf's extended key usage must name both serverAuth and clientAuth");
    }
  }

  if (leaf.version !== 3) return refuse('version', `the leaf is a version ${leaf.version} certificate, not 3`);
  if (!hasValidSerial(leaf)) return refuse('serial', "the leaf's serial number is not positive and of at most 20 bytes");
  const { unknownCritical } = leaf.extensions;
  if (unknownCritical !== null)
    return refuse('critical_extension', `the leaf has the unknown critical extension ${unknownCritical}`);
  const weakKey = keyStrengthFault(leaf);
  if (weakKey !== null) return refuse('weak_key', `the leaf's key is ${weakKey}`);
  const weakSignature = signatureStrengthFault(leaf);
  if (weakSignature !== null) return refuse('weak_signature', `the leaf is signed with ${weakSignature}`);
  return parsed.id;
}

/** Judges the leaf's dates. Neither end has any leniency; both instants named in the certificate are within. */
export function dateFault(leaf: Certificate, atMs: number): SvidRefusal | null {
  if (atMs < leaf.notBeforeMs) return refuse('not_yet_valid', `the leaf is not valid before ${isoTime(leaf.notBeforeMs)}`);
  if (atMs > leaf.notAfterMs) return refuse('expired', `the leaf expired at ${isoTime(leaf.notAfterMs)}`);
  return null;
}

/** Why a certificate may not be a signer at all, whatever it signed; null if it may. */
export function signerRoleFault(signer: Certificate, role: 'intermediate' | 'anchor'): SvidRefusal | null {
  const { basicConstraints, keyUsage, altNames } = signer.extensions;
  const uris = altNames?.uris ?? [];
  if (basicConstraints?.isCa !== true) {
    const id = uris.length === 1 ? SpiffeId.parse(uris[0] ?? '') : null;
    if (id?.ok === true && id.id.path !== '')
      return refuse('issuer_is_svid', `the issuer is the workload certificate of ${id.id.uri}`);
    return refuse('issuer_not_ca', 'the issuer is not a certificate authority (cA is not set)');
  }
  if (role === 'intermediate' && !basicConstraints.isCritical) {
    return refuse('issuer_constraints_not_critical', "the issuer's basic constraints are not marked critical");
  }
  // An anchor is the operator's word. Roots made by `openssl req -x509` have no key usage; one that has it must allow signing.
  const maySign = keyUsage === null ? role === 'anchor' : (keyUsage.bits & KEY_USAGE.keyCertSign) !== 0;
  if (!maySign) return refuse('issuer_key_cert_sign', "the issuer's key usage lacks keyCertSign");
  if (uris.length > 1) return refuse('issuer_uri_san_multiple', `the issuer has ${uris.length} URI names, one is allowed`);
  const [uri] = uris;
  if (uri !== undefined && uri.startsWith('spiffe:')) {
    // `spiffe://td/` is how some authorities write their own ID; it has no path either.
    const id = SpiffeId.parse(uri.endsWith('/') ? uri.slice(0, -1) : uri);
    if (!id.ok) return refuse('issuer_id', `the issuer's URI name is no SPIFFE ID. ${id.message}`);
    if (id.id.path !== '') return refuse('issuer_id', `the issuer's SPIFFE ID ${shown(uri)} has a path`);
  }
  return null;
}

/** Why a certificate that may sign cannot stand in a path at this time; null if it can. */
export function signerFault(signer: Certificate, role: 'intermediate' | 'anchor', atMs: number): SvidRefusal | null {
  const roleFault = signerRoleFault(signer, role);
  if (roleFault !== null) return roleFault;
  if (role === 'intermediate') {
    // The form of an anchor, and how it is signed, is the operator's choice (RFC 5280, section 6.1: only its name and key count).
    if (signer.version !== 3) return refuse('issuer_version', `the issuer is a version ${signer.version} certificate, not 3`);
    if (!hasValidSerial(signer))
      return refuse('issuer_serial', "the issuer's serial number is not positive and of at most 20 bytes");
    const weakSignature = signatureStrengthFault(signer);
    if (weakSignature !== null) return refuse('issuer_weak_signature', `the issuer is signed with ${weakSignature}`);
  }
  const { unknownCritical } = signer.extensions;
  if (unknownCritical !== null) {
    return refuse('issuer_critical_extension', `the issuer has the unknown critical extension ${unknownCritical}`);
  }
  const weakKey = keyStrengthFault(signer);
  if (weakKey !== null) return refuse('issuer_weak_key', `the issuer's key is ${weakKey}`);
  if (atMs < signer.notBeforeMs)
    return refuse('issuer_not_yet_valid', `the issuer is not valid before ${isoTime(signer.notBeforeMs)}`);
  if (atMs > signer.notAfterMs) return refuse('issuer_expired', `the issuer expired at ${isoTime(signer.notAfterMs)}`);
  return null;
}

/**
 * Judges the name constraints of a signer against the URI names of a certificate below it (RFC 5280, section 4.2.1.10). Constraints on
 * other kinds of name are not understood and therefore refused.
 */
export function nameConstraintFault(signer: Certificate, below: Certificate): SvidRefusal | null {
  const constraints = signer.extensions.nameConstraints;
  if (constraints === null) return null;
  if (constraints.hasOtherKinds) {
    return refuse('name_constraint_unsupported', 'the issuer constrains names of another kind than URI');
  }
  if (!constraints.isCritical) {
    return refuse('name_constraint_unsupported', "the issuer's name constraints are not marked critical");
  }
  for (const uri of below.extensions.altNames?.uris ?? []) {
    const host = uriHost(uri);
    if (host === null) return refuse('name_constraint', `the URI name ${shown(uri)} has no host for the constraint to hold`);
    if (constraints.permittedHosts.length > 0 && !constraints.permittedHosts.some((each) => isWithin(host, each))) {
      return refuse('name_constraint', `${shown(host)} is not among the trust domains that the issuer may sign for`);
    }
    if (constraints.excludedHosts.some((each) => isWithin(host, each))) {
      return refuse('name_constraint', `${shown(host)} is a trust domain that the issuer may not sign for`);
    }
  }
  return null;
}

/** `.a.test` holds for every host below `a.test`, `a.test` for that one alone. */
function isWithin(host: string, constraint: string): boolean {
  return constraint.startsWith('.') ? host.length > constraint.length && host.endsWith(constraint) : host === constraint;
}

/** Host of `scheme://host` or `scheme://host/…`; null for all that has more to it. */
function uriHost(uri: string): string | null {
  const start = uri.indexOf('://');
  if (start < 0) return null;
  const slash = uri.indexOf('/', start + 3);
  const host = uri.slice(start + 3, slash < 0 ? uri.length : slash);
  return PLAIN_HOST.test(host) ? host.toLowerCase() : null;
}

/** An empty SEQUENCE: tag and length are all there is. */
function isEmptyName(name: Buffer): boolean {
  return name.length === 2;
}

function hasValidSerial(certificate: Certificate): boolean {
  const { serial } = certificate;
  const first = serial[0] ?? 0;
  if (first >= 0x80) return false;
  const isZero = serial.length === 1 && first === 0;
  // The sign bit of a 20-byte number may cost one byte more (limit read as RFC 5280 means it: 20 bytes of encoding).
  return !isZero && serial.length <= 20;
}

function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

const PLAIN_HOST = /^[A-Za-z0-9._\-]+$/v;
