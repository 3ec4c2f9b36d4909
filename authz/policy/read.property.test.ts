import fc from 'fast-check';
import { expect, test } from 'vitest';

import { readPolicies } from './read.ts';

/** Text that is nearly a policy: real keys and values in wrong places. */
const word = fc.constantFrom(
  'apiVersion',
  'kind',
  'metadata',
  'name',
  'spec',
  'rules',
  'from',
  'source',
  'principals',
  'to',
  'operation',
  'paths',
  'when',
  'key',
  'values',
  'action',
  'AuthorizationPolicy',
  'security.istio.io/v1',
  'DENY',
  'scope',
  'inheritance',
  'must',
  'expires',
  'schedule',
  'days',
  'tags',
  'operations',
  'selector',
  'matchLabels',
  'podSelector',
  'ingress',
  'ports',
  'subject',
  'pods',
  'jwtRules',
  'issuer',
  'mtls',
  'namespaces',
  'path',
  'all',
  'not',
  'present',
  'regex:(a',
  'true',
  '/a/{*}',
  '"*"',
  '&a',
  '*a',
  '__proto__',
  '1',
  '~',
  'é',
);
const nearly = fc.letrec<{ node: string }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 6 },
    word,
    fc.array(tie('node'), { maxLength: 4 }).map((items) => `[${items.join(', ')}]`),
    fc
      .array(fc.tuple(word, tie('node')), { maxLength: 4 })
      .map((pairs) => `{${pairs.map(([key, value]) => `${key}: ${value}`).join(', ')}}`),
  ),
})).node;

test.each([
  { what: 'any text', texts: fc.string({ unit: 'binary' }) },
  { what: 'text that is nearly a policy', texts: nearly },
  {
    what: 'a policy with a spec of nearly anything',
    texts: nearly.map(
      (spec) => `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\nspec: ${spec}`,
    ),
  },
  ...[
    'security.istio.io/v1 RequestAuthentication',
    'security.istio.io/v1 PeerAuthentication',
    'security.postern.mesh/v1alpha1 AccessPolicy',
    'security.postern.mesh/v1alpha1 ClusterAccessPolicy',
    'security.postern.mesh/v1alpha1 NamespaceTree',
    'security.postern.mesh/v1alpha1 APIDefinition',
    'security.postern.mesh/v1alpha1 Inventory',
    'networking.k8s.io/v1 NetworkPolicy',
    'policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy',
    'policy.networking.k8s.io/v1alpha1 AdminNetworkPolicy',
  ].map((type) => ({
    what: `${type} with a spec of nearly anything`,
    texts: nearly.map((spec) => {
      const [apiVersion = '', kind = ''] = type.split(' ');
      return `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: a}\nspec: ${spec}`;
    }),
  })),
])('readPolicies() takes $what: a policy or a fault with its place, never an exception', ({ texts }) => {
  fc.assert(
    fc.property(texts, (text) => {
      const { documents, faults, policies } = readPolicies(text, 'f.yaml');
      for (const { line, column, code, message } of faults) {
        expect(code).toMatch(/^PN0\d{3}$/);
        expect(message).not.toBe('');
        expect(line).toBeLessThanOrEqual(text.split('\n').length + 1);
        expect(column).toBeGreaterThanOrEqual(0);
      }
      const isRead = documents.every(({ content, faults: wrong }) => content !== null || wrong.length > 0);
      expect(isRead).toBe(true);
      expect(policies.length).toBeLessThanOrEqual(documents.length);
    }),
    { numRuns: 500 },
  );
});
