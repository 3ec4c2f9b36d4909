/**
 * Semantic differences against brute force: every request of a small universe judged by the interpreter. `POSTERN_MODELS` sets how
 * many pairs of models, `POSTERN_SEED` which.
 */
import { describe, expect, test } from 'vitest';

import { findDifference } from '#authz/analyse/difference.ts';
import { inputOf } from '#authz/analyse/realise.ts';
import { interpret } from '#authz/engine/interpreter.ts';
import { seededRandom } from '#authz/engine/samples.ts';
import { selectPolicies } from '#authz/policy/select.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';
import type { AuthzInput } from '#authz/engine/input.ts';

import { everyRequest, smallModels } from './small-models.ts';

const MODELS = Number(process.env['POSTERN_MODELS'] ?? 500);
const SEED = Number(process.env['POSTERN_SEED'] ?? Date.now() % 1_000_000_000);
const WORKLOAD = { namespace: 'shop', labels: { app: 'a' }, serviceAccount: null };
const OPTIONS = { rootNamespace: 'istio-system', trustDomain: 'cluster.local', trustDomainAliases: [] };

describe(`${MODELS} pairs of small models, seed ${SEED}`, () => {
  test('findDifference() says what brute force says', { timeout: 600_000 }, () => {
    const random = seededRandom(SEED);
    const counts = { equal: 0, different: 0, undecided: 0 };
    for (let index = 0; index < MODELS; index++) {
      const { attributes, sets } = smallModels(random);
      const [before, after] = sets.map((set) => selectPolicies(set, WORKLOAD, OPTIONS));
      if (before === undefined || after === undefined) throw new Error('two sets are made');
      const { reason, result, witnesses } = findDifference(before, after, { whenNoneSelects: 'deny' });
      const differing = [...everyRequest(attributes)].find((input) => effectOf(before, input) !== effectOf(after, input));
      const want = differing === undefined ? 'equal' : 'different';
      expect({ index, result, reason, differing: result === want ? null : differing }).toEqual({
        index,
        result: want,
        reason: null,
        differing: null,
      });
      for (const { request } of witnesses) {
        expect(effectOf(before, inputOf(request))).not.toBe(effectOf(after, inputOf(request)));
      }
      counts[result]++;
    }
    expect(counts.undecided).toBe(0);
    expect(Math.min(counts.equal, counts.different)).toBeGreaterThan(MODELS / 10);
  });
});

function effectOf(set: WorkloadPolicies, input: AuthzInput): 'allow' | 'deny' {
  return interpret(set, input, { revision: '', whenNoneSelects: 'deny' }).effect;
}
