/**
 * Random namespace trees: whatever stands below, what is effective lies inside every ceiling above it, and what a must of a node
 * says nothing below undoes. `POSTERN_TREES` sets how many trees (10,000 in a recorded run), `POSTERN_SEED` which.
 */
import { describe, expect, test } from 'vitest';

import { findWidenings } from '#authz/analyse/widening.ts';
import type { AuthzInput, Decision } from '#authz/engine/input.ts';
import { firstMatch, interpret } from '#authz/engine/interpreter.ts';
import { seededRandom } from '#authz/engine/samples.ts';
import type { Policy } from '#authz/policy/model.ts';
import { selectPolicies } from '#authz/policy/select.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';

import { ENGINES } from './engines.ts';
import { randomRequest, randomTree } from './random-tree.ts';

const TREES = Number(process.env['POSTERN_TREES'] ?? 500);
const SEED = Number(process.env['POSTERN_SEED'] ?? Date.now() % 1_000_000_000);
const REQUESTS = 40;
const WORKLOAD = { namespace: 'shop', labels: {}, serviceAccount: null };
const OPTIONS = { rootNamespace: 'istio-system', trustDomain: 'td', trustDomainAliases: [] };

describe(`${TREES} random trees, seed ${SEED}`, () => {
  test('what is effective lies inside every ceiling above it, and no must is undone', { timeout: 600_000 }, () => {
    const random = seededRandom(SEED);
    let allowed = 0;
    let clipped = 0;
    for (let index = 0; index < TREES; index++) {
      const set = selectPolicies(randomTree(random).set, WORKLOAD, OPTIONS);
      const unbounded = { ...set, levels: set.levels.map((level) => ({ ...level, ceilings: [] })) };
      for (let count = 0; count < REQUESTS; count++) {
        const input = randomRequest(random);
        const { effect } = decide(set, input);
        if (effect === 'allow') allowed++;
        else if (decide(unbounded, input).effect === 'allow') clipped++;
        expect({ index, effect, breach: breachOf(set, input, effect) }).toEqual({ index, effect, breach: null });
      }
    }
    const total = TREES * REQUESTS;
    expect(allowed / total).toBeGreaterThan(0.15);
    expect(allowed / total).toBeLessThan(0.85);
    // A ceiling that never takes anything away would hold trivially.
    expect(clipped / total).toBeGreaterThan(0.01);
  });

  test(
    'a tree in which nothing is clipped is content at compile, one that is told to widen does widen',
    { timeout: 600_000 },
    () => {
      const random = seededRandom(SEED + 1);
      let widened = 0;
      let missed = 0;
      for (let index = 0; index < TREES / 10; index++) {
        const set = selectPolicies(randomTree(random).set, WORKLOAD, OPTIONS);
        const found = findWidenings(set);
        for (const { witness } of found) expect(breachOf(set, witness, 'allow')).not.toBeNull();
        if (found.length > 0) {
          widened++;
          continue;
        }
        const rules = rulesAlone(set);
        for (let count = 0; count < REQUESTS; count++) {
          const input = randomRequest(random);
          // Allowed by a rule below, and outside of a ceiling above it: that should have been found.
          if (decide(rules, input).code === 'allowed_by_rule' && decide(set, input).code === 'denied_outside_ceiling') missed++;
        }
      }
      expect(missed).toBe(0);
      expect(widened).toBeGreaterThan(0);
    },
  );

  test.each(ENGINES)('$name decides like the interpreter', { timeout: 600_000 }, ({ isTerse, load }) => {
    const random = seededRandom(SEED + 2);
    for (let index = 0; index < TREES / 10; index++) {
      const set = selectPolicies(randomTree(random).set, WORKLOAD, OPTIONS);
      const engine = load(set, { revision: '', whenNoneSelects: 'deny' });
      for (let count = 0; engine !== null && count < 10; count++) {
        const input = randomRequest(random);
        const answer = engine(input);
        if (answer === null) continue;
        const wanted = decide(set, input);
        const isTold = isTerse !== true || wanted.effect === 'deny';
        const told = ({ code, effect, policy, rule }: Decision): object => (isTold ? { code, effect, policy, rule } : { effect });
        expect({ index, input, answer: told(answer) }).toEqual({ index, input, answer: told(wanted) });
      }
    }
  });
});

function decide(set: WorkloadPolicies, input: AuthzInput) {
  return interpret(set, input, { revision: '', whenNoneSelects: 'deny' });
}

function rulesAlone(set: WorkloadPolicies): WorkloadPolicies {
  return { ...set, levels: set.levels.map((level) => ({ ...level, ceilings: [] })) };
}

/** The rule of the tree that an answer breaks, walking down as the tree's definition says; null when it breaks none. */
function breachOf(set: WorkloadPolicies, input: AuthzInput, effect: 'allow' | 'deny'): string | null {
  const isEnforced = ({ mode }: Policy): boolean => mode === 'enforce';
  for (const { ceilings, musts, path } of set.levels) {
    const outside = ceilings.filter(isEnforced).find((ceiling) => firstMatch(set, ceiling, input) === null);
    if (outside !== undefined) return effect === 'allow' ? `ceiling ${path}/${outside.name}` : null;
    const decisive = musts.filter(isEnforced).find((must) => firstMatch(set, must, input) !== null);
    if (decisive === undefined) continue;
    const wanted = decisive.action === 'ALLOW' ? 'allow' : 'deny';
    return effect === wanted ? null : `must ${path}/${decisive.name}`;
  }
  return null;
}
