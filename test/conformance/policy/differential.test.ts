/**
 * The module against the interpreter on random policies and requests: they share the documents' model and nothing else.
 * `POSTERN_PAIRS` sets how many pairs are tried, `POSTERN_SEED` which.
 */
import { describe, expect, test } from 'vitest';

import { seededRandom } from '#authz/engine/samples.ts';

import { adversarialPolicies } from './adversarial.ts';
import { realisticPolicies } from './realistic.ts';
import { comparePairs } from './suite.ts';
import type { Tally } from './suite.ts';

const PAIRS = Number(process.env['POSTERN_PAIRS'] ?? 20_000);
const SEED = Number(process.env['POSTERN_SEED'] ?? Date.now() % 1_000_000_000);

describe(`module = interpreter, seed ${SEED}`, () => {
  test('on policies as a mesh has them', { timeout: 600_000 }, () => {
    const random = seededRandom(SEED);
    expectAgreement(comparePairs(PAIRS / 2, 10, () => realisticPolicies(1 + Math.floor(random() * 60), random), SEED));
  });

  test('on policies made to find faults', { timeout: 600_000 }, () => {
    const random = seededRandom(SEED + 1);
    expectAgreement(comparePairs(PAIRS / 2, 25, () => adversarialPolicies(random), SEED + 1));
  });
});

/** Equal decisions say little unless both kinds come up. */
function expectAgreement({ allowed, differences, pairs }: Tally): void {
  expect(differences).toEqual([]);
  expect(allowed / pairs).toBeGreaterThan(0.3);
  expect(allowed / pairs).toBeLessThan(0.7);
}
