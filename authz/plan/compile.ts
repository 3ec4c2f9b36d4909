/** Policies and a workload -> what a sidecar of that workload loads. */
import { createHash } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';

import type { Policy, Workload } from '../policy/model.ts';
import { setOfPolicies } from '../policy/policy-set.ts';
import { selectPolicies } from '../policy/select.ts';
import type { SelectOptions } from '../policy/select.ts';
import type { WorkloadPolicies } from '../policy/workload-policies.ts';
import { buildModule } from '../wasm/module.ts';
import type { CompiledPolicy } from './compiled.ts';
import { planPolicies } from './plan.ts';
import type { Strategy } from './plan.ts';
import { describeReported } from './stages.ts';

export type CompileOptions = SelectOptions;

/**
 * Compiles the policies that select the workload. That none does is no fault here: `documents` and `selected` tell, and the
 * caller decides what it means.
 *
 * @throws {PosternError} `policy_too_large` when the policies exceed a bound of the compiler
 */
export function compilePolicies(policies: readonly Policy[], workload: Workload, options: CompileOptions): CompiledPolicy {
  return compileSelected(policiesOf(policies, workload, options), policies.length);
}

/**
 * Compiles what `selectPolicies` gave, which came of so many documents.
 *
 * @throws {PosternError} `policy_too_large` when the policies exceed a bound of the compiler
 */
export function compileSelected(set: WorkloadPolicies, documents: number, strategy: Strategy = 'auto'): CompiledPolicy {
  const plan = planPolicies(set, strategy);
  const { wasm, layout } = buildModule(plan);
  const headerNames = layout.slots.flatMap(({ source }) => (source.kind === 'header' ? [source.name] : []));
  return {
    revision: revisionOf(set),
    wasm,
    layout,
    outcomes: plan.outcomes,
    reports: describeReported(set),
    ruleCount: ruleCountOf(set),
    headerNames: [...new Set(headerNames)].toSorted(),
    trustDomains: set.trustDomains,
    spaceDelimitedClaims: set.spaceDelimitedClaims,
    isEmpty: isEmpty(set),
    documents,
    selected: set.policies.length,
    bounds: plan.bounds,
    model: deflateRawSync(JSON.stringify(set), { level: 1 }),
  };
}

/** The policies that select the workload, in the order that decisions and revisions go by. */
export function policiesOf(policies: readonly Policy[], workload: Workload, options: CompileOptions): WorkloadPolicies {
  return selectPolicies(setOfPolicies(policies), workload, options);
}

function ruleCountOf({ levels, network, policies }: WorkloadPolicies): number {
  const inherited = levels.flatMap(({ ceilings, musts }) => [...ceilings, ...musts]);
  const tiers = network.flatMap((stage) => stage.tiers);
  return [...inherited, ...policies, ...tiers].reduce((sum, { rules }) => sum + rules.length, 0);
}

function isEmpty({ levels, mtls, network, policies }: WorkloadPolicies): boolean {
  return policies.length === 0 && levels.length === 0 && network.length === 0 && mtls === null;
}

/** `sha256:…` over everything that decides. */
export function revisionOf(set: WorkloadPolicies): string {
  const decisive = JSON.stringify([FORMAT, set], (key, value: unknown) => (UNDECISIVE.has(key) ? undefined : value));
  return `sha256:${createHash('sha256').update(decisive).digest('hex')}`;
}

/** Members of the model that say nothing about a decision. */
const UNDECISIVE: ReadonlySet<string> = new Set(['position', 'validUntilMs', 'jwtRules', 'validity']);
/** Changes whenever the same policies would be decided otherwise. */
const FORMAT = 'postern-policy-2';
