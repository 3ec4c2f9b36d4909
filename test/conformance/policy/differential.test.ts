/**
 * The engines against the interpreter on random policies and requests: they share the documents' model and nothing else.
 * `POSTERN_PAIRS` sets how many pairs are tried, `POSTERN_SEED` which.
 */
import { describe, expect, test } from 'vitest';

import { seededRandom } from '#authz/engine/samples.ts';
import type { Random } from '#authz/engine/samples.ts';
import { policiesOf } from '#authz/plan/compile.ts';
import type { Policy } from '#authz/policy/model.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';

import { adversarialPolicies } from './adversarial.ts';
import { adversarialSet } from './adversarial-sets.ts';
import { ENGINES } from './engines.ts';
import { COMPILE_OPTIONS, WORKLOAD, realisticPolicies } from './realistic.ts';
import { comparePairs } from './suite.ts';

const PAIRS = Number(process.env['POSTERN_PAIRS'] ?? 50_000);
const SEED = Number(process.env['POSTERN_SEED'] ?? Date.now() % 1_000_000_000);

describe(`${ENGINES.map(({ name }) => name).join(' = ')}, seed ${SEED}`, () => {
  test.each([
    { name: 'on policies as a mesh has them', share: 0.3, perSet: 60, seed: SEED, make: realistic },
    { name: 'on policies made to find faults', share: 0.3, perSet: 60, seed: SEED + 1, make: adversarial },
    { name: 'on whole sets made to find faults', share: 0.4, perSet: 60, seed: SEED + 2, make: adversarialSet },
  ])('$name', { timeout: 7_200_000 }, ({ make, perSet, seed, share }) => {
    const random = seededRandom(seed);
    const { allowed, asked, differences, pairs } = comparePairs(PAIRS * share, perSet, () => make(random), seed);
    if (process.env['POSTERN_PAIRS'] !== undefined) console.log(`seed ${seed}: ${pairs} pairs, ${JSON.stringify(asked)}`);
    expect(differences).toEqual([]);
    // Equal decisions say little unless both kinds come up.
    expect(allowed / pairs).toBeGreaterThan(0.2);
    expect(allowed / pairs).toBeLessThan(0.8);
  });
});

function realistic(random: Random): WorkloadPolicies {
  return setOf(realisticPolicies(1 + Math.floor(random() * 60), random));
}

function adversarial(random: Random): WorkloadPolicies {
  return setOf(adversarialPolicies(random));
}

function setOf(policies: readonly Policy[]): WorkloadPolicies {
  return policiesOf(policies, WORKLOAD, { ...COMPILE_OPTIONS, trustDomainAliases: ['alias.test'] });
}
