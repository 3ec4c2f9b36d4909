/**
 * Whether anything below a ceiling of the namespace tree allows more than the ceiling does. At run time a ceiling holds whatever
 * stands below it; this finds those documents that their author would wrongly believe to be in force.
 */
import { PosternError } from '#base/error.ts';

import type { AuthzInput } from '../engine/input.ts';
import { firstMatch, interpret, ruleMatches, ruleParts } from '../engine/interpreter.ts';
import type { Policy, Position, Rule } from '../policy/model.ts';
import { policyTitle } from '../policy/model.ts';
import type { WorkloadPolicies } from '../policy/workload-policies.ts';
import { isPlainlyWithin } from './containment.ts';
import { looseStrictRule } from './istio-as-strict.ts';
import { WitnessSearch, describeWitness, partsMissing } from './witness.ts';
import type { RuleOfPolicy } from './witness.ts';

/** A rule that allows what a ceiling above it does not. */
export interface Widening {
  /** Title of the policy and name of the rule that allow too much. */
  readonly policy: string;
  readonly rule: string;
  readonly position: Position;
  /** Title of the ceiling, and the rule of it that came nearest; null for a ceiling without rules. */
  readonly ceiling: string;
  readonly ceilingRule: string | null;
  /** A request that the former allows and the latter does not. */
  readonly witness: AuthzInput;
  readonly text: string;
}

/** @param budget  requests that may be judged in all, shared out among the pairs of a rule and a ceiling that need a search */
export function findWidenings(set: WorkloadPolicies, budget = 20_000): readonly Widening[] {
  const pairs = set.levels.flatMap(({ ceilings }, depth) => {
    const enforced = ceilings.filter(({ mode }) => mode === 'enforce');
    return enforced.flatMap((ceiling) =>
      allowingBelow(set, depth)
        .filter(({ policy, rule }) => !isPlainlyInside(policy, rule, ceiling, set.namespace))
        .map((below) => ({ ceiling, depth, below })),
    );
  });
  const share = Math.min(MOST_FOR_A_PAIR, Math.floor(budget / Math.max(1, pairs.length)));
  return pairs.flatMap(({ below, ceiling, depth }) => widens(set, { ceiling, depth }, below, share) ?? []);
}

/** @throws {PosternError} `policy_widens_ceiling` naming the first that was found, with a request that shows it */
export function refuseWidening(set: WorkloadPolicies): void {
  const [first] = findWidenings(set);
  if (first === undefined) return;
  const hint = 'Narrow the rule to what the ceiling allows, or have the ceiling widened by whoever owns it';
  throw new PosternError('policy_widens_ceiling', `Cannot compile the policies: ${first.text}`, hint);
}

/** ALLOW rules that are judged after the ceilings of a level: its own musts and those further down, and the workload's. */
function allowingBelow(set: WorkloadPolicies, depth: number): readonly RuleOfPolicy[] {
  const policies = [...set.levels.slice(depth).flatMap(({ musts }) => musts), ...set.policies];
  return policies
    .filter(({ action, mode }) => action === 'ALLOW' && mode === 'enforce')
    .flatMap((policy) => policy.rules.map((rule) => ({ policy, rule })));
}

function isPlainlyInside(policy: Policy, rule: Rule, ceiling: Policy, namespace: string): boolean {
  const inner = rule.strict ?? looseStrictRule(rule, policy.namespace ?? namespace);
  return ceiling.rules.some(({ strict }) => strict !== undefined && isPlainlyWithin(inner, strict));
}

interface PlacedCeiling {
  readonly ceiling: Policy;
  /** Index of its level. */
  readonly depth: number;
}

function widens(
  set: WorkloadPolicies,
  { ceiling, depth }: PlacedCeiling,
  { policy, rule }: RuleOfPolicy,
  budget: number,
): Widening | null {
  // The ceilings alone are what is asked about; what is denied without them is allowed by nobody.
  const below: WorkloadPolicies = {
    ...set,
    mtls: null,
    network: [],
    levels: set.levels.slice(depth).map((level) => ({ ...level, ceilings: [] })),
  };
  // What a must further up decides never comes to the ceiling.
  const above = set.levels.slice(0, depth).flatMap(({ musts }) => musts.filter(({ mode }) => mode === 'enforce'));
  const providers = Object.fromEntries(
    set.policies.flatMap(({ provider }) => (provider === null ? [] : [[provider, 'allow' as const]])),
  );
  const denying = [...set.levels.flatMap(({ musts }) => musts), ...set.policies].filter(({ action }) => action !== 'ALLOW');
  const others = [ceiling, ...[...above.filter(({ action }) => action === 'ALLOW'), ...denying].slice(0, MOST_OTHERS)];
  const rules = others.flatMap((other) => other.rules.map((inner) => ({ policy: other, rule: inner })));
  const { namespace, trustDomains } = set;
  const search = new WitnessSearch([{ policy, rule }, ...rules], { namespace, trustDomains, budget });
  const missing = (input: AuthzInput): number => {
    if (ruleMatches(set, policy, rule, input)) return 0;
    return Math.max(1, partsMissing(ruleParts(set, policy, rule, input, input.request?.tokens[0] ?? null)));
  };
  // The last question looks at every rule of the set, and is seldom asked.
  const isWitness = (input: AuthzInput): boolean =>
    firstMatch(set, ceiling, input) === null &&
    above.every((must) => firstMatch(set, must, input) === null) &&
    isAllowed(below, { ...input, providers });
  const witness = search.find(missing, isWitness);
  return witness === null ? null : tell(set, ceiling, { policy, rule }, { ...witness, providers });
}

function isAllowed(set: WorkloadPolicies, input: AuthzInput): boolean {
  return interpret(set, input, { revision: '', whenNoneSelects: 'deny' }).effect === 'allow';
}

function tell(set: WorkloadPolicies, ceiling: Policy, { policy, rule }: RuleOfPolicy, witness: AuthzInput): Widening {
  const titles = { policy: policyTitle(policy, set.namespace), ceiling: policyTitle(ceiling, set.namespace) };
  const nearest = nearestRule(set, ceiling, witness);
  const parent = nearest === null ? titles.ceiling : `${titles.ceiling}#${nearest.name}`;
  const text = `"${titles.policy}#${rule.name}" allows what the ceiling "${parent}" does not: ${describeWitness(witness)}`;
  return { ...titles, rule: rule.name, position: rule.position, ceilingRule: nearest?.name ?? null, witness, text };
}

/** The rule of a policy of which the fewest parts fail. */
function nearestRule(set: WorkloadPolicies, policy: Policy, input: AuthzInput): Rule | null {
  const token = input.request?.tokens[0] ?? null;
  const misses = (rule: Rule): number => ruleParts(set, policy, rule, input, token).filter(({ holds }) => !holds).length;
  let best: Rule | null = null;
  for (const rule of policy.rules) if (best === null || misses(rule) < misses(best)) best = rule;
  return best;
}

const MOST_FOR_A_PAIR = 3_000;
/** Policies that deny, or decide further up, whose values are tried to come past them. */
const MOST_OTHERS = 20;
