/**
 * The policies as closures that are tried one rule after the other: what a proxy does that compiles each rule well and indexes
 * none, as Envoy's RBAC does. Knows the fields that the benchmark's policies use and refuses others.
 */
import { cidrContains, parseCidr, parseIp } from '#base/cidr.ts';
import type { AuthzInput } from '#authz/engine/input.ts';
import type { Operation, Rule, Source } from '#authz/policy/model.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';

type Test = (input: AuthzInput) => boolean;

export function linearEvaluator(set: WorkloadPolicies): Test {
  const rulesOf = (wanted: string): readonly Test[] =>
    set.policies.filter(({ action }) => action === wanted).flatMap(({ rules }) => rules.map(ruleTest));
  const deny = rulesOf('DENY');
  const allow = rulesOf('ALLOW');
  return (input) => !deny.some((test) => test(input)) && allow.some((test) => test(input));
}

function ruleTest(rule: Rule): Test {
  const tests: Test[] = [];
  if (rule.to.length > 0) tests.push(any(rule.to.map(operationTest)));
  if (rule.from.length > 0) tests.push(any(rule.from.map(sourceTest)));
  for (const { key, values } of rule.when) {
    if (key === 'request.headers[x-tenant]')
      tests.push(({ request }) => request?.fields.values('x-tenant').some((value) => values.includes(value)) ?? false);
    else if (key === 'request.auth.claims[role]')
      tests.push(({ request }) => request?.tokens.some(({ claims }) => values.includes(String(claims['role']))) ?? false);
    else throw new Error(`the linear evaluator does not know ${key}`);
  }
  return all(tests);
}

function operationTest(operation: Operation): Test {
  const tests: Test[] = [];
  const { hosts, methods, notPaths, paths, ports } = operation;
  if (methods.length > 0) tests.push(({ request }) => methods.includes(request?.method ?? ''));
  if (ports.length > 0) tests.push(({ connection }) => ports.includes(String(connection.destinationPort)));
  if (hosts.length > 0) tests.push(any(hosts.map((host) => textTest(host, (input) => input.request?.authority ?? ''))));
  if (paths.length > 0) tests.push(any(paths.map(pathTest)));
  if (notPaths.length > 0) tests.push(not(any(notPaths.map(pathTest))));
  return all(tests);
}

function sourceTest(source: Source): Test {
  const tests: Test[] = [];
  const { ipBlocks, namespaces, notPrincipals, principals, requestPrincipals, serviceAccounts } = source;
  const identity = (input: AuthzInput): string => input.connection.principal?.slice('spiffe://'.length) ?? '';
  if (principals.length > 0) tests.push(any(principals.map((value) => textTest(value, identity))));
  if (notPrincipals.length > 0) tests.push(not(any(notPrincipals.map((value) => textTest(value, identity)))));
  if (namespaces.length > 0)
    tests.push(any(namespaces.map((name) => (input) => identity(input).startsWith(`cluster.local/ns/${name}/sa/`))));
  if (serviceAccounts.length > 0) {
    const full = serviceAccounts.map((account) => `cluster.local/ns/${account.replace('/', '/sa/')}`);
    tests.push((input) => full.includes(identity(input)));
  }
  if (ipBlocks.length > 0) {
    const blocks = ipBlocks.flatMap((block) => parseCidr(block) ?? []);
    tests.push(({ connection }) => {
      const address = parseIp(connection.sourceIp);
      return address !== null && blocks.some((block) => cidrContains(block, address));
    });
  }
  if (requestPrincipals.length > 0) {
    tests.push(
      ({ request }) => request?.tokens.some(({ issuer, subject }) => requestPrincipals.includes(`${issuer}/${subject}`)) ?? false,
    );
  }
  return all(tests);
}

function pathTest(pattern: string): Test {
  if (!pattern.includes('{')) return textTest(pattern, (input) => input.request?.path ?? '');
  // Names of the benchmark hold nothing that a regular expression would read otherwise.
  const source = pattern.replace('{**}', "[a-zA-Z0-9-._~%!$&'()*+,;=:@/]*").replace('{*}', "[a-zA-Z0-9-._~%!$&'()*+,;=:@]+");
  const expression = new RegExp(`^${source}$`);
  return ({ request }) => expression.test(request?.path ?? '');
}

function textTest(pattern: string, read: (input: AuthzInput) => string): Test {
  if (pattern.endsWith('*')) {
    const start = pattern.slice(0, -1);
    return (input) => read(input).startsWith(start);
  }
  if (pattern.startsWith('*')) {
    const end = pattern.slice(1);
    return (input) => read(input).endsWith(end);
  }
  return (input) => read(input) === pattern;
}

function any(tests: readonly Test[]): Test {
  const [first] = tests;
  return tests.length === 1 && first !== undefined ? first : (input) => tests.some((test) => test(input));
}

function all(tests: readonly Test[]): Test {
  const [first] = tests;
  return tests.length === 1 && first !== undefined ? first : (input) => tests.every((test) => test(input));
}

function not(test: Test): Test {
  return (input) => !test(input);
}
