/** Documents and a workload -> everything that decides for that workload at one time. */
import type { ApiOperations } from './api-definition.ts';
import { effectiveDefaults, levelsOf } from './flow.ts';
import type { Policy, Workload } from './model.ts';
import { policyTitle, selectsWorkload } from './model.ts';
import { joinInventories } from './network/inventory.ts';
import { networkView } from './network/stages.ts';
import { resolveOperations } from './operations.ts';
import type { PolicySet } from './policy-set.ts';
import { jwtRulesOf, mtlsRequirement } from './precedence.ts';
import { ancestryOf, pathOf } from './tree.ts';
import { unknownOperations } from './unknown-operations.ts';
import { isInForce, nextBoundary } from './validity.ts';
import type { MtlsRequirement, SpaceDelimitedClaims, WorkloadPolicies } from './workload-policies.ts';

export interface SelectOptions {
  /** Policies there apply to every namespace. */
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  /** The time that policies must be in force at; 0, before all of them, when it is left out. */
  readonly nowMs?: number;
  /** Operations of imported APIs, beside those that stand in the documents. */
  readonly apis?: ApiOperations;
}

/**
 * @throws {PosternError} `policy_operation_unknown` for an operation of an API that nobody knows, `policy_api_unread` for an API whose
 *     description nobody has read
 */
export function selectPolicies(set: PolicySet, workload: Workload, options: SelectOptions): WorkloadPolicies {
  const { nowMs = 0, rootNamespace } = options;
  const path = pathOf(set.trees, workload.namespace);
  const ancestry = ancestryOf(path);
  const apis = apisOf(set, workload, options.apis);
  const selecting = set.policies
    .filter(({ scope }) => scope === null || ancestry.includes(scope.path))
    .filter((policy) => selectsWorkload(policy, workload, rootNamespace))
    .map((policy) => resolveOperations(policy, apis));
  const inForce = selecting.filter(({ validity }) => isInForce(validity, nowMs));
  const own = withoutConflict(inForce.filter(({ scope }) => scope === null));
  const clustered = inForce.filter(({ scope }) => scope !== null);
  const jwtRules = jwtRulesOf(set.requestAuthentications, workload, rootNamespace);
  const levels = levelsOf(clustered, path);
  const unknown = unknownOperations(set.apis, apis, workload);
  const network = networkView(set.networkPolicies, joinInventories(set.inventories), workload);
  return {
    namespace: workload.namespace,
    trustDomains: [...new Set([options.trustDomain, ...options.trustDomainAliases])],
    policies: sortedByTitle([...own, ...effectiveDefaults(own, clustered, path)], workload),
    levels: unknown.musts.length === 0 ? levels : [...levels, { path, ceilings: [], musts: unknown.musts }],
    network: network.stages,
    mtls: strictest(set, clustered, mtlsRequirement(set.peerAuthentications, workload, rootNamespace)),
    jwtRules,
    spaceDelimitedClaims: spaceDelimitedClaims(jwtRules),
    losses: [...network.losses, ...unknown.losses],
    validUntilMs: earliest(selecting.map(({ validity }) => nextBoundary(validity, nowMs))),
  };
}

/** Operations by `namespace/name`; a document without a namespace is of the workload's. */
function apisOf(set: PolicySet, workload: Workload, imported: ApiOperations = new Map()): ApiOperations {
  const all = new Map(imported);
  for (const { name, namespace, operations } of set.apis) {
    const keys = namespace === null ? [`/${name}`, `${workload.namespace}/${name}`] : [`${namespace}/${name}`];
    for (const key of keys) {
      const known = all.get(key);
      all.set(key, known === undefined ? operations : [...known, ...operations]);
    }
  }
  return all;
}

/** Istio asks one provider for a workload; of several it asks none and denies what they would have been asked. */
function withoutConflict(policies: readonly Policy[]): readonly Policy[] {
  const isAsking = ({ action, mode }: Policy): boolean => action === 'CUSTOM' && mode === 'enforce';
  const providers = new Set(policies.filter(isAsking).map(({ provider }) => provider));
  if (providers.size < 2) return policies;
  return policies.map((policy) => (isAsking(policy) ? { ...policy, provider: null } : policy));
}

/** Mutual TLS that a node of the tree demands holds for every port. */
function strictest(set: PolicySet, clustered: readonly Policy[], said: MtlsRequirement | null): MtlsRequirement | null {
  const demanding = clustered.find(
    ({ mode, name, scope }) =>
      mode === 'enforce' && set.strictMtls.some((policy) => policy.name === name && policy.scope?.path === scope?.path),
  );
  return demanding === undefined ? said : { isStrict: true, ports: {}, policy: policyTitle(demanding, '') };
}

function spaceDelimitedClaims(jwtRules: WorkloadPolicies['jwtRules']): readonly SpaceDelimitedClaims[] {
  const found = new Map<string, Set<string>>();
  for (const { issuer, spaceDelimitedClaims: claims } of jwtRules) {
    if (claims.length === 0) continue;
    const known = found.get(issuer) ?? new Set();
    for (const claim of claims) known.add(claim);
    found.set(issuer, known);
  }
  return [...found].map(([issuer, claims]) => ({ issuer, claims: [...claims] }));
}

function sortedByTitle(policies: readonly Policy[], workload: Workload): readonly Policy[] {
  const titled = policies.map((policy) => ({ title: policyTitle(policy, workload.namespace), policy }));
  return titled.toSorted((left, right) => compare(left.title, right.title)).map(({ policy }) => policy);
}

function earliest(times: readonly (number | null)[]): number | null {
  let found: number | null = null;
  for (const time of times) if (time !== null && (found === null || time < found)) found = time;
  return found;
}

function compare(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
