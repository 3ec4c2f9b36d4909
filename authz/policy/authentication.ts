/**
 * RequestAuthentication and PeerAuthentication as they were written, checked but not interpreted. Plain data: `JwtRule` is what
 * whoever verifies tokens works from.
 */
import type { Position } from './model.ts';

/** Members that both kinds have. */
export interface AuthenticationDocument {
  /** Null when the document names none: then it is of the namespace of the workload that reads it. */
  readonly namespace: string | null;
  readonly name: string;
  /** `metadata.creationTimestamp`, milliseconds since 1970, or null. */
  readonly createdMs: number | null;
  readonly selector: Readonly<Record<string, string>>;
  /** It names `targetRefs`: no sidecar obeys it. */
  readonly isForGateways: boolean;
  readonly position: Position;
}

export interface RequestAuthentication extends AuthenticationDocument {
  readonly jwtRules: readonly JwtRule[];
}

/** How tokens of one issuer are found, verified and handed on (Istio's JWTRule). */
export interface JwtRule {
  readonly issuer: string;
  /** Any of them; empty: the audience is not checked. */
  readonly audiences: readonly string[];
  readonly jwksUri: string | null;
  /** A JWK set as text. With neither this nor `jwksUri` the key set is found by the issuer's OpenID configuration. */
  readonly jwks: string | null;
  /** Where tokens are looked for. All empty: `Authorization: Bearer` and the query parameter `access_token`. */
  readonly fromHeaders: readonly { readonly name: string; readonly prefix: string }[];
  readonly fromParams: readonly string[];
  readonly fromCookies: readonly string[];
  readonly outputPayloadToHeader: string | null;
  readonly outputClaimToHeaders: readonly { readonly header: string; readonly claim: string }[];
  readonly forwardOriginalToken: boolean;
  /** Of fetching the key set. */
  readonly timeoutMs: number;
  /** Claims that hold words separated by blanks, beside `scope` and `permission`. */
  readonly spaceDelimitedClaims: readonly string[];
  /** A request must bring a token of this rule (`presence: REQUIRED`). */
  readonly isRequired: boolean;
}

/** A rule that holds for a workload. */
export interface SelectedJwtRule extends JwtRule {
  /** `namespace/name` of its document. */
  readonly policy: string;
}

/** `UNSET` inherits. */
export type MtlsMode = 'UNSET' | 'DISABLE' | 'PERMISSIVE' | 'STRICT';

export interface PeerAuthentication extends AuthenticationDocument {
  readonly mode: MtlsMode;
  /** By port of the workload, decimal. */
  readonly portModes: Readonly<Record<string, MtlsMode>>;
}
