/**
 * Every reason for which a peer's chain is not accepted, with the clause that it breaks. Codes are stable; the reference page is written
 * from this table. A refusal is a value: what a peer causes is never thrown.
 */

export interface SvidRefusalRow {
  /** The document and section that the chain breaks. */
  readonly clause: string;
  readonly what: string;
}

/** By code, in about the order in which they are judged. */
export const SVID_REFUSALS = {
  chain_empty: { clause: 'RFC 8446 4.4.2', what: 'The peer presented no certificate.' },
  chain_too_long: { clause: 'RFC 8446 4.4.2', what: 'The peer presented more than ten certificates.' },
  certificate_too_large: { clause: 'RFC 5280 4.1', what: 'A certificate has more than 32 KiB.' },
  certificate_malformed: { clause: 'RFC 5280 4.1', what: 'A certificate is not what DER and RFC 5280 make of one.' },
  duplicate_extension: { clause: 'RFC 5280 4.2', what: 'A certificate has the same extension twice.' },

  san_missing: { clause: 'X509-SVID 2', what: 'The leaf has no subject alternative name.' },
  uri_san_missing: { clause: 'X509-SVID 2', what: 'The leaf has alternative names and no URI among them.' },
  uri_san_multiple: { clause: 'X509-SVID 2', what: 'The leaf has more than one URI name.' },
  id_empty: { clause: 'SPIFFE-ID 2', what: 'The URI name is empty.' },
  id_too_long: { clause: 'SPIFFE-ID 2.3', what: 'The SPIFFE ID has more than 2,048 bytes.' },
  scheme: { clause: 'X509-SVID 5.2', what: 'The URI does not begin with `spiffe://` in lower case.' },
  trust_domain_missing: { clause: 'SPIFFE-ID 2.1', what: 'The SPIFFE ID has no trust domain.' },
  trust_domain_too_long: { clause: 'SPIFFE-ID 2.3', what: 'The trust domain has more than 255 bytes.' },
  trust_domain_charset: {
    clause: 'SPIFFE-ID 2.1',
    what: 'The trust domain has another character than a-z, 0-9, dot, dash, underscore.',
  },
  trust_domain_user_info: { clause: 'SPIFFE-ID 2.1', what: 'The SPIFFE ID has user information.' },
  trust_domain_port: { clause: 'SPIFFE-ID 2.1', what: 'The SPIFFE ID has a port.' },
  path_trailing_slash: { clause: 'SPIFFE-ID 2.2', what: 'The path ends with a slash.' },
  path_empty_segment: { clause: 'SPIFFE-ID 2.2', what: 'The path has an empty segment.' },
  path_dot_segment: { clause: 'SPIFFE-ID 2.2', what: 'The path has a segment `.` or `..`.' },
  path_charset: { clause: 'SPIFFE-ID 2.2', what: 'The path has another character than letters, digits, dot, dash, underscore.' },
  path_percent_encoding: { clause: 'SPIFFE-ID 2.2', what: 'The path is percent-encoded.' },
  id_query: { clause: 'SPIFFE-ID 2', what: 'The SPIFFE ID has a query.' },
  id_fragment: { clause: 'SPIFFE-ID 2', what: 'The SPIFFE ID has a fragment.' },
  path_missing: { clause: 'X509-SVID 3.1', what: "The SPIFFE ID is a trust domain's own, without a path." },
  san_not_critical: {
    clause: 'X509-SVID 3.1',
    what: 'The leaf has no subject, and its alternative names are not marked critical.',
  },
  leaf_is_ca: { clause: 'X509-SVID 4.1', what: 'The leaf is a certificate authority.' },
  leaf_name_constraints: { clause: 'X509-SVID 4.2', what: 'The leaf has name constraints.' },
  key_usage_missing: { clause: 'X509-SVID 4.3', what: 'The leaf has no key usage.' },
  key_usage_not_critical: { clause: 'X509-SVID 4.3', what: "The leaf's key usage is not marked critical." },
  digital_signature_missing: { clause: 'X509-SVID 4.3', what: "The leaf's key usage lacks digitalSignature." },
  leaf_key_cert_sign: { clause: 'X509-SVID 4.3', what: "The leaf's key usage has keyCertSign." },
  leaf_crl_sign: { clause: 'X509-SVID 4.3', what: "The leaf's key usage has cRLSign." },
  extended_key_usage: {
    clause: 'X509-SVID 4.4',
    what: 'The leaf has an extended key usage that lacks serverAuth or clientAuth.',
  },

  version: { clause: 'RFC 5280 4.1.2.1', what: 'The leaf is not of version 3.' },
  serial: { clause: 'RFC 5280 4.1.2.2', what: "The leaf's serial number is not positive, or longer than 20 bytes." },
  critical_extension: { clause: 'RFC 5280 4.2', what: 'The leaf has a critical extension that is not known here.' },
  weak_key: { clause: 'RFC 5280 4.1.2.7', what: "The leaf's key is weak: RSA below 2,048 bits, an old curve, an unknown kind." },
  weak_signature: { clause: 'RFC 5280 4.1.1.2', what: 'The leaf is signed with a weak or unknown algorithm.' },
  not_yet_valid: { clause: 'RFC 5280 4.1.2.5', what: 'The leaf is not valid yet.' },
  expired: { clause: 'RFC 5280 4.1.2.5', what: 'The leaf has expired.' },

  bundle_missing: { clause: 'X509-SVID 5.2', what: "There is no trust bundle for the leaf's trust domain, or it is empty." },
  foreign_issuer: {
    clause: 'SPIFFE-Federation 4.2',
    what: "The chain leads to the authority of another trust domain than the leaf's.",
  },
  issuer_missing: {
    clause: 'X509-SVID 5.1',
    what: 'A link of the chain is neither in the bundle nor presented (over TLS: nor taken by OpenSSL for an issuer).',
  },
  path_too_deep: { clause: 'RFC 5280 6.1', what: 'More intermediates stand between leaf and bundle than are allowed.' },
  issuer_is_svid: { clause: 'X509-SVID 3.2', what: 'The chain was signed by a workload.' },
  issuer_not_ca: { clause: 'X509-SVID 4.1', what: 'An issuer is not a certificate authority.' },
  issuer_constraints_not_critical: {
    clause: 'RFC 5280 4.2.1.9',
    what: "An intermediate's basic constraints are not marked critical.",
  },
  issuer_key_cert_sign: { clause: 'X509-SVID 4.3', what: "An issuer's key usage lacks keyCertSign." },
  issuer_uri_san_multiple: { clause: 'X509-SVID 2', what: 'An issuer has more than one URI name.' },
  issuer_id: { clause: 'X509-SVID 3.2', what: "An issuer's SPIFFE ID is invalid or has a path." },
  issuer_version: { clause: 'RFC 5280 4.1.2.1', what: 'An intermediate is not of version 3.' },
  issuer_serial: {
    clause: 'RFC 5280 4.1.2.2',
    what: "An intermediate's serial number is not positive, or longer than 20 bytes.",
  },
  issuer_critical_extension: { clause: 'RFC 5280 4.2', what: 'An issuer has a critical extension that is not known here.' },
  issuer_weak_key: { clause: 'RFC 5280 4.1.2.7', what: "An issuer's key is weak." },
  issuer_weak_signature: { clause: 'RFC 5280 4.1.1.2', what: 'An intermediate is signed with a weak or unknown algorithm.' },
  issuer_not_yet_valid: { clause: 'RFC 5280 4.1.2.5', what: 'An issuer is not valid yet.' },
  issuer_expired: { clause: 'RFC 5280 4.1.2.5', what: 'An issuer has expired.' },
  path_length: { clause: 'X509-SVID 4.1', what: 'More authorities stand below an issuer than its path length allows.' },
  name_constraint: { clause: 'X509-SVID 4.2', what: 'An issuer may not sign for this trust domain.' },
  name_constraint_unsupported: {
    clause: 'X509-SVID 4.2',
    what: 'An issuer constrains names of another kind than URI, or not critically.',
  },
  issuer_mismatch: {
    clause: 'RFC 5280 4.2.1.1',
    what: 'The issuer of that name is not the one that the key identifier points to.',
  },
  signature: { clause: 'RFC 5280 6.1.3', what: 'The signature is not by the key of the issuer.' },
  signature_budget: { clause: 'RFC 5280 6.1', what: 'It would take more than 24 signature checks to find a path.' },

  revoked: { clause: 'RFC 5280 6.3.3', what: 'A certificate of the path stands in the revocation list of its issuer.' },
  crl_expired: { clause: 'RFC 5280 6.3.3', what: "An issuer's revocation list is out of date, or not valid yet." },
  crl_invalid: { clause: 'RFC 5280 6.3.3', what: "An issuer's revocation list cannot be trusted." },
} as const satisfies Readonly<Record<string, SvidRefusalRow>>;

export type SvidRefusalCode = keyof typeof SVID_REFUSALS;

/** Why a chain was not accepted: one code, the clause behind it, one sentence. */
export interface SvidRefusal {
  readonly ok: false;
  readonly code: SvidRefusalCode;
  readonly clause: string;
  readonly message: string;
}

/** `found` completes "Cannot accept the certificate chain: …". */
export function refuse(code: SvidRefusalCode, found: string): SvidRefusal {
  return { ok: false, code, clause: SVID_REFUSALS[code].clause, message: `Cannot accept the certificate chain: ${found}` };
}

/** A peer's text, fit to stand in a message: quoted, escaped, short. */
export function shown(text: string): string {
  return JSON.stringify(text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text);
}

const SHOWN_CHARACTERS = 120;
