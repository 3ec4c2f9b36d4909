/** What a comparison costs at the sizes that meshes have: CPU time, not wall time. Medians, printed. */
import { expect, test } from 'vitest';

import { findDifference } from '#authz/analyse/difference.ts';
import type { Difference } from '#authz/analyse/difference.ts';
import { seededRandom } from '#authz/engine/samples.ts';
import { policiesOf } from '#authz/plan/compile.ts';
import type { Policy } from '#authz/policy/model.ts';

import { COMPILE_OPTIONS, WORKLOAD, realisticPolicies } from '../policy/realistic.ts';

const OPTIONS = { whenNoneSelects: 'deny', limit: 1 } as const;

test('findDifference() tells an edit of one rule in 1,000 within 100 ms of CPU', { timeout: 120_000 }, () => {
  const policies = realisticPolicies(1_000, seededRandom(1));
  const others = realisticPolicies(1_000, seededRandom(2));
  const costs: number[] = [];
  const results: string[] = [];
  for (let turn = 0; turn < 60; turn++) {
    const edited = withRuleOf(policies, others, turn);
    const { costMs, difference } = compare(policies, edited);
    costs.push(costMs);
    results.push(difference.result);
  }
  const median = costs.toSorted((left, right) => left - right)[costs.length >> 1] ?? Infinity;
  process.stdout.write(`single edits in 1,000 rules: median ${median.toFixed(1)} ms, most ${Math.max(...costs).toFixed(1)} ms\n`);
  expect(results).not.toContain('undecided');
  expect(median).toBeLessThan(100);
  // The first one runs while nothing is compiled yet, and a shared machine has its moments: room for both.
  expect(Math.max(...costs)).toBeLessThan(400);
});

test('findDifference() proves that rules in another order and grouping decide the same', { timeout: 120_000 }, () => {
  const policies = realisticPolicies(1_000, seededRandom(1));
  const { costMs, difference } = compare(policies, regrouped(policies));
  process.stdout.write(`1,000 rules regrouped: ${costMs.toFixed(1)} ms, ${difference.steps} steps\n`);
  expect(difference).toMatchObject({ result: 'equal', reason: null });
});

test('findDifference() ends within its budget on 10,000 rules against others', { timeout: 240_000 }, () => {
  const policies = realisticPolicies(10_000, seededRandom(1));
  const { costMs, difference } = compare(policies, split(policies));
  process.stdout.write(
    `10,000 rules refactored: ${difference.result} (${difference.reason ?? 'proved'}), ${costMs.toFixed(0)} ms\n`,
  );
  expect(difference.result).not.toBe('different');
  if (difference.result === 'undecided') expect(difference.reason).toContain(`budget of ${difference.budget} steps`);
  expect(costMs).toBeLessThan(60_000);
});

function compare(before: readonly Policy[], after: readonly Policy[]): { costMs: number; difference: Difference } {
  const [one, other] = [before, after].map((policies) => policiesOf(policies, WORKLOAD, COMPILE_OPTIONS));
  if (one === undefined || other === undefined) throw new Error('two sets are made');
  const start = process.cpuUsage();
  const difference = findDifference(one, other, OPTIONS);
  const { system, user } = process.cpuUsage(start);
  return { costMs: (system + user) / 1_000, difference };
}

/** One rule replaced by one of another set. */
function withRuleOf(policies: readonly Policy[], others: readonly Policy[], turn: number): readonly Policy[] {
  const at = (turn * 7) % policies.length;
  const policy = policies[at];
  const rule = others[at]?.rules[turn % 3];
  if (policy === undefined || rule === undefined) throw new Error('there are as many policies');
  return policies.with(at, { ...policy, rules: policy.rules.with(turn % policy.rules.length, rule) });
}

/** Every rule in a policy of its own, in another order. */
function regrouped(policies: readonly Policy[]): readonly Policy[] {
  return policies
    .flatMap((policy) => policy.rules.map((rule, index) => ({ ...policy, name: `${policy.name}-${index}`, rules: [rule] })))
    .toReversed();
}

/** Lists of values split into single rules, in every rule. */
function split(policies: readonly Policy[]): readonly Policy[] {
  return policies.map((policy) => ({
    ...policy,
    rules: policy.rules.flatMap((rule) => {
      const [operation] = rule.to;
      if (rule.to.length !== 1 || operation === undefined || operation.methods.length < 2) return [rule];
      return operation.methods.map((method, index) => ({
        ...rule,
        name: `${rule.name}-${index}`,
        to: [{ ...operation, methods: [method] }],
      }));
    }),
  }));
}
