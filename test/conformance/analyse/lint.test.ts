/** Planted defects are all told, and clean sets raise no alarm: cases as data in lint-defects.yaml and lint-clean.yaml. */
import { readFileSync } from 'node:fs';

import { expect, test } from 'vitest';
import { parse } from 'yaml';

import { lintPolicies } from '#authz/analyse/lint.ts';
import { readPolicies } from '#authz/policy/read.ts';

interface LintCase {
  readonly name: string;
  readonly want?: string;
  readonly also?: readonly string[];
  readonly inventory?: boolean;
  readonly documents?: readonly { readonly kind: string; readonly name: string; readonly spec: object }[];
  readonly policies: Readonly<Record<string, { readonly kind?: string; readonly namespace?: string }>>;
}

const OPTIONS = {
  rootNamespace: 'istio-system',
  trustDomain: 'cluster.local',
  trustDomainAliases: [],
  nowMs: Date.parse('2026-06-01T00:00:00Z'),
  tcpPorts: [],
};

const DEFECTS = casesOf('lint-defects.yaml');
const CLEAN = casesOf('lint-clean.yaml');

test('there are enough cases', () => {
  expect(DEFECTS.length).toBeGreaterThanOrEqual(60);
  expect(CLEAN.length).toBeGreaterThanOrEqual(20);
});

test.each(DEFECTS)('lintPolicies() tells $want: $name', (given) => {
  const found = findingsOf(given);
  expect(new Set(found)).toEqual(new Set([given.want, ...(given.also ?? [])]));
});

test.each(CLEAN)('lintPolicies() is silent: $name', (given) => {
  expect(findingsOf(given)).toEqual([]);
});

function findingsOf(given: LintCase): readonly string[] {
  const { faults, set } = readPolicies(
    documentsOf(given)
      .map((document) => JSON.stringify(document))
      .join('\n---\n'),
    'case',
  );
  expect(faults).toEqual([]);
  const found = lintPolicies(set, OPTIONS);
  return found.map(
    ({ code, policy, rule }) => `${code} ${policy.slice(policy.indexOf('/') + 1)}${rule === null ? '' : `#${rule}`}`,
  );
}

function documentsOf({ documents = [], inventory = false, policies }: LintCase): readonly object[] {
  const ours = 'security.postern.mesh/v1alpha1';
  const made = Object.entries(policies).map(([name, { kind = 'AuthorizationPolicy', namespace = 'shop', ...spec }]) => ({
    apiVersion: kind === 'AuthorizationPolicy' ? 'security.istio.io/v1' : ours,
    kind,
    metadata: { name, namespace },
    spec,
  }));
  const others = documents.map(({ kind, name, spec }) => ({
    apiVersion: 'security.istio.io/v1',
    kind,
    metadata: { name, namespace: 'shop' },
    spec,
  }));
  return [
    ...made,
    ...others,
    ...(inventory ? [{ apiVersion: ours, kind: 'Inventory', metadata: { name: 'all' }, spec: INVENTORY }] : []),
  ];
}

function casesOf(file: string): readonly LintCase[] {
  // The file is ours; what is not of that form fails the test that reads it.
  return (parse(readFileSync(new URL(file, import.meta.url), 'utf8')) as { cases: readonly LintCase[] }).cases;
}

const INVENTORY = {
  namespaces: [{ name: 'shop', labels: {} }],
  workloads: [
    {
      namespace: 'shop',
      name: 'orders',
      labels: { app: 'orders' },
      serviceAccount: 'orders',
      ports: [{ name: 'http', port: 8080 }],
    },
    { namespace: 'shop', name: 'web', labels: { app: 'web' }, serviceAccount: 'web', ports: [{ name: 'http', port: 8080 }] },
    {
      namespace: 'shop',
      name: 'store',
      labels: { app: 'store' },
      serviceAccount: 'store',
      ports: [{ name: 'tcp-store', port: 7000 }],
    },
  ],
};
