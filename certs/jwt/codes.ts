/** Why a token is not taken, each with its own code. The reference page of the codes is written from this table. */

export const JWT_CODES = {
  jwt_too_large: 'The token is longer than 16 KiB.',
  jwt_malformed: 'The token is not three parts of base64url, or a part is not a JSON object (RFC 7515, section 7.1).',
  jwt_alg_none: 'The token says that it is not signed.',
  jwt_alg_refused: 'The algorithm is none that the issuer may use; symmetric ones never are.',
  jwt_crit: 'The header has `crit`: extensions that must be understood are not (RFC 7515, section 4.1.11).',
  jwt_b64: 'The header has `b64`: an unencoded payload is not taken (RFC 7797).',
  jwt_header_key: 'The header brings or points to a key of its own (`jwk`, `jku`, `x5c`, `x5u`).',
  jwt_kid: 'The header has a `kid` that is no text.',
  jwt_key_unknown: 'No key of the issuer has this `kid`, or none is for this algorithm.',
  jwt_no_keys: 'The keys of the issuer could not be had.',
  jwt_keys_stale: 'The keys of the issuer could not be fetched anew for so long that those that were known no longer count.',
  jwt_signature: 'The signature is not of a key of the issuer.',
  jwt_issuer: 'No rule is for the issuer of the token, or it has none.',
  jwt_audience: 'The token is for none of the audiences of the rule.',
  jwt_exp_missing: 'The token has no `exp`: it would be valid for ever.',
  jwt_time: '`exp`, `nbf` or `iat` is no number.',
  jwt_expired: 'The time of the token is over.',
  jwt_not_yet: 'The time of the token has not begun.',
  jwt_subject: '`sub` is no text.',
  jwt_missing: 'A rule demands a token and the request has none.',
  jwt_too_many: 'The request bears more tokens than are looked at.',
} as const;

export type JwtCode = keyof typeof JWT_CODES;
