/** Random namespace trees with policies of every kind on their nodes, and requests about what they name. */
import type { Random } from '#authz/engine/samples.ts';
import type { AuthzInput } from '#authz/engine/input.ts';
import type { PolicySet } from '#authz/policy/policy-set.ts';
import { readPolicies } from '#authz/policy/read.ts';

/** A tree of one to four levels above the namespace `shop`. */
export interface RandomTree {
  readonly set: PolicySet;
  /** Where `shop` lies. */
  readonly path: string;
}

export function randomTree(random: Random): RandomTree {
  const pick = <T>(items: readonly T[]): T => {
    const item = items[Math.floor(random() * items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  };
  const depth = 1 + Math.floor(random() * 4);
  const path = `/${['acme', 'prod', 'eu', 'shop'].slice(0, depth).join('/')}`;
  const documents: object[] = [
    {
      apiVersion: OURS,
      kind: 'NamespaceTree',
      metadata: { name: 'tree' },
      spec: { namespaces: [{ path, kubeNamespaces: ['shop'] }] },
    },
  ];
  const rule = (): object => {
    const made: Record<string, unknown> = {};
    if (random() < 0.5) made['from'] = [{ [pick(['namespaces', 'notNamespaces'])]: [pick(NAMESPACES)] }];
    if (random() < 0.3) made['from'] = [{ [pick(['tags', 'notTags'])]: [pick(TAGS)] }];
    if (random() < 0.7)
      made['to'] = [{ [pick(['methods', 'notMethods'])]: [pick(METHODS)], ...(random() < 0.5 ? { paths: [pick(PATHS)] } : {}) }];
    if (random() < 0.2) made['when'] = [{ key: 'request.headers[x-a]', [pick(['values', 'notValues'])]: ['1'] }];
    return made;
  };
  const rules = (): readonly object[] => Array.from({ length: 1 + Math.floor(random() * 3) }, rule);
  const nodes = [
    '/',
    ...Array.from(
      { length: depth },
      (_, index) =>
        `/${path
          .slice(1)
          .split('/')
          .slice(0, index + 1)
          .join('/')}`,
    ),
    '/elsewhere',
  ];
  for (const [index, node] of nodes.entries()) {
    for (let count = Math.floor(random() * 3); count > 0; count--) {
      const inheritance = pick(['must', 'ceiling', 'default']);
      const action = inheritance === 'ceiling' ? 'ALLOW' : pick(['ALLOW', 'DENY']);
      const mode = random() < 0.1 ? 'audit' : 'enforce';
      const metadata = { name: `n${index}-${count}` };
      const spec = { scope: { path: node }, inheritance, action, mode, priority: Math.floor(random() * 3), rules: rules() };
      documents.push({ apiVersion: OURS, kind: 'ClusterAccessPolicy', metadata, spec });
    }
  }
  for (let count = Math.floor(random() * 3); count > 0; count--) {
    const spec = { action: pick(['ALLOW', 'ALLOW', 'DENY']), rules: rules() };
    documents.push({ apiVersion: OURS, kind: 'AccessPolicy', metadata: { name: `p${count}`, namespace: 'shop' }, spec });
  }
  const { faults, set } = readPolicies(documents.map((document) => JSON.stringify(document)).join('\n---\n'), 'tree.yaml');
  if (faults.length > 0) throw new Error(faults.map(({ message }) => message).join('; '));
  return { set, path };
}

/** Every request that the values of the trees tell apart, or nearly. */
export function randomRequest(random: Random): AuthzInput {
  const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)];
  const namespace = pick([...NAMESPACES, 'other', null]) ?? null;
  const tag = pick([...TAGS, 'env=test', null]) ?? null;
  const header = pick(['1', '2', null]) ?? null;
  const connection = {
    principal: namespace === null ? null : `spiffe://td/ns/${namespace}/sa/x`,
    sourceIp: '10.0.0.1',
    remoteIp: '10.0.0.1',
    destinationIp: '10.0.0.2',
    destinationPort: 8080,
    sni: null,
    tls: namespace !== null,
    tags: tag === null ? [] : [tag],
  };
  if (random() < 0.1) return { connection: { ...connection, protocol: 'tcp' }, request: null };
  const fields = { values: (name: string): readonly string[] => (name === 'x-a' && header !== null ? [header] : []) };
  const request = {
    method: pick([...METHODS, 'PATCH']) ?? 'GET',
    authority: 'shop',
    path: pick(['/a', '/a/b', '/b', '/c/d']) ?? '/',
    fields,
    tokens: [],
  };
  return { connection: { ...connection, protocol: 'http' }, request };
}

const OURS = 'security.postern.mesh/v1alpha1';
const NAMESPACES = ['shop', 'web', 'ops'];
const TAGS = ['env=prod', 'env=dev', 'tier=front'];
const METHODS = ['GET', 'PUT', 'DELETE'];
const PATHS = ['/a', '/a/*', '/b', '/c/{*}'];
