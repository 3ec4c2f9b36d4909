/**
 * Every reason for which a peer's chain is not accepted, with the clause that it breaks. Codes are stable; docs/reference is written
 * from this table. A refusal is a value: what a peer causes is never thrown.
 */

/** Clause by code, in the order in which they are judged. */
export const SVID_REFUSALS = {
  chain_empty: 'RFC 8446 4.4.2',
  chain_too_long: 'RFC 8446 4.4.2',
  certificate_too_large: 'RFC 5280 4.1',
  certificate_malformed: 'RFC 5280 4.1',
  duplicate_extension: 'RFC 5280 4.2',

  san_missing: 'X509-SVID 2',
  uri_san_missing: 'X509-SVID 2',
  uri_san_multiple: 'X509-SVID 2',
  id_empty: 'SPIFFE-ID 2',
  id_too_long: 'SPIFFE-ID 2.3',
  scheme: 'X509-SVID 5.2',
  trust_domain_missing: 'SPIFFE-ID 2.1',
  trust_domain_too_long: 'SPIFFE-ID 2.3',
  trust_domain_charset: 'SPIFFE-ID 2.1',
  trust_domain_user_info: 'SPIFFE-ID 2.1',
  trust_domain_port: 'SPIFFE-ID 2.1',
  path_trailing_slash: 'SPIFFE-ID 2.2',
  path_empty_segment: 'SPIFFE-ID 2.2',
  path_dot_segment: 'SPIFFE-ID 2.2',
  path_charset: 'SPIFFE-ID 2.2',
  path_percent_encoding: 'SPIFFE-ID 2.2',
  id_query: 'SPIFFE-ID 2',
  id_fragment: 'SPIFFE-ID 2',
  path_missing: 'X509-SVID 3.1',
  san_not_critical: 'X509-SVID 3.1',
  leaf_is_ca: 'X509-SVID 4.1',
  leaf_name_constraints: 'X509-SVID 4.2',
  key_usage_missing: 'X509-SVID 4.3',
  key_usage_not_critical: 'X509-SVID 4.3',
  digital_signature_missing: 'X509-SVID 4.3',
  leaf_key_cert_sign: 'X509-SVID 4.3',
  leaf_crl_sign: 'X509-SVID 4.3',
  extended_key_usage: 'X509-SVID 4.4',

  version: 'RFC 5280 4.1.2.1',
  serial: 'RFC 5280 4.1.2.2',
  critical_extension: 'RFC 5280 4.2',
  weak_key: 'RFC 5280 4.1.2.7',
  weak_signature: 'RFC 5280 4.1.1.2',
  not_yet_valid: 'RFC 5280 4.1.2.5',
  expired: 'RFC 5280 4.1.2.5',

  bundle_missing: 'X509-SVID 5.2',
  foreign_issuer: 'SPIFFE-Federation 4.2',
  issuer_missing: 'X509-SVID 5.1',
  path_too_deep: 'RFC 5280 6.1',
  issuer_is_svid: 'X509-SVID 3.2',
  issuer_not_ca: 'X509-SVID 4.1',
  issuer_constraints_not_critical: 'RFC 5280 4.2.1.9',
  issuer_key_cert_sign: 'X509-SVID 4.3',
  issuer_uri_san_multiple: 'X509-SVID 2',
  issuer_id: 'X509-SVID 3.2',
  issuer_version: 'RFC 5280 4.1.2.1',
  issuer_serial: 'RFC 5280 4.1.2.2',
  issuer_critical_extension: 'RFC 5280 4.2',
  issuer_weak_key: 'RFC 5280 4.1.2.7',
  issuer_weak_signature: 'RFC 5280 4.1.1.2',
  issuer_not_yet_valid: 'RFC 5280 4.1.2.5',
  issuer_expired: 'RFC 5280 4.1.2.5',
  path_length: 'X509-SVID 4.1',
  name_constraint: 'X509-SVID 4.2',
  name_constraint_unsupported: 'X509-SVID 4.2',
  issuer_mismatch: 'RFC 5280 4.2.1.1',
  signature: 'RFC 5280 6.1.3',
  signature_budget: 'RFC 5280 6.1',

  revoked: 'RFC 5280 6.3.3',
  crl_expired: 'RFC 5280 6.3.3',
  crl_invalid: 'RFC 5280 6.3.3',
} as const satisfies Readonly<Record<string, string>>;

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
  return { ok: false, code, clause: SVID_REFUSALS[code], message: `Cannot accept the certificate chain: ${found}` };
}

/** A peer's text, fit to stand in a message: quoted, escaped, short. */
export function shown(text: string): string {
  return JSON.stringify(text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text);
}

const SHOWN_CHARACTERS = 120;
