/**
 * Policies as they were written: the fields and values of the documents, checked but not interpreted. What a value means is said
 * twice and independently, by the planner (authz/plan) and by the interpreter (authz/engine/interpreter.ts), so that each can be
 * tried against the other. Plain data: it crosses processes as JSON.
 */

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

export type Action = 'ALLOW' | 'DENY';

/** One AuthorizationPolicy. */
export interface Policy {
  /** Null when the document names none: then the policy is of the namespace of the workload that reads it. */
  readonly namespace: string | null;
  readonly name: string;
  readonly action: Action;
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
  readonly position: Position;
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

/** Policies that select one workload, with what their meaning depends on: everything that decides. */
export interface WorkloadPolicies {
  readonly namespace: string;
  /** Own trust domain first, then its aliases; never empty. */
  readonly trustDomains: readonly string[];
  /** Sorted by namespace and name, so that the order of files never matters. */
  readonly policies: readonly Policy[];
}

/** Whether a policy in `policyNamespace` (null: the workload's own) applies to the workload. */
export function selectsWorkload(policy: Policy, workload: Workload, rootNamespace: string): boolean {
  if (policy.isForGateways) return false;
  const namespace = policy.namespace ?? workload.namespace;
  if (namespace !== workload.namespace && namespace !== rootNamespace) return false;
  for (const [label, wanted] of Object.entries(policy.selector)) {
    if (!Object.hasOwn(workload.labels, label) || workload.labels[label] !== wanted) return false;
  }
  return true;
}

/** `namespace/name`, as decisions and logs show it. */
export function policyTitle(policy: Policy, workloadNamespace: string): string {
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
