/** Which operations somebody may call, against brute force over the universe of small-models.ts. */
import { expect, test } from 'vitest';

import { TrafficCount, operationAccess } from '#authz/analyse/coverage.ts';
import { interpret } from '#authz/engine/interpreter.ts';
import { seededRandom } from '#authz/engine/samples.ts';
import { selectPolicies } from '#authz/policy/select.ts';

import { everyRequest, smallModels } from '../analyse/small-models.ts';

const SEED = Number(process.env['POSTERN_SEED'] ?? Date.now() % 1_000_000_000);
const WORKLOAD = { namespace: 'shop', labels: { app: 'a' }, serviceAccount: null };
const OPTIONS = { rootNamespace: 'istio-system', trustDomain: 'cluster.local', trustDomainAliases: [] };
const OPERATIONS = [
  { id: 'one', method: 'GET', path: '/a/{*}', tags: [] },
  { id: 'all', method: 'GET', path: '/a', tags: [] },
  { id: 'any', method: 'POST', path: '/{*}', tags: [] },
  { id: 'b', method: 'POST', path: '/b', tags: [] },
] as const;

test(
  `operationAccess() finds access exactly where a request of the operation is allowed, seed ${SEED}`,
  { timeout: 120_000 },
  () => {
    const random = seededRandom(SEED);
    let [can, cannot] = [0, 0];
    for (let index = 0; index < 80; index++) {
      const { attributes, sets } = smallModels(random);
      if (attributes.includes('tokens') || !attributes.includes('path')) continue;
      const [set] = sets.map((one) => selectPolicies(one, WORKLOAD, OPTIONS));
      if (set === undefined) throw new Error('two sets are made');
      const inputs = [...everyRequest([...new Set([...attributes, 'method' as const])])];
      for (const operation of OPERATIONS) {
        const isOf = ({ method, path }: { method: string; path: string }): boolean => {
          const traffic = new TrafficCount(OPERATIONS);
          traffic.add({ method, path, isAllowed: true });
          return traffic.ofOperations.has(operation);
        };
        const want = inputs.some(
          (input) =>
            input.request !== null &&
            isOf(input.request) &&
            interpret(set, input, { revision: '', whenNoneSelects: 'deny' }).effect === 'allow',
        );
        const { accesses, isComplete } = operationAccess(set, operation, OPERATIONS, { whenNoneSelects: 'deny' });
        const { id } = operation;
        expect({ index, id, isComplete, can: accesses.length > 0 }).toEqual({ index, id, isComplete: true, can: want });
        if (want) can++;
        else cannot++;
      }
    }
    expect(Math.min(can, cannot)).toBeGreaterThan(10);
  },
);
