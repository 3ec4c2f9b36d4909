/**
 * Istio's own golden cases (policy -> Envoy RBAC), made fit to be asked over real connections: indices in brackets would be no
 * valid host and become `_N`; invented methods become ones that Envoy's parser knows; source blocks move into 127.0.0.0/8, where any address can be a socket's own.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { parse } from 'yaml';

import type { CompileOptions } from '#authz/plan/compile.ts';
import type { Policy, Rule, Workload } from '#authz/policy/model.ts';
import { readPolicies } from '#authz/policy/read.ts';
import type { FilterChain } from '#test/peers/envoy-rbac.ts';

export interface Golden {
  readonly name: string;
  readonly isTcp: boolean;
  readonly policies: readonly Policy[];
  readonly options: CompileOptions;
  readonly chain: FilterChain;
}

export const GOLDEN_WORKLOAD: Workload = { namespace: 'foo', labels: { app: 'httpbin', version: 'v1' }, serviceAccount: null };

/** All cases of ALLOW and DENY; CUSTOM, AUDIT and dry run have no decision to compare yet. */
export function readGoldens(vectors: string): readonly Golden[] {
  const folder = join(vectors, 'istio-authz-builder');
  // The table of the vectors' README.
  const cases = JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8')) as readonly GoldenCase[];
  return cases
    .filter(({ name }) => !/^(?:custom|audit|dry-run)/.test(name))
    .map((golden) => readGolden(join(folder, golden.proto), golden));
}

interface GoldenCase {
  readonly proto: 'http' | 'tcp';
  readonly name: string;
  readonly input: string;
  readonly want: readonly string[];
  readonly trustDomainBundle?: string;
}

function readGolden(folder: string, golden: GoldenCase): Golden {
  const read = (file: string): string =>
    readFileSync(join(folder, file), 'utf8')
      .replaceAll(/\\?\[(\d+)\\?\]/g, '_$1')
      .replaceAll(
        /rule_(\d)-to_(\d)-method_(\d)/g,
        (_, rule, to, index) => METHODS[6 * Number(rule) + 3 * Number(to) + Number(index)] ?? 'GET',
      );
  const { policies, faults } = readPolicies(read(golden.input), golden.input);
  if (faults.length > 0)
    throw new Error(`Cannot read the golden "${golden.name}": ${faults.map(({ message }) => message).join('; ')}`);
  const name = `${golden.proto}/${golden.name}`;
  const isTcp = golden.proto === 'tcp';
  // The generated filters, DENY before ALLOW as Istio puts them.
  const filters = golden.want.map((file) => withLoopbackSources(parse(read(file)) as object));
  return { name, isTcp, policies: policies.map(withLoopbackPolicy), options: optionsOf(golden), chain: { name, isTcp, filters } };
}

/** `trustdomain.NewBundle("td1", []string{"cluster.local"})` as the case names it. */
function optionsOf({ trustDomainBundle }: GoldenCase): CompileOptions {
  const [trustDomain = 'cluster.local', ...trustDomainAliases] = [...(trustDomainBundle ?? '').matchAll(/"([^"]*)"/g)].map(
    ([, text = '']) => text,
  );
  return { rootNamespace: 'istio-system', trustDomain, trustDomainAliases };
}

function withLoopbackPolicy(policy: Policy): Policy {
  return { ...policy, rules: policy.rules.map(withLoopbackRule) };
}

function withLoopbackRule(rule: Rule): Rule {
  const from = rule.from.map((source) => ({
    ...source,
    ipBlocks: source.ipBlocks.map(toLoopback),
    notIpBlocks: source.notIpBlocks.map(toLoopback),
  }));
  const when = rule.when.map((condition) =>
    condition.key === 'source.ip'
      ? { ...condition, values: condition.values.map(toLoopback), notValues: condition.notValues.map(toLoopback) }
      : condition,
  );
  return { ...rule, from, when };
}

/** The same in a generated filter, wherever it looks at the socket's address. */
function withLoopbackSources<T>(value: T): T {
  return JSON.parse(JSON.stringify(value), (key, inner: unknown) => {
    if (key !== 'directRemoteIp') return inner;
    // envoy.config.core.v3.CidrRange.
    const block = inner as { addressPrefix: string; prefixLen: number };
    return { ...block, addressPrefix: toLoopback(block.addressPrefix) };
  }) as T;
}

function toLoopback(block: string): string {
  const [first = 0, second = 0, ...rest] = block.split('.');
  return ['127', String((Number(first) + Number(second)) & 0xff), ...rest].join('.');
}

/** Envoy's parser answers 400 to others. */
export const METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'PROPFIND',
  'MKCOL',
  'LOCK',
  'UNLOCK',
  'COPY',
  'MOVE',
];
