/** Policies and a workload -> what a sidecar of that workload loads. */
import { createHash } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';

import type { Policy, Workload, WorkloadPolicies } from '../policy/model.ts';
import { policyTitle, selectsWorkload } from '../policy/model.ts';
import { buildModule } from '../wasm/module.ts';
import type { CompiledPolicy, CompiledRule } from './compiled.ts';
import { planPolicies } from './plan.ts';

export interface CompileOptions {
  /** Policies there apply to every namespace. */
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
}

/**
 * Compiles the policies that select the workload. That none does is no fault here: `documents` and `selected` tell, and the
 * caller decides what it means.
 *
 * @throws {PosternError} `policy_too_large` when the policies exceed a bound of the compiler
 */
export function compilePolicies(policies: readonly Policy[], workload: Workload, options: CompileOptions): CompiledPolicy {
  const set = policiesOf(policies, workload, options);
  const plan = planPolicies(set);
  const { wasm, layout } = buildModule(plan);
  const headerNames = layout.slots.flatMap(({ source }) => (source.kind === 'header' ? [source.name] : []));
  return {
    revision: revisionOf(set),
    wasm,
    layout,
    rules: rulesOf(set),
    headerNames: headerNames.toSorted(),
    trustDomains: set.trustDomains,
    documents: policies.length,
    selected: set.policies.length,
    longestScan: plan.longestScan,
    model: deflateRawSync(JSON.stringify(set), { level: 1 }),
  };
}

/** The policies that select the workload, in the order that decisions and revisions go by. */
export function policiesOf(policies: readonly Policy[], workload: Workload, options: CompileOptions): WorkloadPolicies {
  const selected = policies.filter((policy) => selectsWorkload(policy, workload, options.rootNamespace));
  const titled = selected.map((policy) => ({ title: policyTitle(policy, workload.namespace), policy }));
  return {
    namespace: workload.namespace,
    trustDomains: [...new Set([options.trustDomain, ...options.trustDomainAliases])],
    policies: titled.toSorted((left, right) => compare(left.title, right.title)).map(({ policy }) => policy),
  };
}

/** Rules by number: policies in order, within each its rules. */
export function rulesOf(set: WorkloadPolicies): readonly CompiledRule[] {
  return set.policies.flatMap((policy) => {
    const title = policyTitle(policy, set.namespace);
    return policy.rules.map(({ name }) => ({ policy: title, rule: name }));
  });
}

function revisionOf(set: WorkloadPolicies): string {
  const decisive = JSON.stringify([FORMAT, set], (key, value: unknown) => (key === 'position' ? undefined : value));
  return `sha256:${createHash('sha256').update(decisive).digest('hex')}`;
}

function compare(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

/** Changes whenever the same policies would be decided otherwise. */
const FORMAT = 'postern-policy-1';
