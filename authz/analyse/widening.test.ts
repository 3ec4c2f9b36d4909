import { describe, expect, test } from 'vitest';

import { firstMatch, ruleMatches } from '../engine/interpreter.ts';
import { readPolicies } from '../policy/read.ts';
import { selectPolicies } from '../policy/select.ts';
import type { WorkloadPolicies } from '../policy/workload-policies.ts';
import { findWidenings } from './widening.ts';

const TREE = {
  apiVersion: 'security.postern.mesh/v1alpha1',
  kind: 'NamespaceTree',
  metadata: { name: 'tree' },
  spec: { namespaces: [{ path: '/acme/prod/shop', kubeNamespaces: ['shop'] }] },
};

/** @param must  rules of a must that stands above the ceiling, if any */
function select(
  ceiling: string,
  child: string,
  { kind = 'AccessPolicy', must = '[]' }: { kind?: 'AccessPolicy' | 'AuthorizationPolicy'; must?: string } = {},
): WorkloadPolicies {
  const apiVersion = kind === 'AccessPolicy' ? 'security.postern.mesh/v1alpha1' : 'security.istio.io/v1';
  const text = `${JSON.stringify(TREE)}
---
apiVersion: security.postern.mesh/v1alpha1
kind: ClusterAccessPolicy
metadata: { name: top }
spec: { scope: { path: /acme/prod }, inheritance: ceiling, action: ALLOW, rules: ${ceiling} }
---
apiVersion: security.postern.mesh/v1alpha1
kind: ClusterAccessPolicy
metadata: { name: first }
spec: { scope: { path: /acme }, inheritance: must, action: ALLOW, rules: ${must} }
---
apiVersion: ${apiVersion}
kind: ${kind}
metadata: { name: own, namespace: shop }
spec: { rules: ${child} }`;
  const { faults, set } = readPolicies(text, 'f.yaml');
  expect(faults).toEqual([]);
  const options = { rootNamespace: 'istio-system', trustDomain: 'td', trustDomainAliases: [] };
  return selectPolicies(set, { namespace: 'shop', labels: {}, serviceAccount: null }, options);
}

describe('findWidenings()', () => {
  test.each([
    ['another method', '[{ name: gets, to: [{ methods: [GET] }] }]', '[{ to: [{ methods: [GET, PUT] }] }]'],
    ['any method', '[{ to: [{ methods: [GET, PUT] }] }]', '[{}]'],
    ['a wider path', '[{ to: [{ paths: ["/api/v1/*"] }] }]', '[{ to: [{ paths: ["/api/*"] }] }]'],
    ['a wider template', '[{ to: [{ paths: ["/users/{*}"] }] }]', '[{ to: [{ paths: ["/users/{**}"] }] }]'],
    ['another path of two', '[{ to: [{ paths: [/a] }] }]', '[{ to: [{ paths: [/a, /b] }] }]'],
    ['no exception', '[{ to: [{ notPaths: ["/admin/*"] }] }]', '[{ to: [{ paths: ["/*"] }] }]'],
    ['callers at large', '[{ from: [{ namespaces: [shop] }] }]', '[{ to: [{ methods: [GET] }] }]'],
    ['another namespace', '[{ from: [{ namespaces: [shop] }] }]', '[{ from: [{ namespaces: [shop, web] }] }]'],
    [
      'another account',
      '[{ from: [{ serviceAccounts: [shop/web] }] }]',
      '[{ from: [{ principals: ["spiffe://td/ns/shop/sa/*"] }] }]',
    ],
    ['callers without a tag', '[{ from: [{ tags: [env=prod] }] }]', '[{ from: [{ namespaces: [shop] }] }]'],
    ['another tag', '[{ from: [{ tags: [env=prod] }] }]', '[{ from: [{ tags: ["env=*"] }] }]'],
    ['a wider block', '[{ from: [{ ipBlocks: [10.1.0.0/16] }] }]', '[{ from: [{ ipBlocks: [10.0.0.0/8] }] }]'],
    ['another port', '[{ to: [{ ports: [8080] }] }]', '[{ to: [{ ports: [8080-8081] }] }]'],
    ['another host', '[{ to: [{ hosts: ["*.shop"] }] }]', '[{ to: [{ hosts: ["orders*"] }] }]'],
    ['no token', '[{ when: [{ key: "request.auth.claims[role]", values: [admin] }] }]', '[{ to: [{ methods: [GET] }] }]'],
    [
      'another claim',
      '[{ when: [{ key: "request.auth.claims[role]", values: [admin] }] }]',
      '[{ when: [{ key: "request.auth.claims[role]", values: ["a*"] }] }]',
    ],
    [
      'one value where all are asked for, by a regular expression',
      '[{ to: [{ paths: ["regex:/o/[0-9]+"] }] }]',
      '[{ to: [{ paths: ["regex:/o/[0-9a-f]+"] }] }]',
    ],
    [
      'a combination of two rules',
      '[{ to: [{ methods: [GET], paths: [/a] }] }, { to: [{ methods: [PUT], paths: [/b] }] }]',
      '[{ to: [{ methods: [GET, PUT], paths: [/a, /b] }] }]',
    ],
    ['anything at all', '[]', '[{ to: [{ methods: [GET] }] }]'],
  ])('finds a child that allows %s', (_what, ceiling, child) => {
    const set = select(ceiling, child);
    const [widening] = findWidenings(set);
    expect(widening).toMatchObject({ policy: 'shop/own', ceiling: '/acme/prod/top' });
    expect(widening?.text).toContain('/acme/prod/top');
    const [policy] = set.policies;
    const [rule] = policy?.rules ?? [];
    const [top] = set.levels.flatMap(({ ceilings }) => ceilings);
    if (widening === undefined || policy === undefined || rule === undefined || top === undefined) throw new Error('not found');
    expect(ruleMatches(set, policy, rule, widening.witness)).toBe(true);
    expect(firstMatch(set, top, widening.witness)).toBeNull();
  });

  test.each([
    ['the same', '[{ to: [{ methods: [GET] }] }]', '[{ to: [{ methods: [GET] }] }]'],
    ['less', '[{ to: [{ methods: [GET, PUT], paths: ["/a/*"] }] }]', '[{ to: [{ methods: [GET], paths: ["/a/b"] }] }]'],
    ['nothing', '[{ to: [{ methods: [GET] }] }]', '[]'],
    [
      'what two rules allow together',
      '[{ to: [{ methods: [GET] }] }, { to: [{ methods: [PUT] }] }]',
      '[{ to: [{ methods: [GET, PUT] }] }]',
    ],
    ['a narrower template', '[{ to: [{ paths: ["/users/{**}"] }] }]', '[{ to: [{ paths: ["/users/{*}/orders"] }] }]'],
    ['more in general, less by its own conditions', '[{ to: [{ notPaths: [/admin] }] }]', '[{ to: [{ paths: [/a, /b] }] }]'],
    ['a narrower block', '[{ from: [{ ipBlocks: [10.0.0.0/8] }] }]', '[{ from: [{ ipBlocks: [10.1.2.0/24] }] }]'],
    ['an account of an allowed namespace', '[{ from: [{ namespaces: [shop] }] }]', '[{ from: [{ serviceAccounts: [web] }] }]'],
  ])('is content with a child that allows %s', (_what, ceiling, child) => {
    expect(findWidenings(select(ceiling, child))).toEqual([]);
  });

  test('looks past what is decided above the ceiling', () => {
    const ceiling = '[{ to: [{ methods: [GET] }] }]';
    const child = '[{ from: [{ notTags: [env=dev] }] }]';
    const must = '[{ from: [{ notTags: [env=prod] }] }]';
    expect(findWidenings(select(ceiling, child, { must }))).toMatchObject([{ witness: { connection: { tags: ['env=prod'] } } }]);
    expect(findWidenings(select(ceiling, child, { must: '[{}]' }))).toEqual([]);
  });

  test('judges documents of Istio by their own logic', () => {
    const ceiling = '[{ when: [{ key: "request.headers[x-a]", notValues: ["1"] }] }]';
    const child = '[{ when: [{ key: "request.headers[x-a]", notValues: ["1"] }] }]';
    expect(findWidenings(select(ceiling, child))).toEqual([]);
    expect(findWidenings(select(ceiling, child, { kind: 'AuthorizationPolicy' }))).toMatchObject([{ ceiling: '/acme/prod/top' }]);
  });
});
