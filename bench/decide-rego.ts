/**
 * The benchmark's policies as rules in Rego, compiled to WebAssembly by the real `opa` and run by OPA's own SDK, and the input
 * document of opa-envoy-plugin that both it and our OPA module read. Comparisons only, no globs and no regular expressions: OPA
 * compiles those anew for each decision.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Rule } from '#authz/policy/model.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';

/** A module loaded by OPA's SDK. */
export interface OpaPolicy {
  evaluate(input: object | ArrayBuffer): readonly { readonly result: unknown }[];
}

/** @param pages  initial memory in pages of 64 KiB */
export function loadOpaModule(wasm: Uint8Array, pages = 5): OpaPolicy {
  return SDK.loadPolicySync(wasm, pages);
}

export function buildRego(opa: string, set: WorkloadPolicies): OpaPolicy {
  const folder = mkdtempSync(join(tmpdir(), 'postern-bench-rego-'));
  try {
    const file = join(folder, 'policy.rego');
    writeFileSync(file, regoOf(set));
    const bundle = join(folder, 'bundle.tar.gz');
    execFileSync(opa, ['build', '-t', 'wasm', '-e', 'bench/allow', '-o', bundle, file], { stdio: 'pipe' });
    execFileSync('tar', ['xzf', bundle, '-C', folder, '/policy.wasm'], { stdio: 'pipe' });
    return loadOpaModule(readFileSync(join(folder, 'policy.wasm')), 200);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function regoOf(set: WorkloadPolicies): string {
  const lines = [...HEADER];
  let helpers = 0;
  for (const { action, rules } of set.policies) {
    const name = action === 'DENY' ? 'denied' : 'allowed';
    for (const rule of rules) {
      const { bodies, excluded } = bodiesOf(rule);
      const helper = `excluded_${helpers}`;
      if (excluded.length > 0) {
        helpers++;
        for (const condition of excluded) lines.push(`${helper} if { ${condition} }`);
      }
      for (const body of bodies) {
        lines.push(`${name} if { ${[...body, ...(excluded.length > 0 ? [`not ${helper}`] : [])].join('; ') || 'true'} }`);
      }
    }
  }
  return lines.join('\n');
}

/** Each body is one way in which the rule holds; none of `excluded` may. */
function bodiesOf(rule: Rule): { bodies: readonly (readonly string[])[]; excluded: readonly string[] } {
  const [source] = rule.from;
  const [operation] = rule.to;
  const common: string[] = [];
  const isIn = (name: string, values: readonly string[]): void => {
    if (values.length > 0)
      common.push(values.length === 1 ? `${name} == "${values[0]}"` : `${name} in ${JSON.stringify(values)}`);
  };
  isIn('method', operation?.methods ?? []);
  isIn('port', operation?.ports ?? []);
  isIn('request_principal', source?.requestPrincipals ?? []);
  for (const { key, values } of rule.when) isIn(key === 'request.headers[x-tenant]' ? 'tenant' : 'role', values);
  const identities = [
    ...(source?.principals ?? []).map((value) => textTest('principal', value)),
    ...(source?.namespaces ?? []).map((value) => `startswith(principal, "cluster.local/ns/${value}/sa/")`),
    ...(source?.serviceAccounts ?? []).map((value) => `principal == "cluster.local/ns/${value.replace('/', '/sa/')}"`),
    ...(source?.ipBlocks ?? []).map((value) => `startswith(ip, "${value.replace('0/24', '')}")`),
  ];
  const paths = (operation?.paths ?? []).map(pathTest);
  const hosts = (operation?.hosts ?? []).map((value) => textTest('host', value));
  let bodies: readonly (readonly string[])[] = [[]];
  for (const alternatives of [grouped(identities, 'principal'), paths, hosts]) {
    if (alternatives.length > 0) bodies = bodies.flatMap((body) => alternatives.map((alternative) => [...body, alternative]));
  }
  const excluded = [
    ...(operation?.notPaths ?? []).map(pathTest),
    ...(source?.notPrincipals ?? []).map((value) => textTest('principal', value)),
  ];
  return { bodies: bodies.map((body) => [...common, ...body]), excluded };
}

/** Plain equalities as one membership. */
function grouped(tests: readonly string[], name: string): readonly string[] {
  const start = `${name} == `;
  const equal = tests.filter((test) => test.startsWith(start));
  if (equal.length < 2) return tests;
  return [
    `${name} in [${equal.map((test) => test.slice(start.length)).join(', ')}]`,
    ...tests.filter((test) => !equal.includes(test)),
  ];
}

function textTest(name: string, value: string): string {
  if (value.startsWith('*')) return `endswith(${name}, "${value.slice(1)}")`;
  return value.endsWith('*') ? `startswith(${name}, "${value.slice(0, -1)}")` : `${name} == "${value}"`;
}

/** `{*}` and `{**}` by the parts of the path. */
function pathTest(value: string): string {
  if (value.includes('{**}')) {
    const [start = '', end = ''] = value.split('{**}');
    return `startswith(path, "${start}"); endswith(path, "${end}")`;
  }
  if (!value.includes('{*}')) return textTest('path', value);
  const parts = value.split('/');
  const fixed = parts.flatMap((part, index) => (part === '{*}' ? [`parts[${index}] != ""`] : [`parts[${index}] == "${part}"`]));
  return [`count(parts) == ${parts.length}`, ...fixed.slice(1)].join('; ');
}

const HEADER = [
  'package bench',
  'http := input.attributes.request.http',
  'principal := trim_prefix(input.attributes.source.principal, "spiffe://")',
  'ip := input.attributes.source.address.socketAddress.address',
  'port := format_int(input.attributes.destination.address.socketAddress.portValue, 10)',
  'method := http.method',
  'host := http.host',
  'path := split(http.path, "?")[0]',
  'parts := split(path, "/")',
  'tenant := http.headers["x-tenant"]',
  'payload := input.attributes.metadataContext.filterMetadata["envoy.filters.http.jwt_authn"].payload',
  'role := payload.role',
  'request_principal := concat("/", [payload.iss, payload.sub])',
  'default allow := false',
  'default allowed := false',
  'default denied := false',
  'allow if { not denied; allowed }',
];
/** The package's types know only its asynchronous loader. */
const SDK = createRequire(import.meta.url)('@open-policy-agent/opa-wasm') as {
  loadPolicySync(wasm: Uint8Array, pages: number): OpaPolicy;
};
