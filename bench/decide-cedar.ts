/** The benchmark's policies in Cedar (@cedar-policy/cedar-wasm), parsed once. `{*}` becomes `*`: Cedar knows no segments. */
import { createRequire } from 'node:module';

import type { AuthzInput } from '#authz/engine/input.ts';
import type { Rule } from '#authz/policy/model.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';

type Judge = (input: AuthzInput) => boolean;

export function cedarJudge(set: WorkloadPolicies, name: string): Judge {
  const policies = set.policies.flatMap(({ action, rules }) => rules.map((rule) => policyOf(rule, action === 'DENY')));
  const parsed = CEDAR.preparsePolicySet(name, { staticPolicies: policies.join('\n') });
  if (parsed.type !== 'success') throw new Error(`Cannot parse the Cedar policies: ${JSON.stringify(parsed).slice(0, 500)}`);
  return (input) => {
    const answer = CEDAR.statefulIsAuthorized({
      principal: { type: 'User', id: 'u' },
      action: { type: 'Action', id: 'a' },
      resource: { type: 'Resource', id: 'r' },
      context: contextOf(input),
      preparsedPolicySetId: name,
      entities: [],
    });
    if (answer.type !== 'success') throw new Error(`Cedar fails: ${JSON.stringify(answer).slice(0, 500)}`);
    return answer.response.decision === 'allow';
  };
}

function contextOf({ connection, request }: AuthzInput): Readonly<Record<string, string | number>> {
  const [token] = request?.tokens ?? [];
  return {
    principal: connection.principal?.slice('spiffe://'.length) ?? '',
    ip: connection.sourceIp,
    port: connection.destinationPort,
    method: request?.method ?? '',
    host: request?.authority ?? '',
    path: request?.path ?? '',
    tenant: request?.fields.values('x-tenant')[0] ?? '',
    role: textOf(token?.claims['role']),
    requestPrincipal: token === undefined ? '' : `${token.issuer}/${token.subject}`,
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function policyOf(rule: Rule, isDeny: boolean): string {
  const [source] = rule.from;
  const [operation] = rule.to;
  const tests: string[] = [];
  const any = (attribute: string, values: readonly string[]): void => {
    if (values.length > 0) tests.push(`(${anyOf(attribute, values)})`);
  };
  any('method', operation?.methods ?? []);
  if ((operation?.ports.length ?? 0) > 0) tests.push(`[${operation?.ports.join(', ')}].contains(context.port)`);
  any('principal', [
    ...(source?.principals ?? []),
    ...(source?.namespaces ?? []).map((name) => `cluster.local/ns/${name}/sa/*`),
    ...(source?.serviceAccounts ?? []).map((account) => `cluster.local/ns/${account.replace('/', '/sa/')}`),
  ]);
  any(
    'ip',
    (source?.ipBlocks ?? []).map((block) => block.replace('0/24', '*')),
  );
  any('requestPrincipal', source?.requestPrincipals ?? []);
  any('host', operation?.hosts ?? []);
  any('path', operation?.paths ?? []);
  for (const { key, values } of rule.when) any(key === 'request.headers[x-tenant]' ? 'tenant' : 'role', values);
  if ((operation?.notPaths.length ?? 0) > 0) tests.push(`!(${anyOf('path', operation?.notPaths ?? [])})`);
  if ((source?.notPrincipals.length ?? 0) > 0) tests.push(`!(${anyOf('principal', source?.notPrincipals ?? [])})`);
  return `${isDeny ? 'forbid' : 'permit'}(principal, action, resource) when { ${tests.join(' && ') || 'true'} };`;
}

function anyOf(attribute: string, values: readonly string[]): string {
  const exact = values.filter((value) => !value.includes('*'));
  const like = values.filter((value) => value.includes('*')).map((value) => value.replace(/\{\*{1,2}\}/g, '*'));
  return [
    ...(exact.length === 0 ? [] : [`${JSON.stringify(exact)}.contains(context.${attribute})`]),
    ...like.map((value) => `context.${attribute} like "${value}"`),
  ].join(' || ');
}

interface Answer {
  readonly type: 'success' | 'failure';
  readonly response: { readonly decision: 'allow' | 'deny' };
}

/** What of the package's CommonJS build is used. */
const CEDAR = createRequire(import.meta.url)('@cedar-policy/cedar-wasm/nodejs') as {
  preparsePolicySet(name: string, policies: object): { readonly type: 'success' | 'failure' };
  statefulIsAuthorized(call: object): Answer;
};
