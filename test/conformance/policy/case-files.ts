/**
 * The data-driven suite: files of `cases/`, each a list of groups of policies and the requests that they are asked. A group's
 * policies are documents, or shorthand for one: `istio`, `access`, `cluster` and so on hold a `spec`, and may have `metadata` beside it.
 * A case is `allow` or `deny` with what differs from the ordinary request, and what else the answer must hold.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { parse } from 'yaml';

import { readPolicies } from '#authz/policy/read.ts';
import type { PolicySet } from '#authz/policy/policy-set.ts';
import { selectPolicies } from '#authz/policy/select.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';
import { readDecideQuestion } from '#cli/verbs/policy-decide-question.ts';
import type { DecideQuestion } from '#cli/verbs/policy-decide-question.ts';

export interface CaseGroup {
  readonly file: string;
  readonly about: string;
  readonly whenNoneSelects: 'allow' | 'deny';
  readonly set: WorkloadPolicies;
  readonly cases: readonly PolicyCase[];
}

export interface PolicyCase {
  readonly name: string;
  readonly question: DecideQuestion;
  readonly want: Readonly<Record<string, unknown>>;
}

export function readCaseFiles(): readonly CaseGroup[] {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'));
  return names.toSorted().flatMap((name) => {
    // Every file here is a list of groups.
    const groups = parse(readFileSync(join(FOLDER, name), 'utf8')) as readonly WrittenGroup[];
    return groups.map((group) => readGroup(name, group));
  });
}

interface WrittenGroup {
  readonly about: string;
  readonly policies: readonly Readonly<Record<string, unknown>>[];
  readonly workload?: object;
  readonly trustDomains?: readonly string[];
  readonly rootNamespace?: string;
  readonly whenNoneSelects?: 'allow' | 'deny';
  readonly at?: string;
  readonly base?: Readonly<Record<string, unknown>>;
  readonly cases: readonly Readonly<Record<string, unknown>>[];
}

function readGroup(file: string, group: WrittenGroup): CaseGroup {
  const { about, base = {}, policies, rootNamespace = 'istio-system', trustDomains = ['cluster.local'] } = group;
  const workload = { namespace: 'shop', labels: { app: 'orders' }, serviceAccount: 'orders', ...group.workload };
  const [trustDomain = '', ...trustDomainAliases] = trustDomains;
  const cases = group.cases.map((written) => readCase(written, base, workload));
  const nowMs = group.at === undefined ? 0 : Date.parse(group.at);
  const options = { rootNamespace, trustDomain, trustDomainAliases, nowMs };
  const set = selectPolicies(readSet(policies, `${file}: ${about}`), workload, options);
  return { file, about, whenNoneSelects: group.whenNoneSelects ?? 'allow', set, cases };
}

function readSet(policies: WrittenGroup['policies'], about: string): PolicySet {
  const text = policies.map((policy, index) => JSON.stringify(documentOf(policy, index))).join('\n---\n');
  const { faults, set } = readPolicies(text, about);
  if (faults.length > 0) throw new Error(`${about}: ${faults.map(({ message, path }) => `${path}: ${message}`).join('; ')}`);
  return set;
}

function documentOf(policy: Readonly<Record<string, unknown>>, index: number): object {
  const short = Object.keys(SHORTHANDS).find((name) => Object.hasOwn(policy, name));
  const shorthand = short === undefined ? undefined : SHORTHANDS[short];
  if (short === undefined || shorthand === undefined) return policy;
  // `metadata` of a case file is a mapping.
  const metadata = policy['metadata'] as object | undefined;
  const namespace = shorthand.isOfCluster === true ? {} : { namespace: 'shop' };
  const { apiVersion, kind } = shorthand;
  return { apiVersion, kind, metadata: { name: `p${index}`, ...namespace, ...metadata }, spec: policy[short] };
}

function readCase(written: Readonly<Record<string, unknown>>, base: object, workload: object): PolicyCase {
  const { allow, deny, ...rest } = written;
  const decision = allow === undefined ? 'deny' : 'allow';
  // What stands at `allow` or `deny` is a mapping of the fields below, or nothing.
  const patch = { ...ORDINARY, ...base, ...((allow ?? deny) as object | null) };
  const question = {
    workload,
    source: { principal: patch.principal, ip: patch.ip, remoteIp: patch.remoteIp, tags: patch.tags },
    destination: { ip: patch.destinationIp, port: patch.port },
    connection: { protocol: patch.protocol, tls: patch.tls, sni: patch.sni },
    request: { method: patch.method, authority: patch.host, path: patch.path, headers: patch.headers },
    tokens: patch.tokens,
    providers: patch.providers,
  };
  const name = `${decision} ${JSON.stringify(allow ?? deny ?? {})}`;
  return { name, question: readDecideQuestion(question, patch.pathPolicy), want: { effect: decision, ...rest } };
}

const ORDINARY = {
  principal: 'spiffe://cluster.local/ns/shop/sa/web' as string | null,
  ip: '10.1.2.3',
  remoteIp: null as string | null,
  tags: [] as readonly string[],
  destinationIp: '10.1.2.4',
  port: 8080,
  protocol: 'http',
  tls: true,
  sni: null as string | null,
  method: 'GET',
  host: 'orders.shop',
  path: '/orders/17',
  headers: [] as readonly (readonly [string, string])[],
  tokens: [] as readonly object[],
  providers: {} as Readonly<Record<string, string>>,
  pathPolicy: 'base' as const,
};

interface Shorthand {
  readonly apiVersion: string;
  readonly kind: string;
  readonly isOfCluster?: true;
}

const OURS = 'security.postern.mesh/v1alpha1';
const SHORTHANDS: Readonly<Record<string, Shorthand>> = {
  istio: { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy' },
  peer: { apiVersion: 'security.istio.io/v1', kind: 'PeerAuthentication' },
  jwt: { apiVersion: 'security.istio.io/v1', kind: 'RequestAuthentication' },
  access: { apiVersion: OURS, kind: 'AccessPolicy' },
  api: { apiVersion: OURS, kind: 'APIDefinition' },
  cluster: { apiVersion: OURS, kind: 'ClusterAccessPolicy', isOfCluster: true },
  tree: { apiVersion: OURS, kind: 'NamespaceTree', isOfCluster: true },
  network: { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' },
  clusterNetwork: { apiVersion: 'policy.networking.k8s.io/v1alpha2', kind: 'ClusterNetworkPolicy', isOfCluster: true },
  adminNetwork: { apiVersion: 'policy.networking.k8s.io/v1alpha1', kind: 'AdminNetworkPolicy', isOfCluster: true },
  baselineNetwork: { apiVersion: 'policy.networking.k8s.io/v1alpha1', kind: 'BaselineAdminNetworkPolicy', isOfCluster: true },
  inventory: { apiVersion: OURS, kind: 'Inventory', isOfCluster: true },
};
const FOLDER = join(import.meta.dirname, 'cases');
