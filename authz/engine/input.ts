/**
 * What a decision is made from and what it is: plain values, so that a recorded input can be judged again later. Attributes of
 * the connection are told apart from those of the request, because the engine classifies the former once.
 */
import { OPA_DENIALS } from '../opa/outcome.ts';

/** Attributes that cannot change while a connection lives. */
export interface ConnectionAttributes {
  /** The peer's verified SPIFFE ID, `spiffe://…`, or null for a peer without a verified identity. */
  readonly principal: string | null;
  /** Address of the socket's peer, textual, IPv4-mapped IPv6 already unmapped. */
  readonly sourceIp: string;
  /** Address of the original client as a trusted forwarder told it, else `sourceIp`. */
  readonly remoteIp: string;
  readonly destinationIp: string;
  /** The workload's port: original destination, `workloadPort`, or that of `forwardTo`. */
  readonly destinationPort: number;
  readonly sni: string | null;
  /** Whether the connection came by TLS. */
  readonly tls: boolean;
  readonly protocol: 'http' | 'http2' | 'grpc' | 'tcp';
  /** Tags of the peer's verified identity, `name=value`; left out for none. */
  readonly tags?: readonly string[];
}

/** Where a request's header fields are read from; names in lower case. */
export interface FieldSource {
  /** Every value of the field, in order of arrival; empty when it is absent. */
  values(name: string): readonly string[];
}

/** Claims of a token that was already verified. */
export interface Token {
  readonly issuer: string;
  readonly subject: string;
  readonly audiences: readonly string[];
  readonly presenter: string | null;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** Attributes of one HTTP request, canonical: what is judged here is what is logged and forwarded. */
export interface RequestAttributes {
  readonly method: string;
  /** Host as compared: lower case, one trailing dot dropped, the port kept when one was sent. */
  readonly authority: string;
  /** Canonical path without query. Latin-1: one character a byte. */
  readonly path: string;
  /** What follows `?`, as it was sent; left out for none. Needed only where the policies read it. */
  readonly query?: string;
  readonly fields: FieldSource;
  readonly tokens: readonly Token[];
}

/** What external authorizers answered, by name. One that a CUSTOM policy asks and that stands not here is unavailable. */
export type Providers = Readonly<Record<string, 'allow' | 'deny'>>;

/** Everything that one decision reads. `request` is null for raw TCP. */
export interface AuthzInput {
  readonly connection: ConnectionAttributes;
  readonly request: RequestAttributes | null;
  readonly providers?: Providers;
}

/** Why a decision is what it is; documented in docs/reference/decision-codes.md, which is written from `DECISION_CODES`. */
export const DECISION_CODES = {
  allowed_by_rule: 'A rule of an ALLOW policy matched.',
  allowed_no_policy: 'No ALLOW policy selects the workload and nothing denied it; the configuration lets that pass.',
  allowed_all: 'The configuration says allowAll.',
  denied_by_rule: 'A rule of a DENY policy matched.',
  denied_no_match: 'ALLOW policies select the workload and no rule of theirs matched.',
  denied_no_policy: 'No policy selects the workload.',
  denied_by_provider: 'The external authorizer of a CUSTOM policy denied.',
  denied_outside_ceiling: 'No rule of a ceiling further up the namespace tree matched.',
  denied_by_network_policy: 'A network policy does not accept the connection.',
  mtls_required: 'The connection is plaintext and mutual TLS is required.',
  token_refused:
    'A RequestAuthentication does not take a token of the request, or demands one that it has not; the reason tells which and why.',
  bad_path: 'The path cannot be brought into canonical form.',
  policy_missing: 'There is no policy source, or it holds no document.',
  policy_invalid: 'The policy set does not compile, or its bundle is refused.',
  policy_expired: 'The bundle that was in force has expired, and no other has taken its place.',
  engine_error: 'The policy engine failed.',
  provider_unavailable:
    'An external authorizer that the policy names gave no answer: there is none of the name, or it is out of reach.',
  provider_timeout: 'An external authorizer did not answer in time.',
  provider_overloaded: 'As many questions as may wait for an external authorizer were waiting.',
  provider_error: 'An external authorizer failed, or answered what is no answer; the detail says what.',
  ...OPA_DENIALS,
} as const;

export type DecisionCode = keyof typeof DECISION_CODES;

/** What the policy says. One frozen object per outcome and revision; the engine hands out the same one again. */
export interface Decision {
  readonly effect: 'allow' | 'deny';
  readonly code: DecisionCode;
  /** `namespace/name` of the deciding policy, or null. */
  readonly policy: string | null;
  /** Name or index of the deciding rule, or null. */
  readonly rule: string | null;
  /** `sha256:…` of the compiled set. */
  readonly revision: string;
  /** Titles of the AUDIT policies that matched, in order; left out for none. */
  readonly audited?: readonly string[];
  /** What policies that are not enforced would say, in order; left out for none. */
  readonly shadow?: readonly ShadowDecision[];
}

/**
 * What one policy whose mode is not `enforce` says by itself. ALLOW, and a ceiling: `allow` if a rule matches, else `deny`; DENY
 * the other way round; CUSTOM: as DENY, by its provider's answer.
 */
export interface ShadowDecision {
  readonly policy: string;
  readonly mode: 'audit' | 'learn';
  readonly decision: 'allow' | 'deny';
  /** The first of its rules that matches, or null. */
  readonly rule: string | null;
}
