import { expect, test } from 'vitest';

import { readPolicies } from '../policy/read.ts';
import { selectPolicies } from '../policy/select.ts';
import { compileSelected } from './compile.ts';

test('parameters that operations have in common are compiled once, and those of a query do not multiply', () => {
  const operations = Array.from({ length: 100 }, (_, index) => ({
    id: `op${index}`,
    method: ['GET', 'POST', 'PUT'][index % 3],
    path: `/v1/things${index >> 1}/{*}`,
    parameters: [
      { in: 'path', wildcard: 1, name: 'id', type: index % 4 === 0 ? 'uuid' : 'integer' },
      { in: 'query', name: 'limit', type: 'integer' },
      { in: 'query', name: 'sort', enum: ['asc', 'desc'] },
      { in: 'query', name: `f${index % 7}`, pattern: '^[a-z]{1,20}$', maxLength: 20 },
      { in: 'query', name: 'q', required: true, minLength: 1, maxLength: 100 },
    ],
  }));
  const spec = { selector: { matchLabels: { app: 'orders' } }, validate: ['path', 'query'], operations };
  const head = { apiVersion: 'security.postern.mesh/v1alpha1', kind: 'APIDefinition' };
  const { faults, set } = readPolicies(JSON.stringify({ ...head, metadata: { name: 'a', namespace: 'shop' }, spec }), 'a');
  expect(faults).toEqual([]);
  const options = { rootNamespace: 'istio-system', trustDomain: 'cluster.local', trustDomainAliases: [] };
  const start = process.cpuUsage();
  const { wasm } = compileSelected(
    selectPolicies(set, { namespace: 'shop', labels: { app: 'orders' }, serviceAccount: null }, options),
    1,
  );
  const { system, user } = process.cpuUsage(start);
  expect(wasm.length).toBeLessThan(1_000_000);
  // Milliseconds, with room for a shared machine: joined, they would take seconds.
  expect((system + user) / 1_000).toBeLessThan(2_000);
});
