/**
 * Everything that decides for one workload, resolved from the documents at one time by `select.ts`: what engines are made from and
 * the interpreter reads. Plain data: it crosses processes as JSON.
 *
 * The order of a decision, each step only if none before it denied:
 *
 * 1. a SPIFFE ID that cannot be judged: `engine_error`
 * 2. `mtls`: plaintext where mutual TLS is required: `mtls_required`
 * 3. `network`, stage by stage: `denied_by_network_policy`
 * 4. `levels` from the root of the tree downwards. Of each level first its ceilings, every one of which must be matched by a rule
 *    (`denied_outside_ceiling`), then its musts in order: the first that matches decides, `denied_by_rule` or `allowed_by_rule`
 * 5. `policies` that are enforced: CUSTOM, DENY, ALLOW. If none of them is ALLOW, DENY or CUSTOM: `whenNoneSelects`
 *
 * Beside it, for every request that steps 1 to 3 let pass, whatever is decided afterwards: AUDIT policies that match are told, and
 * each policy whose mode is not `enforce`, but for AUDIT, gives its shadow decision. Those of `levels` come first, in order of
 * their levels, ceilings before musts, then those of `policies`.
 */
import type { SelectedJwtRule } from './authentication.ts';
import type { Expression } from './expression.ts';
import type { PolicyLoss } from './losses.ts';
import type { Policy, Position } from './model.ts';

export interface WorkloadPolicies {
  readonly namespace: string;
  /** Own trust domain first, then its aliases; never empty. */
  readonly trustDomains: readonly string[];
  /** Sorted by title, so that the order of files never matters. Defaults of the tree that are not overridden are among them. */
  readonly policies: readonly Policy[];
  /** From the root of the tree downwards; levels without policies are left out. */
  readonly levels: readonly InheritedLevel[];
  readonly network: readonly NetworkStage[];
  /** Null where no document says anything: plaintext is left to the listener. */
  readonly mtls: MtlsRequirement | null;
  /** Whose tokens the workload takes. No part of a decision by the engine: tokens are proved before it is asked. */
  readonly jwtRules: readonly SelectedJwtRule[];
  /** Claims that are lists of words, beside `scope` and `permission`. */
  readonly spaceDelimitedClaims: readonly SpaceDelimitedClaims[];
  /** What the documents say and is not held to. No part of what decides. */
  readonly losses: readonly PolicyLoss[];
  /** When another set is in force, in milliseconds since 1970; null for never. No part of what decides. */
  readonly validUntilMs: number | null;
}

/** What a node of the tree makes of everything below it. */
export interface InheritedLevel {
  /** `/acme/prod`. */
  readonly path: string;
  /** What nothing below may exceed: each is an ALLOW policy, and a request must match a rule of each. */
  readonly ceilings: readonly Policy[];
  /** By priority, then DENY before ALLOW, then by name. The first that matches decides for good: nothing below is asked. */
  readonly musts: readonly Policy[];
}

export interface MtlsRequirement {
  /** Ports for which mutual TLS is required differently from `isStrict`. */
  readonly ports: Readonly<Record<string, boolean>>;
  readonly isStrict: boolean;
  /** `namespace/name` of the document that says so. */
  readonly policy: string;
}

/** Claims of tokens of one issuer that hold words separated by blanks. */
export interface SpaceDelimitedClaims {
  readonly issuer: string;
  /** Names at the top level of the token. */
  readonly claims: readonly string[];
}

/** One end's view of a connection: the workload's (ingress), or a caller's (egress). Reads attributes of the connection only. */
export interface NetworkStage {
  readonly direction: 'ingress' | 'egress';
  /** Whose connections it judges; every other one passes. */
  readonly applies: Expression;
  /** In order. A connection that all of them leave undecided is accepted. */
  readonly tiers: readonly NetworkTier[];
}

/** The first rule that matches decides: `accept` and `deny` end the stage, `pass` goes to the next tier. */
export interface NetworkTier {
  readonly rules: readonly NetworkRule[];
  /** A connection that no rule matches goes to the next tier, or is denied by that policy. */
  readonly otherwise: 'next' | { readonly deniedBy: string };
}

export interface NetworkRule {
  /** `namespace/name`, or the name of a policy of the cluster. */
  readonly policy: string;
  readonly name: string;
  readonly action: 'accept' | 'deny' | 'pass';
  /** What is unknown never lets anybody in: `accept` is judged as ALLOW is, the others as DENY. */
  readonly match: Expression;
  readonly position: Position;
}
