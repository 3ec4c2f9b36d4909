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
    jwtRules: set.jwtRules,
    trustDomains: set.trustDomains,
    spaceDelimitedClaims: set.spaceDelimitedClaims,
    isEmpty: isEmpty(set),
    documents,
    selected: set.policies.length,
    bounds: plan.bounds,
    model: deflateRawSync(modelText(set), { level: 1 }),
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
  const hash = createHash('sha256').update(decisiveText([FORMAT, { ...set, policies: [] }]));
  for (const policy of set.policies) hash.update('\n').update(textsOf(policy).decisive);
  return `sha256:${hash.digest('hex')}`;
}

/** As JSON, in the form that authz/engine/explain.ts reads. */
function modelText(set: WorkloadPolicies): string {
  const policies = set.policies.map((policy) => textsOf(policy).whole).join();
  const { policies: _, ...rest } = set;
  return `{"policies":[${policies}],${JSON.stringify(rest).slice(1)}`;
}

interface PolicyTexts {
  readonly whole: string;
  readonly decisive: string;
}

/** A policy as JSON; of those that were written before, what was written then. */
function textsOf(policy: Policy): PolicyTexts {
  const known = KNOWN_TEXTS.get(policy);
  if (known !== undefined) return known;
  const texts = { whole: JSON.stringify(policy), decisive: decisiveText(policy) };
  KNOWN_TEXTS.set(policy, texts);
  return texts;
}

function decisiveText(value: unknown): string {
  return JSON.stringify(value, (key, member: unknown) => (UNDECISIVE.has(key) ? undefined : member));
}

/** INVARIANT: policies never change. */
const KNOWN_TEXTS = new WeakMap<Policy, PolicyTexts>();
/** Members of the model that say nothing about a decision. */
const UNDECISIVE: ReadonlySet<string> = new Set(['position', 'validUntilMs', 'validity']);
/** Changes whenever the same policies would be decided otherwise. */
const FORMAT = 'postern-policy-3';
