/**
 * Explanations of random denials: the rule that is named decided, or misses exactly what is told: with the told conditions taken out
 * of it, and nothing else, it allows the request.
 */
import { expect, test } from 'vitest';

import { explain } from '#authz/engine/explain.ts';
import type { Miss, NearestMiss } from '#authz/engine/explain.ts';
import { interpret } from '#authz/engine/interpreter.ts';
import { seededRandom } from '#authz/engine/samples.ts';
import type { Policy, Rule } from '#authz/policy/model.ts';
import { policyTitle } from '#authz/policy/model.ts';
import { selectPolicies } from '#authz/policy/select.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';

import { everyRequest, smallModels } from './small-models.ts';

const DENIALS = Number(process.env['POSTERN_DENIALS'] ?? 500);
const SEED = Number(process.env['POSTERN_SEED'] ?? Date.now() % 1_000_000_000);
const WORKLOAD = { namespace: 'shop', labels: { app: 'a' }, serviceAccount: null };
const OPTIONS = { rootNamespace: 'istio-system', trustDomain: 'cluster.local', trustDomainAliases: [] };
const JUDGED = { revision: '', whenNoneSelects: 'deny' } as const;

test(`explain() names what ${DENIALS} random denials lack, seed ${SEED}`, { timeout: 120_000 }, () => {
  const random = seededRandom(SEED);
  const counts = { decided: 0, missed: 0, single: 0 };
  for (let denials = 0; denials < DENIALS;) {
    const { attributes, sets } = smallModels(random);
    const [set] = sets.map((one) => selectPolicies(one, WORKLOAD, OPTIONS));
    if (set === undefined) throw new Error('two sets are made');
    const inputs = [...everyRequest(attributes)].filter(({ request }) => request !== null);
    for (let turn = 0; turn < 10; turn++) {
      const input = inputs[Math.floor(random() * inputs.length)];
      const decision = input === undefined ? null : interpret(set, input, JUDGED);
      if (input === undefined || decision?.effect !== 'deny') continue;
      const { matched, nearest } = explain(set, input, 'deny');
      if (decision.code === 'denied_by_rule') {
        // Without that rule it decides no more.
        const without = interpret(
          changed(set, decision.policy ?? '', decision.rule ?? '', () => null),
          input,
          JUDGED,
        );
        expect(matched).toMatchObject({ policy: decision.policy, rule: decision.rule });
        expect([without.policy, without.rule]).not.toEqual([decision.policy, decision.rule]);
        counts.decided++;
      } else if (decision.code === 'denied_no_match' && nearest !== null) {
        const flipped = changed(set, nearest.policy, nearest.rule, (rule) => withoutMisses(rule, nearest));
        expect({ nearest, effect: interpret(flipped, input, JUDGED).effect }).toEqual({ nearest, effect: 'allow' });
        counts.missed++;
        if (nearest.misses.length === 1 && nearest.misses[0]?.fields.length === 1) counts.single++;
      } else continue;
      denials++;
    }
  }
  expect(Math.min(counts.decided, counts.single)).toBeGreaterThan(DENIALS / 20);
});

/** The set with one rule changed, or left out. */
function changed(set: WorkloadPolicies, title: string, name: string, change: (rule: Rule) => Rule | null): WorkloadPolicies {
  const inAll = (policies: readonly Policy[]): readonly Policy[] =>
    policies.map((policy) => {
      if (policyTitle(policy, set.namespace) !== title) return policy;
      return { ...policy, rules: policy.rules.flatMap((rule) => (rule.name === name ? (change(rule) ?? []) : [rule])) };
    });
  const levels = set.levels.map((level) => ({ ...level, ceilings: inAll(level.ceilings), musts: inAll(level.musts) }));
  return { ...set, policies: inAll(set.policies), levels };
}

function withoutMisses(rule: Rule, { misses }: NearestMiss): Rule {
  return misses.reduce(withoutMiss, rule);
}

function withoutMiss(rule: Rule, { fields, part }: Miss): Rule {
  const names = new Set(fields.map((field) => field.replace(/^not (.)/, (_, first: string) => `not${first.toUpperCase()}`)));
  const emptied = <T extends object>(one: T): T =>
    // The same fields, some of them empty.
    Object.fromEntries(Object.entries(one).map(([name, values]) => [name, names.has(name) ? [] : values])) as T;
  if (part === 'from') return { ...rule, from: rule.from.map(emptied) };
  if (part === 'to') return { ...rule, to: rule.to.map(emptied) };
  const when = rule.when.map((condition) => ({
    ...condition,
    values: fields.includes(condition.key) ? [] : condition.values,
    notValues: fields.includes(`not ${condition.key}`) ? [] : condition.notValues,
  }));
  return { ...rule, when };
}
