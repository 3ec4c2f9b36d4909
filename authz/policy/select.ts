/** Documents and a workload -> everything that decides for that workload at one time. */
import { isInForce, nextBoundary } from './validity.ts';
import type { Policy, Workload } from './model.ts';
import { policyTitle, selectsWorkload } from './model.ts';
import type { PolicySet } from './policy-set.ts';
import type { WorkloadPolicies } from './workload-policies.ts';

export interface SelectOptions {
  /** Policies there apply to every namespace. */
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  /** The time that policies must be in force at; 0, before all of them, when it is left out. */
  readonly nowMs?: number;
}

export function selectPolicies(set: PolicySet, workload: Workload, options: SelectOptions): WorkloadPolicies {
  const nowMs = options.nowMs ?? 0;
  const selected = set.policies.filter((policy) => selectsWorkload(policy, workload, options.rootNamespace));
  const inForce = selected.filter(({ scope, validity }) => scope === null && isInForce(validity, nowMs));
  return {
    namespace: workload.namespace,
    trustDomains: [...new Set([options.trustDomain, ...options.trustDomainAliases])],
    policies: sortedByTitle(inForce, workload),
    levels: [],
    network: [],
    mtls: null,
    jwtRules: [],
    spaceDelimitedClaims: [],
    validUntilMs: earliest(selected.map(({ validity }) => nextBoundary(validity, nowMs))),
  };
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
