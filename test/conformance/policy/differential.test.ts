/**
 * The module against the interpreter on random policies and requests: they share the documents' model and nothing else.
 * `POSTERN_PAIRS` sets how many pairs are tried, `POSTERN_SEED` which.
 */
import { describe, expect, test } from 'vitest';

import { seededRandom } from '#authz/engine/samples.ts';
import type { Random } from '#authz/engine/samples.ts';
import type { Policy } from '#authz/policy/model.ts';

import { adversarialPolicies } from './adversarial.ts';
import { realisticPolicies } from './realistic.ts';
import { comparePairs } from './suite.ts';

const PAIRS = Number(process.env['POSTERN_PAIRS'] ?? 20_000);
const SEED = Number(process.env['POSTERN_SEED'] ?? Date.now() % 1_000_000_000);

describe(`module = interpreter, seed ${SEED}`, () => {
  test.each([
    { name: 'on policies as a mesh has them', perSet: 10, seed: SEED, make: realistic },
    { name: 'on policies made to find faults', perSet: 25, seed: SEED + 1, make: adversarialPolicies },
  ])('$name', { timeout: 600_000 }, ({ make, perSet, seed }) => {
    const random = seededRandom(seed);
    const { allowed, differences, pairs } = comparePairs(PAIRS / 2, perSet, () => make(random), seed);
    expect(differences).toEqual([]);
    // Equal decisions say little unless both kinds come up.
    expect(allowed / pairs).toBeGreaterThan(0.3);
    expect(allowed / pairs).toBeLessThan(0.7);
  });
});

function realistic(random: Random): readonly Policy[] {
  return realisticPolicies(1 + Math.floor(random() * 60), random);
}
