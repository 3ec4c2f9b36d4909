import { describe, expect, test } from 'vitest';

import { compilePolicies } from '../plan/compile.ts';
import type { CompiledPolicy } from '../plan/compiled.ts';
import { readPolicies } from '../policy/read.ts';
import { allowAll, denyAll } from './decisions.ts';
import type { ConnectionAttributes, RequestAttributes } from './input.ts';
import { loadEngine } from './load.ts';
import { selfTest } from './self-test.ts';

const CONNECTION: ConnectionAttributes = {
  principal: 'spiffe://cluster.local/ns/shop/sa/web',
  sourceIp: '10.0.0.1',
  remoteIp: '10.0.0.1',
  destinationIp: '10.0.0.2',
  destinationPort: 8080,
  sni: null,
  tls: true,
  protocol: 'http',
};
const REQUEST: RequestAttributes = { method: 'GET', authority: 'orders', path: '/', fields: { values: () => [] }, tokens: [] };
const SPEC =
  '{ rules: [{ to: [{ operation: { methods: [GET], hosts: ["*"], paths: ["/a*"] } }], when: [{ key: "request.headers[x]", values: ["v"] }] }] }';

function compile(spec: string, namespace = 'shop', trustDomain = 'cluster.local'): CompiledPolicy {
  const text = `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p, namespace: ${namespace} }\nspec: ${spec}`;
  const { policies } = readPolicies(text, 'f');
  return compilePolicies(
    policies,
    { namespace: 'shop', labels: {}, serviceAccount: null },
    { rootNamespace: 'istio-system', trustDomain, trustDomainAliases: [] },
  );
}

describe('engines without policies', () => {
  test.each([
    { engine: denyAll('policy_missing'), want: { effect: 'deny', code: 'policy_missing' } },
    { engine: allowAll(), want: { effect: 'allow', code: 'allowed_all' } },
    {
      engine: loadEngine(compile('{}', 'other'), { whenNoneSelects: 'deny' }),
      want: { effect: 'deny', code: 'denied_no_policy' },
    },
    {
      engine: loadEngine(compile('{}', 'other'), { whenNoneSelects: 'allow' }),
      want: { effect: 'allow', code: 'allowed_no_policy' },
    },
  ])('answer $want.code', ({ engine, want }) => {
    const connection = engine.classify(CONNECTION);
    expect(engine.decide(connection, REQUEST)).toMatchObject({ ...want, policy: null, rule: null });
    expect(engine.decideConnection(connection)).toMatchObject(want);
  });
});

describe('a loaded engine', () => {
  const compiled = compile(SPEC);
  const engine = loadEngine(compiled, { whenNoneSelects: 'deny' });
  const connection = engine.classify(CONNECTION);
  const good: RequestAttributes = { ...REQUEST, path: '/a', fields: { values: () => ['v'] } };

  test('hands out the same frozen decision again', () => {
    const decision = engine.decide(connection, good);
    expect(decision).toEqual({
      effect: 'allow',
      code: 'allowed_by_rule',
      policy: 'shop/p',
      rule: '0',
      revision: compiled.revision,
    });
    expect(Object.isFrozen(decision)).toBe(true);
    expect(engine.decide(connection, good)).toBe(decision);
    expect(engine.decide(connection, REQUEST)).toMatchObject({ effect: 'deny', code: 'denied_no_match', rule: null });
  });

  test('says which headers it reads', () => {
    expect(engine.headerNames).toEqual(['x']);
  });

  test.each([
    {
      why: 'a field source throws',
      request: {
        ...good,
        fields: {
          values: () => {
            throw new Error('no');
          },
        },
      },
    },
    { why: 'a value is longer than its memory', request: { ...good, path: '/a'.repeat(40_000) } },
  ])('denies when $why', ({ request }) => {
    expect(engine.decide(connection, request)).toMatchObject({ effect: 'deny', code: 'engine_error' });
    expect(engine.decide(connection, good)).toMatchObject({ effect: 'allow' });
  });

  test.each([
    { why: "is another engine's", foreign: loadEngine(compiled, { whenNoneSelects: 'deny' }).classify(CONNECTION) },
    {
      why: 'has an identity that is too long',
      foreign: engine.classify({ ...CONNECTION, principal: `spiffe://a/${'x'.repeat(3000)}` }),
    },
    {
      why: 'has an identity of too many parts',
      foreign: engine.classify({ ...CONNECTION, principal: `spiffe://a${'/x'.repeat(40)}` }),
    },
  ])('denies a connection that $why', ({ foreign }) => {
    expect(engine.decide(foreign, good)).toMatchObject({ effect: 'deny', code: 'engine_error' });
    expect(engine.decideConnection(foreign)).toMatchObject({ effect: 'deny', code: 'engine_error' });
  });

  test('denies more different matching values than a cell holds, and recovers', () => {
    const values = Array.from({ length: 60 }, (_, index) => `v${index}`);
    const many = loadEngine(
      compile(`{ action: DENY, rules: [{ when: [{ key: "request.headers[x]", values: [${values.join(', ')}] }] }] }`),
      { whenNoneSelects: 'deny' },
    );
    const there = many.classify(CONNECTION);
    expect(many.decide(there, { ...REQUEST, fields: { values: () => values } })).toMatchObject({
      effect: 'deny',
      code: 'engine_error',
    });
    expect(many.decide(there, REQUEST)).toMatchObject({ effect: 'allow' });
  });

  test('remembers a bounded number of hosts and counts the rest', () => {
    for (let index = 0; index < 3000; index++) engine.decide(connection, { ...good, authority: `host-${index}` });
    const { full, misses } = engine.internCounts?.() ?? { full: 0, misses: 0 };
    expect(misses).toBeLessThanOrEqual(2048 + 64);
    expect(full).toBeGreaterThan(900);
    expect(engine.decide(connection, { ...good, authority: 'host-2999' })).toMatchObject({ effect: 'allow' });
  });

  test('refuses more tokens than it judges', () => {
    const claims = loadEngine(compile('{ action: DENY, rules: [{ from: [{ source: { requestPrincipals: ["a/b"] } }] }] }'), {
      whenNoneSelects: 'deny',
    });
    const token = { issuer: 'x', subject: 'y', audiences: [], presenter: null, claims: {} };
    const decide = (count: number) =>
      claims.decide(claims.classify(CONNECTION), { ...REQUEST, tokens: Array.from({ length: count }, () => token) });
    expect(decide(16)).toMatchObject({ effect: 'allow' });
    expect(decide(17)).toMatchObject({ effect: 'deny', code: 'engine_error' });
  });
});

describe('loadEngine()', () => {
  test.each([
    { why: 'bytes that are no module', wasm: Uint8Array.of(1, 2, 3) },
    { why: 'a module without the exports', wasm: Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0) },
  ])('refuses $why', ({ wasm }) => {
    expect(() => loadEngine({ ...compile(SPEC), wasm }, { whenNoneSelects: 'deny' })).toThrow('Cannot load the policy module');
  });
});

describe('compilePolicies()', () => {
  test('gives equal sets equal revisions, whatever the order and place of the documents', () => {
    const document = (name: string): string =>
      `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: ${name} }\n`;
    const revision = (text: string): string =>
      compilePolicies(
        readPolicies(text, 'f').policies,
        { namespace: 'shop', labels: {}, serviceAccount: null },
        { rootNamespace: 'r', trustDomain: 'd', trustDomainAliases: [] },
      ).revision;
    expect(revision(`${document('a')}---\n${document('b')}`)).toBe(revision(`\n\n${document('b')}---\n${document('a')}`));
    expect(revision(document('a'))).not.toBe(revision(document('b')));
    expect(compile(SPEC).revision).not.toBe(compile(SPEC, 'shop', 'other').revision);
    expect(compile(SPEC).revision).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  test('refuses sources and operations that multiply beyond its bound', () => {
    const many = (text: string): string => Array.from({ length: 512 }, () => text).join(', ');
    const rule = `{ from: [${many('{ source: { namespaces: [a] } }')}], to: [${many('{ operation: { methods: [GET] } }')}] }`;
    expect(() => compile(`{ rules: [${rule}, ${rule}] }`)).toThrow('multiply');
  });
});

describe('selfTest()', () => {
  test('passes what the compiler made', () => {
    expect(() => selfTest(compile(SPEC), { whenNoneSelects: 'deny', samples: 500, seed: 1 })).not.toThrow();
  });

  test('refuses a module that decides otherwise than its model', () => {
    const other = compile(SPEC.replace('/a*', '/b*'));
    expect(() => selfTest({ ...other, wasm: compile(SPEC).wasm }, { whenNoneSelects: 'deny', samples: 500, seed: 1 })).toThrow(
      expect.objectContaining({ code: 'policy_selftest_failed' }),
    );
  });
});
