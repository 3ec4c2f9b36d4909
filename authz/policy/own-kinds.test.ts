import { describe, expect, test } from 'vitest';

import { readPolicies } from './read.ts';

const document = (kind: string, spec: string, metadata = '{ name: a }'): string =>
  `apiVersion: security.postern.mesh/v1alpha1\nkind: ${kind}\nmetadata: ${metadata}\nspec: ${spec}\n`;
const rule = (text: string): string => `{ rules: [${text}] }`;
const when = (text: string): string => rule(`{ when: [${text}] }`);

describe('readPolicies() refuses', () => {
  test.each([
    // AccessPolicy.
    ['an unknown field', 'AccessPolicy', '{ ruels: [] }', 'PN0201', 'spec.ruels', 'Did you mean rules'],
    [
      'an unknown field of a source',
      'AccessPolicy',
      rule('{ from: [{ namespace: [a] }] }'),
      'PN0201',
      'spec.rules[0].from[0].namespace',
      'Did you mean namespaces',
    ],
    [
      'an unknown field of an operation',
      'AccessPolicy',
      rule('{ to: [{ path: [/a] }] }'),
      'PN0201',
      'spec.rules[0].to[0].path',
      'Did you mean paths',
    ],
    [
      'the nesting of Istio',
      'AccessPolicy',
      rule('{ from: [{ source: { namespaces: [a] } }] }'),
      'PN0201',
      'spec.rules[0].from[0].source',
      null,
    ],
    ['an unknown mode', 'AccessPolicy', '{ mode: enforced }', 'PN0212', 'spec.mode', 'Did you mean enforce'],
    ['an unknown action', 'AccessPolicy', '{ action: CUSTOM }', 'PN0207', 'spec.action', null],
    ['DENY without rules', 'AccessPolicy', '{ action: DENY }', 'PN0210', 'spec.rules', 'To match everything write rules: [{}]'],
    [
      'a principal without its scheme',
      'AccessPolicy',
      rule('{ from: [{ principals: [td/ns/a/sa/b] }] }'),
      'PN0307',
      'spec.rules[0].from[0].principals[0]',
      'Write spiffe://td/ns/a/sa/b',
    ],
    [
      'a principal of another scheme',
      'AccessPolicy',
      rule('{ from: [{ principals: ["https://td/a"] }] }'),
      'PN0307',
      'spec.rules[0].from[0].principals[0]',
      'Write spiffe://td/a',
    ],
    [
      'alternatives that the scheme is not part of',
      'AccessPolicy',
      rule('{ from: [{ principals: ["regex:spiffe://a|b"] }] }'),
      'PN0307',
      'spec.rules[0].from[0].principals[0]',
      null,
    ],
    [
      'an inner wildcard',
      'AccessPolicy',
      rule('{ from: [{ namespaces: ["a*b"] }] }'),
      'PN0317',
      'spec.rules[0].from[0].namespaces[0]',
      'Write regex: for more',
    ],
    [
      'an account of three parts',
      'AccessPolicy',
      rule('{ from: [{ serviceAccounts: [a/b/c] }] }'),
      'PN0305',
      'spec.rules[0].from[0].serviceAccounts[0]',
      null,
    ],
    [
      'an account of no namespace',
      'ClusterAccessPolicy',
      '{ action: DENY, rules: [{ from: [{ serviceAccounts: [a] }] }] }',
      'PN0305',
      'spec.rules[0].from[0].serviceAccounts[0]',
      null,
    ],
    [
      'no block',
      'AccessPolicy',
      rule('{ from: [{ ipBlocks: [10.0.0.0/40] }] }'),
      'PN0302',
      'spec.rules[0].from[0].ipBlocks[0]',
      null,
    ],
    ['no port', 'AccessPolicy', rule('{ to: [{ ports: [70000] }] }'), 'PN0303', 'spec.rules[0].to[0].ports[0]', null],
    ['ports in reverse', 'AccessPolicy', rule('{ to: [{ ports: ["90-80"] }] }'), 'PN0303', 'spec.rules[0].to[0].ports[0]', null],
    [
      'a path without a slash',
      'AccessPolicy',
      rule('{ to: [{ paths: [a] }] }'),
      'PN0317',
      'spec.rules[0].to[0].paths[0]',
      'Write /a',
    ],
    [
      'a template that is none',
      'AccessPolicy',
      rule('{ to: [{ paths: ["/a/{id}"] }] }'),
      'PN0304',
      'spec.rules[0].to[0].paths[0]',
      null,
    ],
    [
      'a regular expression that RE2 does not take',
      'AccessPolicy',
      rule('{ to: [{ paths: ["regex:(?=a)"] }] }'),
      'PN0314',
      'spec.rules[0].to[0].paths[0]',
      'Write it in the syntax of RE2',
    ],
    [
      'a back reference',
      'AccessPolicy',
      rule('{ to: [{ paths: ["regex:(a)\\\\1"] }] }'),
      'PN0314',
      'spec.rules[0].to[0].paths[0]',
      null,
    ],
    [
      'a tag without a name',
      'AccessPolicy',
      rule('{ from: [{ tags: ["=prod"] }] }'),
      'PN0316',
      'spec.rules[0].from[0].tags',
      null,
    ],
    [
      'a request principal without a slash',
      'AccessPolicy',
      rule('{ from: [{ requestPrincipals: [ann] }] }'),
      'PN0317',
      'spec.rules[0].from[0].requestPrincipals[0]',
      null,
    ],
    [
      'operations of no API',
      'AccessPolicy',
      rule('{ to: [{ operations: [a] }] }'),
      'PN0204',
      'spec.rules[0].to[0].operations',
      null,
    ],
    ['an empty source', 'AccessPolicy', rule('{ from: [{}] }'), 'PN0203', 'spec.rules[0].from[0]', null],
    ['an empty list of sources', 'AccessPolicy', rule('{ from: [] }'), 'PN0203', 'spec.rules[0].from', null],
    ['two rules of one name', 'AccessPolicy', rule('{ name: a }, { name: a }'), 'PN0309', 'spec.rules[1].name', null],
    ['a name that is none', 'AccessPolicy', rule('{ name: A b }'), 'PN0309', 'spec.rules[0].name', null],
    [
      'targetRefs',
      'AccessPolicy',
      '{ targetRefs: [{ kind: Service, name: a }] }',
      'PN0213',
      'spec.targetRefs',
      'Write selector: { matchLabels: ... }',
    ],
    // Conditions.
    ['an unknown key', 'AccessPolicy', when('{ key: source.tag, values: [a] }'), 'PN0301', 'spec.rules[0].when[0].key', null],
    [
      'a nearly known key',
      'AccessPolicy',
      when('{ key: request.metod, values: [a] }'),
      'PN0301',
      'spec.rules[0].when[0].key',
      'Did you mean request.method',
    ],
    [
      'the path as a header',
      'AccessPolicy',
      when('{ key: "request.headers[:path]", values: [a] }'),
      'PN0308',
      'spec.rules[0].when[0].key',
      'Write request.path',
    ],
    [
      'a condition that says two things',
      'AccessPolicy',
      when('{ key: source.ip, values: [10.0.0.1], not: { key: source.ip } }'),
      'PN0319',
      'spec.rules[0].when[0]',
      null,
    ],
    ['a condition that says nothing', 'AccessPolicy', when('{}'), 'PN0319', 'spec.rules[0].when[0]', null],
    ['a key without values', 'AccessPolicy', when('{ key: source.ip }'), 'PN0204', 'spec.rules[0].when[0]', null],
    ['an empty any', 'AccessPolicy', when('{ any: [] }'), 'PN0203', 'spec.rules[0].when[0].any', null],
    [
      'a presence that is no flag',
      'AccessPolicy',
      when('{ key: "request.headers[a]", present: "yes" }'),
      'PN0202',
      'spec.rules[0].when[0].present',
      null,
    ],
    // Times.
    ['a time without an offset', 'AccessPolicy', '{ expires: "2026-01-01T00:00:00" }', 'PN0315', 'spec.expires', null],
    ['a day that is none', 'AccessPolicy', '{ expires: "2026-02-31" }', 'PN0315', 'spec.expires', null],
    [
      'an expiry before the beginning',
      'AccessPolicy',
      '{ notBefore: "2026-02-01T00:00:00Z", expires: "2026-01-01T00:00:00Z" }',
      'PN0315',
      'spec.expires',
      null,
    ],
    ['an unknown day', 'AccessPolicy', '{ schedule: [{ days: [Monday] }] }', 'PN0315', 'spec.schedule[0].days[0]', null],
    ['a time of day that is none', 'AccessPolicy', '{ schedule: [{ from: "25:00" }] }', 'PN0315', 'spec.schedule[0].from', null],
    ['another time zone', 'AccessPolicy', '{ timeZone: CET }', 'PN0315', 'spec.timeZone', null],
    ['an empty schedule', 'AccessPolicy', '{ schedule: [] }', 'PN0203', 'spec.schedule', null],
    // ClusterAccessPolicy.
    [
      'a ceiling that denies',
      'ClusterAccessPolicy',
      '{ inheritance: ceiling, action: DENY, rules: [{}] }',
      'PN0205',
      'spec.action',
      null,
    ],
    [
      'an ALLOW that does not say how it flows down',
      'ClusterAccessPolicy',
      '{ action: ALLOW, rules: [{}] }',
      'PN0204',
      'spec.inheritance',
      null,
    ],
    [
      'a tier that means something else',
      'ClusterAccessPolicy',
      '{ tier: Baseline, inheritance: must, action: DENY, rules: [{}] }',
      'PN0205',
      'spec.inheritance',
      null,
    ],
    [
      'a path that is none',
      'ClusterAccessPolicy',
      '{ scope: { path: acme }, action: DENY, rules: [{}] }',
      'PN0318',
      'spec.scope.path',
      null,
    ],
    [
      'a priority out of bounds',
      'ClusterAccessPolicy',
      '{ priority: 1001, action: DENY, rules: [{}] }',
      'PN0211',
      'spec.priority',
      null,
    ],
    // The others.
    [
      'a namespace that lies twice in the tree',
      'NamespaceTree',
      '{ namespaces: [{ path: /a, kubeNamespaces: [x] }, { path: /b, kubeNamespaces: [x] }] }',
      'PN0318',
      'spec.namespaces[1].kubeNamespaces[0]',
      null,
    ],
    ['a tree of nothing', 'NamespaceTree', '{}', 'PN0204', 'spec.namespaces', null],
    [
      'an API that names a service',
      'APIDefinition',
      '{ targetRefs: [{ kind: Service, name: a }], operations: [{ id: a, method: GET, path: /a }] }',
      'PN0213',
      'spec.targetRefs',
      'Write selector: { matchLabels: ... }',
    ],
    ['an API without a description', 'APIDefinition', '{ unknownOperations: Deny }', 'PN0204', 'spec', null],
    [
      'an API of two places',
      'APIDefinition',
      '{ openapi: { file: a, configMapRef: { name: b, key: c } } }',
      'PN0204',
      'spec.openapi',
      null,
    ],
    [
      'an operation twice',
      'APIDefinition',
      '{ operations: [{ id: a, method: GET, path: /a }, { id: a, method: PUT, path: /a }] }',
      'PN0309',
      'spec.operations[1].id',
      null,
    ],
    [
      'a method in lower case',
      'APIDefinition',
      '{ operations: [{ id: a, method: get, path: /a }] }',
      'PN0212',
      'spec.operations[0].method',
      null,
    ],
    ['a workload without a name', 'Inventory', '{ workloads: [{ namespace: a }] }', 'PN0204', 'spec.workloads[0].name', null],
    [
      'an address that is none',
      'Inventory',
      '{ workloads: [{ namespace: a, name: b, ips: [x] }] }',
      'PN0302',
      'spec.workloads[0].ips[0]',
      null,
    ],
    ['a kind of the group that nobody knows', 'AccesPolicy', '{}', 'PN0113', 'kind', 'Did you mean AccessPolicy'],
  ])('%s', (_what, kind, spec, code, path, fix) => {
    const { faults, policies } = readPolicies(document(kind, spec), 'f.yaml');
    expect(faults[0]).toMatchObject({ code, path, ...(fix === null ? {} : { fix }) });
    expect(policies).toEqual([]);
  });

  test('a ClusterAccessPolicy of a namespace', () => {
    const text = document('ClusterAccessPolicy', '{ action: DENY, rules: [{}] }', '{ name: a, namespace: b }');
    expect(readPolicies(text, 'f').faults).toMatchObject([{ code: 'PN0205', path: 'metadata.namespace' }]);
  });

  test('an AccessPolicy and an AuthorizationPolicy of one name: decisions could not tell them apart', () => {
    const istio = 'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: a }\n';
    const { faults } = readPolicies(`${document('AccessPolicy', '{}')}---\n${istio}`, 'f');
    expect(faults).toMatchObject([{ code: 'PN0114', line: 6 }]);
  });

  test('another version', () => {
    const text = document('AccessPolicy', '{}').replace('v1alpha1', 'v1');
    expect(readPolicies(text, 'f').faults).toMatchObject([{ code: 'PN0111', fix: 'Write security.postern.mesh/v1alpha1' }]);
  });
});

test.each([
  [
    'tier Admin for a must',
    '{ tier: Admin, priority: 10, action: DENY, rules: [{}] }',
    { inheritance: 'must', priority: 10, path: '/' },
  ],
  [
    'a DENY for a must',
    '{ scope: { path: /acme/prod }, action: DENY, rules: [{}] }',
    { inheritance: 'must', path: '/acme/prod' },
  ],
  ['tier Baseline for a default', '{ tier: Baseline, action: ALLOW }', { inheritance: 'default' }],
  ['a demand of mutual TLS alone', '{ scope: { path: /acme }, mtls: STRICT }', { inheritance: 'must' }],
])('a ClusterAccessPolicy takes %s', (_what, spec, scope) => {
  const { faults, policies } = readPolicies(document('ClusterAccessPolicy', spec), 'f');
  expect(faults).toEqual([]);
  expect(policies).toMatchObject([{ scope }]);
});
