/**
 * AuthorizationPolicies as the RBAC filters that Istio would generate of them (its builder, model and matcher), for judging
 * policies of any kind by a real Envoy. Written from Istio's golden files; knows nothing of our planner or interpreter.
 */
import type { Condition, Operation, Policy, Rule, Source } from '#authz/policy/model.ts';

/** The filters of a workload's HTTP chain: DENY, then ALLOW, each where there are such policies. */
export function rbacFilters(policies: readonly Policy[], workloadNamespace: string): readonly object[] {
  return (['DENY', 'ALLOW'] as const).flatMap((action) => {
    const chosen = policies.filter((policy) => policy.action === action);
    if (chosen.length === 0) return [];
    const rules = chosen.flatMap((policy) =>
      policy.rules.map((rule) => [`${policy.name}#${rule.name}`, ruleOf(rule, policy.namespace ?? workloadNamespace)] as const),
    );
    const config = {
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC',
      rules: { action, policies: Object.fromEntries(rules) },
    };
    return [{ name: 'envoy.filters.http.rbac', typed_config: config }];
  });
}

/** Whether a rule reads only what these filters can express. */
export function isExpressible({ when }: Rule): boolean {
  return when.every(({ key }) => !key.startsWith('experimental.'));
}

function ruleOf(rule: Rule, namespace: string): object {
  const conditions = rule.when.map((condition) => conditionOf(condition, namespace));
  const permissions = orAny(rule.to).map((operation) => ({
    and_rules: {
      rules: atLeastOne([
        ...(operation === null ? [] : operationOf(operation)),
        ...conditions.flatMap(({ permission }) => permission),
      ]),
    },
  }));
  const principals = orAny(rule.from).map((source) => ({
    and_ids: {
      ids: atLeastOne([
        ...(source === null ? [] : sourceOf(source, namespace)),
        ...conditions.flatMap(({ principal }) => principal),
      ]),
    },
  }));
  return { permissions, principals };
}

function operationOf(operation: Operation): readonly object[] {
  const host = (value: string): object => ({ header: { name: ':authority', ...present(value, true) } });
  const method = (value: string): object => ({ header: { name: ':method', ...present(value) } });
  return [
    ...permissionsOf(operation.hosts, operation.notHosts, host),
    ...permissionsOf(operation.methods, operation.notMethods, method),
    ...permissionsOf(operation.paths, operation.notPaths, pathOf),
    ...permissionsOf(operation.ports, operation.notPorts, (value) => ({ destination_port: Number(value) })),
  ];
}

function sourceOf(source: Source, namespace: string): readonly object[] {
  return [
    ...principalsOf(source.principals, source.notPrincipals, principalOf),
    ...principalsOf(source.requestPrincipals, source.notRequestPrincipals, requestPrincipalOf),
    ...principalsOf(source.namespaces, source.notNamespaces, namespaceOf),
    ...principalsOf(source.serviceAccounts, source.notServiceAccounts, (value) => accountOf(value, namespace)),
    ...principalsOf(source.trustDomains, source.notTrustDomains, trustDomainOf),
    ...principalsOf(source.ipBlocks, source.notIpBlocks, (value) => ({ direct_remote_ip: cidrOf(value) })),
    ...principalsOf(source.remoteIpBlocks, source.notRemoteIpBlocks, (value) => ({ remote_ip: cidrOf(value) })),
  ];
}

/** A condition is a permission or a principal, by its key. */
function conditionOf(
  { key, values, notValues }: Condition,
  namespace: string,
): { permission: readonly object[]; principal: readonly object[] } {
  const permission = (make: (value: string) => object) => ({ permission: permissionsOf(values, notValues, make), principal: [] });
  const principal = (make: (value: string) => object) => ({ permission: [], principal: principalsOf(values, notValues, make) });
  switch (key) {
    case 'destination.ip':
      return permission((value) => ({ destination_ip: cidrOf(value) }));
    case 'destination.port':
      return permission((value) => ({ destination_port: Number(value) }));
    case 'connection.sni':
      return permission((value) => ({ requested_server_name: filled(value) }));
    case 'source.ip':
      return principal((value) => ({ direct_remote_ip: cidrOf(value) }));
    case 'remote.ip':
      return principal((value) => ({ remote_ip: cidrOf(value) }));
    case 'source.namespace':
      return principal(namespaceOf);
    case 'source.principal':
      return principal(principalOf);
    case 'source.serviceAccount':
      return principal((value) => accountOf(value, namespace));
    case 'source.trustDomain':
      return principal(trustDomainOf);
    case 'request.auth.principal':
      return principal(requestPrincipalOf);
    case 'request.auth.audiences':
      return principal((value) => claimOf(['aud'], value));
    case 'request.auth.presenter':
      return principal((value) => claimOf(['azp'], value));
    default:
  }
  const names = key.slice(key.indexOf('[') + 1, -1).split('][');
  if (key.startsWith('request.auth.claims[')) return principal((value) => claimOf(names, value));
  return principal((value) => ({ header: { name: names.join(']['), ...present(value) } }));
}

function principalOf(value: string): object {
  if (value === '*') return named({ safe_regex: { regex: '.+' } });
  if (value.startsWith('*')) return named({ safe_regex: { regex: `spiffe://.*${quote(value.slice(1))}` } });
  return named(value.endsWith('*') ? { prefix: `spiffe://${value.slice(0, -1)}` } : { exact: `spiffe://${value}` });
}

function namespaceOf(value: string): object {
  return named({ safe_regex: { regex: `.*/ns/${quote(value).replaceAll('\\*', '.*')}/.*` } });
}

function accountOf(value: string, policyNamespace: string): object {
  const [namespace = '', account = ''] = value.includes('/') ? value.split('/') : [policyNamespace, value];
  return named({ safe_regex: { regex: `spiffe://.+/ns/${quote(namespace)}/(.+/|)sa/${quote(account)}(/.+)?` } });
}

function trustDomainOf(value: string): object {
  if (!value.includes('*')) return named({ prefix: `spiffe://${value}/` });
  return named({ safe_regex: { regex: `spiffe://${quote(value).replaceAll('\\*', '[^/]*')}/.*` } });
}

function named(matcher: object): object {
  return { authenticated: { principal_name: matcher } };
}

function requestPrincipalOf(value: string): object {
  const slash = value.lastIndexOf('/');
  const [issuer, subject] = slash < 0 ? [value, ''] : [value.slice(0, slash), value.slice(slash + 1)];
  const any = { safe_regex: { regex: '.+' } };
  const both = (iss: object, sub: object): object => ({
    and_ids: { ids: [payload(['iss'], { string_match: iss }), payload(['sub'], { string_match: sub })] },
  });
  if (value === '*') return both(any, any);
  if (value.startsWith('*')) {
    if (slash < 0) return both(any, { suffix: value.slice(1) });
    return both(issuer === '*' ? any : { suffix: issuer.slice(1) }, { exact: subject });
  }
  if (value.endsWith('*')) {
    if (slash < 0) return both({ prefix: value.slice(0, -1) }, any);
    return both({ exact: issuer }, subject === '*' ? any : { prefix: subject.slice(0, -1) });
  }
  return both({ exact: issuer }, { exact: subject });
}

function claimOf(names: readonly string[], value: string): object {
  const text = { string_match: filled(value) };
  return payload(names, { or_match: { value_matchers: [{ list_match: { one_of: text } }, text] } });
}

function payload(names: readonly string[], value: object): object {
  return { metadata: { filter: 'envoy.filters.http.jwt_authn', path: ['payload', ...names].map((key) => ({ key })), value } };
}

function pathOf(value: string): object {
  if (!value.includes('{*}') && !value.includes('{**}')) return { url_path: { path: filled(value) } };
  const type = 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig';
  const template = value.replaceAll('{**}', '**').replaceAll('{*}', '*');
  return { uri_template: { name: 'uri-template', typed_config: { '@type': type, path_template: template } } };
}

function present(value: string, ignoresCase = false): object {
  return value === '*'
    ? { present_match: true }
    : { string_match: { ...plain(value), ...(ignoresCase ? { ignore_case: true } : {}) } };
}

function filled(value: string): object {
  return value === '*' ? { safe_regex: { regex: '.+' } } : plain(value);
}

function plain(value: string): object {
  if (value.startsWith('*')) return { suffix: value.slice(1) };
  return value.endsWith('*') ? { prefix: value.slice(0, -1) } : { exact: value };
}

function cidrOf(value: string): object {
  const [address_prefix = '', length] = value.split('/');
  return { address_prefix, prefix_len: length === undefined ? (value.includes(':') ? 128 : 32) : Number(length) };
}

function permissionsOf(
  values: readonly string[],
  notValues: readonly string[],
  make: (value: string) => object,
): readonly object[] {
  const any = (list: readonly string[]): object => ({ or_rules: { rules: list.map(make) } });
  return [...(values.length > 0 ? [any(values)] : []), ...(notValues.length > 0 ? [{ not_rule: any(notValues) }] : [])];
}

function principalsOf(
  values: readonly string[],
  notValues: readonly string[],
  make: (value: string) => object,
): readonly object[] {
  const any = (list: readonly string[]): object => ({ or_ids: { ids: list.map(make) } });
  return [...(values.length > 0 ? [any(values)] : []), ...(notValues.length > 0 ? [{ not_id: any(notValues) }] : [])];
}

function orAny<T>(alternatives: readonly T[]): readonly (T | null)[] {
  return alternatives.length === 0 ? [null] : alternatives;
}

function atLeastOne(rules: readonly object[]): readonly object[] {
  return rules.length === 0 ? [{ any: true }] : rules;
}

/** RE2 takes these for what they are only behind a backslash. */
function quote(text: string): string {
  return text.replaceAll(/[\\^$.|?*+()[\]{}]/g, '\\$&');
}
