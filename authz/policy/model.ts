/**
 * Policies as they were written: the fields and values of the documents, checked but not interpreted. What a value means is said
 * twice and independently, by the planner (authz/plan) and by the interpreter (authz/engine/interpreter.ts), so that each can be
 * tried against the other. Plain data: it crosses processes as JSON.
 */
import type { Expression } from './expression.ts';
import type { Validity } from './validity.ts';

/** Where something stands, counted from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Something wrong in a document, told so that its author can mend it. */
export interface PolicyFault {
  readonly file: string;
  /** From 1; 0 when the file as a whole is at fault. */
  readonly line: number;
  readonly column: number;
  /** A key of `MESSAGE_CODES`. */
  readonly code: string;
  /** Path within the document, `spec.rules[0].to[0]`, or ''. */
  readonly path: string;
  /** What was found and what was wanted. */
  readonly message: string;
  readonly fix: string | null;
}

/**
 * What a matching rule does. CUSTOM asks the policy's provider, whose denial denies; AUDIT is told and changes nothing. They are
 * judged in the order CUSTOM, DENY, ALLOW.
 */
export type Action = 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';

/**
 * `enforce` decides. `audit` (Istio's dry run, too) and `learn` are judged beside it, each policy by itself, and told as shadow
 * decisions: they never change one, and do not count as policies that select the workload.
 */
export type Mode = 'enforce' | 'audit' | 'learn';

/** How a ClusterAccessPolicy flows down the tree of namespaces; see `InheritedLevel`. */
export type Inheritance = 'must' | 'ceiling' | 'default';

/** Where in the tree a policy hangs, and how it flows down from there. */
export interface Scope {
  /** `/`, or `/acme/prod`. */
  readonly path: string;
  readonly inheritance: Inheritance;
  /** Lower comes first; 0 to 1000. */
  readonly priority: number;
}

/** One policy: an AuthorizationPolicy, AccessPolicy or ClusterAccessPolicy. */
export interface Policy {
  /** Null when the document names none: then the policy is of the namespace of the workload that reads it. */
  readonly namespace: string | null;
  readonly name: string;
  readonly action: Action;
  readonly mode: Mode;
  /** Name of the external authorizer that a CUSTOM policy asks; null for others. */
  readonly provider: string | null;
  /** Null for a policy of a namespace. */
  readonly scope: Scope | null;
  /** When it is in force; null for always. */
  readonly validity: Validity | null;
  /** Labels that a workload must bear; empty selects all of the namespace (of the mesh in the root namespace). */
  readonly selector: Readonly<Record<string, string>>;
  /** It names `targetRefs`: it is meant for gateways and waypoints, and no sidecar obeys it. */
  readonly isForGateways: boolean;
  readonly rules: readonly Rule[];
  readonly position: Position;
}

/** (any source) and (any operation) and (all conditions); an empty list holds always. */
export interface Rule {
  /** Its name by the annotation `postern.mesh/rule-names`, else its index. */
  readonly name: string;
  readonly from: readonly Source[];
  readonly to: readonly Operation[];
  readonly when: readonly Condition[];
  /** Our own kinds: what `from`, `to` and `when` (which are empty then) say, in strict logic. */
  readonly strict?: StrictRule;
  readonly position: Position;
}

/** (any of `from`) and (any of `to`) and (all of `when`); an empty `from` or `to` holds always. */
export interface StrictRule {
  readonly from: readonly Expression[];
  readonly to: readonly Expression[];
  readonly when: readonly Expression[];
}

/** All fields that are there must hold; within one, any value. An empty list is an absent field. */
export type Source = Readonly<Record<SourceField, readonly string[]>>;
export type Operation = Readonly<Record<OperationField, readonly string[]>>;

export interface Condition {
  /** As written: `request.headers[X-Tenant]`. */
  readonly key: string;
  readonly values: readonly string[];
  readonly notValues: readonly string[];
}

/** A workload as selectors see it. */
export interface Workload {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string | null;
}

/** Whether a policy applies to the workload; for one that hangs in the tree only its selector is asked. */
export function selectsWorkload(policy: Policy, workload: Workload, rootNamespace: string): boolean {
  if (policy.isForGateways) return false;
  if (policy.scope !== null) return hasLabels(workload, policy.selector);
  const namespace = policy.namespace ?? workload.namespace;
  if (namespace !== workload.namespace && namespace !== rootNamespace) return false;
  return hasLabels(workload, policy.selector);
}

export function hasLabels({ labels }: Pick<Workload, 'labels'>, selector: Readonly<Record<string, string>>): boolean {
  return Object.entries(selector).every(([label, wanted]) => Object.hasOwn(labels, label) && labels[label] === wanted);
}

/** `namespace/name`, as decisions and logs show it; of a policy that hangs in the tree `/path/name`. */
export function policyTitle(policy: Policy, workloadNamespace: string): string {
  if (policy.scope !== null) return `${policy.scope.path === '/' ? '' : policy.scope.path}/${policy.name}`;
  return `${policy.namespace ?? workloadNamespace}/${policy.name}`;
}

/** Fields of `from.source`, in the order of the documentation. */
export const SOURCE_FIELDS = [
  'principals',
  'notPrincipals',
  'requestPrincipals',
  'notRequestPrincipals',
  'namespaces',
  'notNamespaces',
  'serviceAccounts',
  'notServiceAccounts',
  'trustDomains',
  'notTrustDomains',
  'ipBlocks',
  'notIpBlocks',
  'remoteIpBlocks',
  'notRemoteIpBlocks',
] as const;

export type SourceField = (typeof SOURCE_FIELDS)[number];

/** Fields of `to.operation`. */
export const OPERATION_FIELDS = ['hosts', 'notHosts', 'ports', 'notPorts', 'methods', 'notMethods', 'paths', 'notPaths'] as const;

export type OperationField = (typeof OPERATION_FIELDS)[number];
