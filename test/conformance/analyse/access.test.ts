/** Who can and what can, against brute force over the universe of small-models.ts. */
import { expect, test } from 'vitest';

import { findAccess } from '#authz/analyse/access.ts';
import { interpret } from '#authz/engine/interpreter.ts';
import { seededRandom } from '#authz/engine/samples.ts';
import { selectPolicies } from '#authz/policy/select.ts';

import { everyRequest, smallModels } from './small-models.ts';

const SEED = Number(process.env['POSTERN_SEED'] ?? Date.now() % 1_000_000_000);
const WORKLOAD = { namespace: 'shop', labels: { app: 'a' }, serviceAccount: null };
const OPTIONS = { rootNamespace: 'istio-system', trustDomain: 'cluster.local', trustDomainAliases: [] };

test(`findAccess() finds access exactly where a request is allowed, seed ${SEED}`, { timeout: 120_000 }, () => {
  const random = seededRandom(SEED);
  let [can, cannot] = [0, 0];
  for (let index = 0; index < 60; index++) {
    const { attributes, sets } = smallModels(random);
    // A second token can only take away what one has.
    if (attributes.includes('tokens')) continue;
    const [set] = sets.map((one) => selectPolicies(one, WORKLOAD, OPTIONS));
    if (set === undefined) throw new Error('two sets are made');
    const isAllowed = (input: Parameters<typeof interpret>[1]): boolean =>
      interpret(set, input, { revision: '', whenNoneSelects: 'deny' }).effect === 'allow';
    const inputs = [...everyRequest(attributes)].filter(({ request }) => request !== null);
    for (const principal of new Set(inputs.map(({ connection }) => connection.principal))) {
      const fixed = { principal: principal === null ? null : principal.slice('spiffe://'.length) };
      const want = inputs.some((input) => input.connection.principal === principal && isAllowed(input));
      const { accesses, isComplete } = findAccess(set, fixed, { whenNoneSelects: 'deny' });
      expect({ index, principal, isComplete, can: accesses.length > 0 }).toEqual({
        index,
        principal,
        isComplete: true,
        can: want,
      });
      if (want) can++;
      else cannot++;
    }
  }
  expect(Math.min(can, cannot)).toBeGreaterThan(10);
});
