/**
 * Path patterns in a real Envoy, as Istio would generate them, against module and interpreter: every form on paths with every
 * printable byte, empty segments, trailing slashes and escapes.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { ConnectionAttributes } from '#authz/engine/input.ts';
import { interpret } from '#authz/engine/interpreter.ts';
import { loadEngine } from '#authz/engine/load.ts';
import { decideOnce } from '#authz/engine/self-test.ts';
import { compilePolicies, policiesOf } from '#authz/plan/compile.ts';
import { canonicalPath } from '#proxy/http/path.ts';
import { EnvoyOracle } from '#test/peers/envoy-rbac.ts';
import type { FilterChain } from '#test/peers/envoy-rbac.ts';
import { peer } from '#test/support/peers.ts';

import { COMPILE_OPTIONS, WORKLOAD, operation, policy } from './realistic.ts';
import { verdictInput } from './verdicts.cases.ts';

const envoy = peer('envoy');

const PATTERNS = [
  '/a/{*}',
  '/a/{**}',
  '/{*}',
  '/{**}',
  '/{*}/b',
  '/{**}/b',
  '/a/{*}/b',
  '/a/{**}/b',
  '/a/{*}/{**}',
  '/{*}/{*}',
  '/{*}/{*}/{**}/b',
  '/a/{*}/',
  '/a/{**}/',
  '/{**}/',
  '/k=v/{*}',
  '/{*}/k=v',
  '/a.b/{*}',
  '/a+b/{*}',
  '/a/b',
  '/a/*',
  '/a*',
  '*b',
  '*/b',
  '*',
  '/a=b',
];

const PRINTABLE = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index)).filter(
  (character) => !'#?%'.includes(character),
);
const PATHS = [
  ...PRINTABLE.flatMap((character) => [`/a/x${character}y`, `/a/${character}/b`, `/${character}b`]),
  '/',
  '/a',
  '/a/',
  '/a/b',
  '/a/b/',
  '/a//',
  '/a//b',
  '//b',
  '//',
  '/b',
  '/b/',
  '/a/b/c',
  '/a/b/c/b',
  '/a/x/y/b',
  '/ab',
  '/a/b//',
  '/k=v/a',
  '/k=v/',
  '/a/k=v',
  '/k/v',
  '/a.b/c',
  '/aXb/c',
  '/a+b/c',
  '/aab/c',
  '/a/%20',
  '/a/%2Fb',
  '/a/%41',
  '/a/%25/b',
  '/a/../b',
  '/a/./b',
  '/a/..;/b',
  '/%61/b',
  '/a/b?x=1',
  '/a?b',
  '/A/b',
].filter((path) => canonicalPath(path.split('?')[0] ?? '', 'base') !== null);

describe.skipIf(envoy === null)('a path pattern means in Envoy what it means here', () => {
  let oracle: EnvoyOracle;

  beforeAll(async () => {
    oracle = await EnvoyOracle.start(envoy ?? '', PATTERNS.map(chainOf));
  });

  afterAll(async () => {
    await oracle[Symbol.asyncDispose]();
  });

  test.each(PATTERNS.map((pattern) => ({ pattern })))('$pattern', async ({ pattern }) => {
    const requests = PATHS.map((rawPath) => ({ method: 'GET', host: 'h.test', rawPath, headers: [], token: null }));
    const answers = await oracle.askHttp(pattern, CONNECTION, requests);
    const differences = PATHS.flatMap((path, index) => {
      const ours = matches(pattern, canonicalPath(path.split('?')[0] ?? '', 'base') ?? '');
      const theirs = answers[index]?.isAllowed ?? false;
      return ours === theirs ? [] : [{ path, ours, theirs }];
    });
    expect(differences).toEqual([]);
  });
});

/** By module and interpreter, which must agree. */
function matches(pattern: string, path: string): boolean {
  const known = ENGINES.get(pattern) ?? engineOf(pattern);
  ENGINES.set(pattern, known);
  const input = verdictInput({ path });
  const { effect } = decideOnce(known.engine, input);
  expect(interpret(known.set, input, { revision: '', whenNoneSelects: 'deny' }).effect).toBe(effect);
  return effect === 'allow';
}

function engineOf(pattern: string) {
  const policies = [policy('p', 'ALLOW', [{ from: [], to: [operation({ paths: [pattern] })], when: [] }])];
  const compiled = compilePolicies(policies, WORKLOAD, COMPILE_OPTIONS);
  return { engine: loadEngine(compiled, { whenNoneSelects: 'deny' }), set: policiesOf(policies, WORKLOAD, COMPILE_OPTIONS) };
}

function chainOf(pattern: string): FilterChain {
  const rules = { policies: { p: { permissions: [permission(pattern)], principals: [{ any: true }] } } };
  const config = { '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC', rules };
  return { name: pattern, isTcp: false, filters: [{ name: 'envoy.filters.http.rbac', typed_config: config }] };
}

/** As Istio's builder writes a path. */
function permission(pattern: string): object {
  if (pattern.includes('{')) {
    const template = pattern.replaceAll('{**}', '**').replaceAll('{*}', '*');
    const type = 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig';
    return { uri_template: { name: 'uri-template', typed_config: { '@type': type, path_template: template } } };
  }
  if (pattern === '*') return { url_path: { path: { safe_regex: { regex: '.+' } } } };
  if (pattern.startsWith('*')) return { url_path: { path: { suffix: pattern.slice(1) } } };
  return { url_path: { path: pattern.endsWith('*') ? { prefix: pattern.slice(0, -1) } : { exact: pattern } } };
}

const ENGINES = new Map<string, ReturnType<typeof engineOf>>();
const CONNECTION: ConnectionAttributes = {
  principal: null,
  sourceIp: '127.0.0.1',
  remoteIp: '10.0.0.1',
  destinationIp: '10.0.0.2',
  destinationPort: 80,
  sni: null,
  tls: false,
  protocol: 'http',
};
