/**
 * The part of the failure table that is about users' tokens: a row for each code of certs/jwt. As Envoy answers them: 401, and 403 for a
 * token that is good but meant for somebody else.
 */
import { JWT_CODES, type JwtCode } from '#certs/jwt/codes.ts';

export interface TokenFailureRow {
  readonly flag: string;
  readonly source: 'downstream' | 'internal';
  readonly http: number;
  readonly grpc: number;
  readonly retry: 'never';
  readonly closes: false;
  readonly what: string;
}

/** What a caller is told of a refusal (RFC 6750, section 3); '' for a failure that is about no token. */
export function challengeOf(failure: string): string {
  if (failure === 'jwt_missing') return 'Bearer';
  if (failure === 'token_expired') return 'Bearer error="invalid_token", error_description="jwt_expired"';
  if (!Object.hasOwn(JWT_CODES, failure)) return '';
  const error = failure === 'jwt_audience' ? 'insufficient_scope' : 'invalid_token';
  return `Bearer error="${error}", error_description="${failure}"`;
}

export const TOKEN_FAILURES = Object.fromEntries(
  Object.entries(JWT_CODES).map(([code, what]): [string, TokenFailureRow] => {
    const isForbidden = code === 'jwt_audience';
    const source = code === 'jwt_no_keys' || code === 'jwt_keys_stale' ? 'internal' : 'downstream';
    return [
      code,
      { flag: 'UAEX', source, http: isForbidden ? 403 : 401, grpc: isForbidden ? 7 : 16, retry: 'never', closes: false, what },
    ];
  }),
) as Record<JwtCode, TokenFailureRow>; // one entry per code
