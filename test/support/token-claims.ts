/** Tokens as issuers write them. */
import type { Token } from '#authz/engine/input.ts';

/** All claims of a token, its own members included. */
export function claimsOf(token: Token): object {
  const { audiences, claims, issuer, presenter, subject } = token;
  const azp = presenter === null ? {} : { azp: presenter };
  return { ...claims, iss: issuer, sub: subject, ...(audiences.length === 0 ? {} : { aud: audiences }), ...azp };
}
