import { expect, test } from 'vitest';

import type { StrictRule } from '../policy/model.ts';
import { readPolicies } from '../policy/read.ts';
import { isPlainlyWithin } from './containment.ts';
import { looseStrictRule } from './istio-as-strict.ts';

const rule = (text: string): StrictRule => {
  const document = `apiVersion: security.postern.mesh/v1alpha1\nkind: AccessPolicy\nmetadata: { name: a, namespace: shop }\nspec: { rules: [${text}] }`;
  const { faults, policies } = readPolicies(document, 'f');
  const strict = policies[0]?.rules[0]?.strict;
  if (strict === undefined) throw new Error(JSON.stringify(faults));
  return strict;
};

test.each([
  ['the same', '{ to: [{ methods: [GET] }] }', '{ to: [{ methods: [GET] }] }', true],
  ['everything', '{ to: [{ methods: [GET] }] }', '{}', true],
  ['more from nothing', '{}', '{ to: [{ methods: [GET] }] }', false],
  ['fewer values', '{ to: [{ methods: [GET] }] }', '{ to: [{ methods: [GET, PUT] }] }', true],
  ['more values', '{ to: [{ methods: [GET, PUT] }] }', '{ to: [{ methods: [GET] }] }', false],
  ['a longer prefix', '{ to: [{ paths: ["/a/b/*", /a/c, "/a/{*}"] }] }', '{ to: [{ paths: ["/a/*"] }] }', true],
  ['a template beside a prefix', '{ to: [{ paths: ["/{*}/a"] }] }', '{ to: [{ paths: ["/a/*"] }] }', false],
  ['a suffix', '{ to: [{ hosts: [a.shop, "*.b.shop"] }] }', '{ to: [{ hosts: ["*.shop"] }] }', true],
  ['a prefix beside a suffix', '{ to: [{ hosts: ["a.*"] }] }', '{ to: [{ hosts: ["*.shop"] }] }', false],
  ['ports', '{ to: [{ ports: [80, "90-95"] }] }', '{ to: [{ ports: ["80-100"] }] }', true],
  ['ports beyond', '{ to: [{ ports: ["90-101"] }] }', '{ to: [{ ports: ["80-100"] }] }', false],
  [
    'an account of a namespace',
    '{ from: [{ serviceAccounts: [web, other/x] }] }',
    '{ from: [{ namespaces: [shop, other] }] }',
    true,
  ],
  ['an account of another', '{ from: [{ serviceAccounts: [far/x] }] }', '{ from: [{ namespaces: [shop] }] }', false],
  ['all accounts of a namespace', '{ from: [{ serviceAccounts: ["shop/*"] }] }', '{ from: [{ namespaces: [shop] }] }', false],
  [
    'one of two alternatives',
    '{ to: [{ methods: [GET], paths: [/a] }] }',
    '{ to: [{ methods: [PUT] }, { paths: [/a, /b] }] }',
    true,
  ],
  [
    'two alternatives, one of them beyond',
    '{ to: [{ methods: [GET] }, { methods: [PUT] }] }',
    '{ to: [{ methods: [GET] }] }',
    false,
  ],
  ['what is excluded, and more', '{ to: [{ notPaths: [/a, /b] }] }', '{ to: [{ notPaths: [/a] }] }', true],
  ['less excluded', '{ to: [{ notPaths: [/a] }] }', '{ to: [{ notPaths: [/a, /b] }] }', false],
  [
    'a condition',
    '{ when: [{ key: source.ip, values: [10.0.0.1] }] }',
    '{ when: [{ key: source.ip, values: [10.0.0.1, 10.0.0.2] }] }',
    true,
  ],
  [
    'a condition for a source',
    '{ when: [{ key: source.namespace, values: [shop] }] }',
    '{ from: [{ namespaces: [shop] }] }',
    true,
  ],
  ['a smaller block', '{ from: [{ ipBlocks: [10.1.0.0/16, 10.2.3.4] }] }', '{ from: [{ ipBlocks: [10.0.0.0/8] }] }', true],
  ['a larger block', '{ from: [{ ipBlocks: [10.0.0.0/8] }] }', '{ from: [{ ipBlocks: [10.1.0.0/16] }] }', false],
  ['a block of the other version', '{ from: [{ ipBlocks: ["::/0"] }] }', '{ from: [{ ipBlocks: [0.0.0.0/0] }] }', false],
  ['no condition', '{ to: [{ methods: [GET] }] }', '{ when: [{ key: source.ip, values: [10.0.0.1] }] }', false],
  ['presence by a value', '{ from: [{ tags: [env=prod] }] }', '{ from: [{ tags: [env] }] }', true],
  ['presence by another tag', '{ from: [{ tags: [tier=a] }] }', '{ from: [{ tags: [env] }] }', false],
  ['presence by an exception', '{ from: [{ notTags: [env=dev] }] }', '{ from: [{ tags: [env] }] }', true],
  [
    'any value where all are wanted',
    '{ when: [{ key: "request.headers[a]", values: [x] }] }',
    '{ when: [{ key: "request.headers[a]", allValues: [x] }] }',
    false,
  ],
])('isPlainlyWithin() of %s', (_what, inner, outer, wanted) => {
  expect(isPlainlyWithin(rule(inner), rule(outer))).toBe(wanted);
});

test.each([
  [
    'methods and paths',
    '{ to: [{ operation: { methods: [GET], paths: ["/a/*"] } }] }',
    '{ to: [{ methods: [GET, PUT], paths: ["/*"] }] }',
    true,
  ],
  ['another method', '{ to: [{ operation: { methods: [POST] } }] }', '{ to: [{ methods: [GET] }] }', false],
  ['accounts', '{ from: [{ source: { serviceAccounts: [web] } }] }', '{ from: [{ namespaces: [shop] }] }', true],
  [
    'principals, which have no likeness',
    '{ from: [{ source: { principals: [td/ns/shop/sa/web] } }] }',
    '{ from: [{ namespaces: [shop] }] }',
    false,
  ],
  ['exceptions alone', '{ to: [{ operation: { notMethods: [GET] } }] }', '{ to: [{ notMethods: [GET] }] }', false],
  ['a condition', '{ when: [{ key: source.ip, values: [10.1.1.1] }] }', '{ from: [{ ipBlocks: [10.0.0.0/8] }] }', true],
])('looseStrictRule() of %s', (_what, inner, outer, wanted) => {
  const document = `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: a }\nspec: { rules: [${inner}] }`;
  const [istio] = readPolicies(document, 'f').policies[0]?.rules ?? [];
  if (istio === undefined) throw new Error('no rule');
  expect(isPlainlyWithin(looseStrictRule(istio, 'shop'), rule(outer))).toBe(wanted);
});
