import { describe, expect, test } from 'vitest';

import { loadEngine } from '../engine/load.ts';
import { decideOnce } from '../engine/self-test.ts';
import type { AuthzInput } from '../engine/input.ts';
import { readPolicies } from '../policy/read.ts';
import type { WorkloadPolicies } from '../policy/workload-policies.ts';
import { compileSelected, policiesOf } from './compile.ts';

/** `count` rules that all begin with a glob on the caller, which nothing can be filed under apart from the others. */
function nestedSet(count: number): WorkloadPolicies {
  const rules = Array.from({ length: count }, (_, index) => {
    const path = `/${'a/'.repeat(index % 40)}*`;
    return `{ from: [{ source: { principals: ["*x${index % 7}"] } }], to: [{ operation: { methods: [GET], paths: ["${path}"] } }] }`;
  });
  const text = `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p }\nspec: { rules: [${rules.join(', ')}] }`;
  return policiesOf(
    readPolicies(text, 'f').policies,
    { namespace: 'shop', labels: {}, serviceAccount: null },
    { rootNamespace: 'istio-system', trustDomain: 'cluster.local', trustDomainAliases: [] },
  );
}

function request(principal: string, path: string): AuthzInput {
  const ip = '10.0.0.1';
  return {
    connection: {
      principal,
      sourceIp: ip,
      remoteIp: ip,
      destinationIp: ip,
      destinationPort: 80,
      sni: null,
      tls: true,
      protocol: 'http',
    },
    request: { method: 'GET', authority: 'h', path, fields: { values: () => [] }, tokens: [] },
  };
}

describe('compileSelected()', () => {
  test('takes trees where lists are long, and says what a decision costs at worst', () => {
    const set = nestedSet(2000);
    const index = compileSelected(set, 1, 'index').bounds;
    const chosen = compileSelected(set, 1).bounds;
    expect(index).toMatchObject({ strategy: 'index' });
    expect(index.longestScan).toBeGreaterThan(250);
    expect(chosen).toMatchObject({ strategy: 'forest' });
    expect(chosen.longestScan).toBeLessThan(10);
    expect(chosen.steps).toBeLessThan(index.steps / 10);
  });

  test('stays with the index where lists are short', () => {
    expect(compileSelected(nestedSet(20), 1).bounds).toMatchObject({ strategy: 'index' });
  });

  test.each(['index', 'forest', 'auto'] as const)('names the first rule that matches by strategy %s', (strategy) => {
    const engine = loadEngine(compileSelected(nestedSet(400), 1, strategy), { whenNoneSelects: 'deny' });
    expect(decideOnce(engine, request('spiffe://cluster.local/x3', '/a/a/b'))).toMatchObject({ effect: 'allow', rule: '80' });
    expect(decideOnce(engine, request('spiffe://cluster.local/x3', 'b'))).toMatchObject({ effect: 'deny', rule: null });
    expect(decideOnce(engine, request('spiffe://cluster.local/x8', '/a/'))).toMatchObject({ effect: 'deny' });
  });
});
