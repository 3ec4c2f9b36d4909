/** Faults planted in policies, to see whether tests notice: each rule left out, and each of its parts no longer asked for. */
import type { Policy, Rule } from '../policy/model.ts';
import { policyTitle } from '../policy/model.ts';
import type { WorkloadPolicies } from '../policy/workload-policies.ts';

export interface Mutation {
  /** `namespace/name`. */
  readonly policy: string;
  readonly rule: string;
  readonly kind: 'removed' | 'any source' | 'any operation' | 'no condition';
  readonly position: Rule['position'];
}

/** Of every rule of the policies that are enforced. Titles are those that a workload of the namespace sees. */
export function mutationsOf(policies: readonly Policy[], namespace: string): readonly Mutation[] {
  return policies
    .filter(({ action, isForGateways, mode }) => mode === 'enforce' && action !== 'AUDIT' && !isForGateways)
    .flatMap((policy) =>
      policy.rules.flatMap((rule) =>
        kindsOf(rule).map((kind) => ({
          policy: policyTitle(policy, namespace),
          rule: rule.name,
          kind,
          position: rule.position,
        })),
      ),
    );
}

/** Null when the workload has no such rule. */
export function mutated(set: WorkloadPolicies, mutation: Mutation): WorkloadPolicies | null {
  let isFound = false;
  const change = (policies: readonly Policy[]): readonly Policy[] =>
    policies.map((policy) => {
      if (policyTitle(policy, set.namespace) !== mutation.policy) return policy;
      const rules = policy.rules.flatMap((rule) => {
        if (rule.name !== mutation.rule) return [rule];
        isFound = true;
        return mutation.kind === 'removed' ? [] : [widened(rule, mutation.kind)];
      });
      return { ...policy, rules };
    });
  const policies = change(set.policies);
  const levels = set.levels.map(({ ceilings, musts, path }) => ({ path, ceilings: change(ceilings), musts: change(musts) }));
  return isFound ? { ...set, policies, levels } : null;
}

function kindsOf(rule: Rule): readonly Mutation['kind'][] {
  const { from, to, when } = rule.strict ?? rule;
  return [
    'removed',
    ...(from.length > 0 ? (['any source'] as const) : []),
    ...(to.length > 0 ? (['any operation'] as const) : []),
    ...(when.length > 0 ? (['no condition'] as const) : []),
  ];
}

function widened(rule: Rule, kind: Mutation['kind']): Rule {
  const part = kind === 'any source' ? 'from' : kind === 'any operation' ? 'to' : 'when';
  if (rule.strict !== undefined) return { ...rule, strict: { ...rule.strict, [part]: [] } };
  return { ...rule, [part]: [] };
}
