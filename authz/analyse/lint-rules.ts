/** What is wrong with a rule by its own words, or in view of the workloads and documents around it: no search is needed to see it. */
import type { Condition, Operation, Policy, Rule, Source } from '../policy/model.ts';
import { selectsWorkload } from '../policy/model.ts';
import type { InventoryWorkload } from '../policy/network/inventory.ts';
import type { PolicySet } from '../policy/policy-set.ts';
import { finding } from './lint-findings.ts';
import type { Finding } from './lint-findings.ts';

export interface RuleSurroundings {
  readonly set: PolicySet;
  readonly rootNamespace: string;
  readonly trustDomains: readonly string[];
  /** Ports that carry no HTTP. */
  readonly tcpPorts: ReadonlySet<number>;
  /** Of the inventories; empty without one. */
  readonly workloads: readonly InventoryWorkload[];
}

export function lintRule(policy: Policy, rule: Rule, around: RuleSurroundings): readonly Finding[] {
  const parts = [...rule.from, ...rule.to, ...rule.when.map(fieldsOf)];
  return [
    ...negatives(policy, rule, parts),
    ...httpOnTcp(policy, rule, around),
    ...deadValues(policy, rule),
    ...unverifiedTokens(policy, rule, around),
    ...unknownCallers(policy, rule, around),
    ...unknownPorts(policy, rule, around),
  ];
}

/** Fields by their names, with what is asked and what is excluded. */
type Fields = Readonly<Record<string, readonly string[]>>;

function fieldsOf({ key, notValues, values }: Condition): Fields {
  return { [key]: values, [`not ${key}`]: notValues };
}

/** An exclusion narrows what stands beside it; alone it lets in everything else. */
function negatives(policy: Policy, rule: Rule, parts: readonly (Source | Operation | Fields)[]): readonly Finding[] {
  if (policy.action !== 'ALLOW') return [];
  const positive = new Set(
    parts.flatMap((fields) => Object.entries(fields).flatMap(([name, of]) => (of.length > 0 ? [familyOf(name)] : []))),
  );
  const found: Finding[] = [];
  for (const fields of parts) {
    const own = new Set(
      Object.entries(fields).flatMap(([name, of]) => (of.length > 0 && !isNegative(name) ? [familyOf(name)] : [])),
    );
    for (const [name, values] of Object.entries(fields)) {
      if (values.length === 0 || !isNegative(name) || own.has(familyOf(name))) continue;
      if (name.startsWith('not ') && [...positive].some((family) => family === familyOf(name)) && hasPositive(rule, name))
        continue;
      const canBeLeftOut = LEFT_OUT.has(familyOf(name)) || familyOf(name).startsWith('request.');
      const text = canBeLeftOut
        ? `ALLOW with ${name} holds for a caller who has no such attribute at all`
        : `ALLOW with ${name} alone lets in every other value`;
      found.push(finding(canBeLeftOut ? 'negative-absent' : 'negative-allow', policy, rule, text));
    }
  }
  return found;
}

/** Whether another part of the rule asks for a value of the same attribute. */
function hasPositive(rule: Rule, name: string): boolean {
  const family = familyOf(name);
  return (
    rule.when.some(({ key, values }) => values.length > 0 && familyOf(key) === family) ||
    (rule.from.length > 0 &&
      rule.from.every((source) =>
        Object.entries(source).some(([field, of]) => of.length > 0 && !isNegative(field) && familyOf(field) === family),
      ))
  );
}

function isNegative(name: string): boolean {
  return /^not[A-Z ]/.test(name);
}

/** Attributes that say the same thing have one name. */
function familyOf(name: string): string {
  const plain = name.startsWith('not ') ? name.slice(4) : name.replace(/^not([A-Z])/, (_, first: string) => first.toLowerCase());
  if (IDENTITY.has(plain)) return 'identity';
  if (plain === 'requestPrincipals' || plain === 'request.auth.principal') return 'request.auth.principal';
  return plain;
}

function httpOnTcp(policy: Policy, rule: Rule, { rootNamespace, tcpPorts, workloads }: RuleSurroundings): readonly Finding[] {
  const isHttp =
    rule.to.some(({ hosts, methods, notHosts, notMethods, notPaths, paths }) =>
      [hosts, methods, notHosts, notMethods, notPaths, paths].some((of) => of.length > 0),
    ) ||
    rule.from.some(({ notRequestPrincipals, requestPrincipals }) => requestPrincipals.length + notRequestPrincipals.length > 0) ||
    rule.when.some(({ key }) => key.startsWith('request.'));
  if (!isHttp) return [];
  const named = new Set(rule.to.flatMap(({ ports }) => ports.map(Number)));
  for (const { key, values } of rule.when) if (key === 'destination.port') for (const port of values) named.add(Number(port));
  const selected = workloads.filter((workload) => selectsWorkload(policy, workload, rootNamespace));
  const ports = named.size > 0 ? [...named] : selected.flatMap((workload) => workload.ports.map(({ port }) => port));
  const carryNone = ports.filter((port) => tcpPorts.has(port));
  // Of ports that the rule names each counts; of others it is enough that one carries HTTP.
  if (carryNone.length === 0 || (named.size === 0 && carryNone.length < ports.length)) return [];
  const what =
    policy.action === 'ALLOW'
      ? 'the rule never allows anything there'
      : 'its conditions are ignored there, and it matches every connection';
  return [finding('http-field-on-tcp', policy, rule, `port ${carryNone.join(', ')} carries no HTTP: ${what}`)];
}

function deadValues(policy: Policy, rule: Rule): readonly Finding[] {
  const dead = (values: readonly string[], isDead: (value: string) => boolean, why: string): readonly Finding[] =>
    values.filter(isDead).map((value) => finding('dead-value', policy, rule, `"${value}" never matches: ${why}`));
  return [
    ...rule.to.flatMap(({ hosts, methods, notHosts, notMethods, notPaths, paths }) => [
      ...dead([...paths, ...notPaths], (path) => !/^[/*]/.test(path), 'a path starts with "/"'),
      ...dead([...paths, ...notPaths], (path) => /[?#]/.test(path), 'a path holds no query and no fragment'),
      ...dead(
        [...methods, ...notMethods],
        (method) => METHODS.has(method.toUpperCase()) && method !== method.toUpperCase(),
        'methods are compared with their case',
      ),
      ...dead([...hosts, ...notHosts], (host) => host.includes('/'), 'a host holds no "/"'),
    ]),
    ...rule.from.flatMap(({ namespaces, notNamespaces, notPrincipals, principals }) => [
      ...dead([...principals, ...notPrincipals], isNoPrincipal, 'a principal is written TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT'),
      ...dead(
        [...namespaces, ...notNamespaces],
        (name) => /[A-Z_]/.test(name),
        'a namespace holds lower-case letters, digits and "-"',
      ),
    ]),
    ...rule.when.flatMap(({ key, notValues, values }) =>
      key === 'source.principal'
        ? dead([...values, ...notValues], isNoPrincipal, 'a principal is written TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT')
        : [],
    ),
  ];
}

function isNoPrincipal(value: string): boolean {
  return !value.includes('*') && !/^[a-z0-9._-]+(?:\/[a-zA-Z0-9._-]+)+$/.test(value);
}

/** Only where the documents verify no token for any workload that the policy selects. */
function unverifiedTokens(policy: Policy, rule: Rule, { rootNamespace, set }: RuleSurroundings): readonly Finding[] {
  if (policy.action !== 'ALLOW' || policy.scope !== null) return [];
  const isToken =
    rule.from.some(({ requestPrincipals }) => requestPrincipals.length > 0) ||
    rule.when.some(({ key, values }) => key.startsWith('request.auth.') && values.length > 0);
  const verifies = set.requestAuthentications.some(
    ({ jwtRules, namespace }) =>
      jwtRules.length > 0 &&
      (namespace === policy.namespace || namespace === rootNamespace || policy.namespace === rootNamespace),
  );
  return isToken && !verifies
    ? [finding('token-unverified', policy, rule, 'no RequestAuthentication verifies tokens for the workloads of the policy')]
    : [];
}

function unknownCallers(policy: Policy, rule: Rule, { trustDomains, workloads }: RuleSurroundings): readonly Finding[] {
  if (workloads.length === 0) return [];
  const known = new Set(
    workloads.flatMap(({ namespace, serviceAccount }) =>
      trustDomains.map((own) => `${own}/ns/${namespace}/sa/${serviceAccount}`),
    ),
  );
  const isOurs = (principal: string): boolean => trustDomains.some((own) => principal.startsWith(`${own}/ns/`));
  return rule.from.flatMap(({ namespaces, principals, serviceAccounts }) => [
    ...principals
      .filter((principal) => !principal.includes('*') && isOurs(principal) && !known.has(principal))
      .map((principal) => finding('caller-unknown', policy, rule, `no workload has the identity ${principal}`)),
    ...serviceAccounts
      .map((account) => (account.includes('/') ? account : `${policy.namespace ?? 'default'}/${account}`))
      .filter((account) => !workloads.some(({ namespace, serviceAccount }) => `${namespace}/${serviceAccount}` === account))
      .map((account) => finding('caller-unknown', policy, rule, `no workload has the service account ${account}`)),
    ...namespaces
      .filter((name) => !name.includes('*') && !workloads.some(({ namespace }) => namespace === name))
      .map((name) => finding('caller-unknown', policy, rule, `no workload is in the namespace ${name}`)),
  ]);
}

function unknownPorts(policy: Policy, rule: Rule, { rootNamespace, workloads }: RuleSurroundings): readonly Finding[] {
  const selected = workloads.filter((workload) => selectsWorkload(policy, workload, rootNamespace));
  const known = new Set(selected.flatMap(({ ports }) => ports.map(({ port }) => port)));
  if (known.size === 0) return [];
  const missing = rule.to.flatMap(({ ports }) => ports.filter((port) => !known.has(Number(port))));
  return missing.map((port) => finding('port-unknown', policy, rule, `no workload that is selected has the port ${port}`));
}

const IDENTITY: ReadonlySet<string> = new Set([
  'principals',
  'namespaces',
  'serviceAccounts',
  'trustDomains',
  'source.principal',
  'source.namespace',
  'source.serviceAccount',
  'source.trustDomain',
]);
const LEFT_OUT: ReadonlySet<string> = new Set(['identity', 'connection.sni']);
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'CONNECT']);
