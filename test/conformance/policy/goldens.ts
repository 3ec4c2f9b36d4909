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

/** All cases of ALLOW and DENY, which decide by themselves. */
export function readGoldens(vectors: string): readonly Golden[] {
  return readCases(vectors)
    .filter(({ name }) => !IS_REPORT.test(name))
    .map((golden) => readGolden(join(vectors, 'istio-authz-builder', golden.proto), golden));
}

/** One filter of CUSTOM, AUDIT or dry run, made to deny what its rules match, so that Envoy tells what they match. */
export interface ReportGolden extends Golden {
  /** What a match means here: a policy is told, a tried policy says so, or a provider would be asked. */
  readonly kind: 'audit' | 'dry-run' | 'custom';
  /** Names of the policies whose rules the filter has. */
  readonly about: readonly string[];
}

export function readReportGoldens(vectors: string): readonly ReportGolden[] {
  return readCases(vectors)
    .filter(({ name }) => IS_REPORT.test(name))
    .flatMap((written) => {
      const golden = readGolden(join(vectors, 'istio-authz-builder', written.proto), written);
      const kind = written.name.startsWith('custom') ? 'custom' : written.name.startsWith('audit') ? 'audit' : 'dry-run';
      return golden.chain.filters.flatMap((filter, index) => {
        const asked = denyingMatches(filter, kind === 'dry-run' || kind === 'custom');
        if (asked === null) return [];
        const name = `${golden.name}-${index}`;
        const about = [...JSON.stringify(asked).matchAll(/policy\[([^\]]+)\]/g)].map(([, policy = '']) => policy);
        return [
          { ...golden, name, kind, about: [...new Set(about)], chain: { ...golden.chain, name, filters: [asked] } } as const,
        ];
      });
    });
}

/** The filter's rules (its shadow rules, where it has them) with the action DENY; null where it has none, as ext_authz filters. */
function denyingMatches(filter: object, isShadow: boolean): object | null {
  // envoy.extensions.filters.http.rbac.v3.RBAC, or its likeness of the network filters.
  const { typedConfig } = filter as { typedConfig?: { rules?: object; shadowRules?: object; statPrefix?: string } };
  const rules = (isShadow ? typedConfig?.shadowRules : undefined) ?? typedConfig?.rules;
  if (typedConfig === undefined || rules === undefined) return null;
  const { rules: _rules, shadowRules: _shadow, ...rest } = typedConfig;
  return { ...filter, typedConfig: { ...rest, rules: { ...rules, action: 'DENY' } } };
}

function readCases(vectors: string): readonly GoldenCase[] {
  // The table of the vectors' README.
  return JSON.parse(readFileSync(join(vectors, 'istio-authz-builder/cases.json'), 'utf8')) as readonly GoldenCase[];
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

const IS_REPORT = /^(?:custom|audit|dry-run)/;
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
