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
      expect(policies.length + faults.length).toBeGreaterThanOrEqual(documents.length === 0 ? 0 : 1);
    }),
    { numRuns: 1000 },
  );
});
