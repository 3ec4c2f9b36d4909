/** The kinds of document that say something about who may do what, each with its group, its versions and its reader. */
import { readAccessPolicy, readClusterAccessPolicy } from './access-policy.ts';
import { readApiDefinition } from './api-definition.ts';
import type { FaultList, FieldReader } from './fields.ts';
import { readAuthorizationPolicy } from './istio-authorization-policy.ts';
import { readNamespaceTree } from './namespace-tree.ts';
import { readInventory } from './network/inventory.ts';
import { readClusterNetworkPolicy } from './network/read-cluster-network-policy.ts';
import { readNetworkPolicy } from './network/read-network-policy.ts';
import { readPeerAuthentication } from './peer-authentication.ts';
import { EMPTY_SET } from './policy-set.ts';
import type { PolicySet } from './policy-set.ts';
import { readRequestAuthentication } from './request-authentication.ts';

export interface PolicyKind {
  readonly group: string;
  readonly versions: readonly string[];
  readonly kind: string;
  /** Kinds of one family share their names, because decisions name them alike. */
  readonly family: string;
  /** What a document adds to a set, or null when `faults` says why it adds nothing. */
  read(document: FieldReader, faults: FaultList): PolicySet | null;
}

const ISTIO = 'security.istio.io';
const OURS = 'security.postern.mesh';
const NETWORK = 'policy.networking.k8s.io';

export const KINDS: readonly PolicyKind[] = [
  {
    group: ISTIO,
    versions: ['v1', 'v1beta1'],
    kind: 'AuthorizationPolicy',
    family: 'policy',
    read: (document, faults) => adding('policies', readAuthorizationPolicy(document, faults)),
  },
  {
    group: ISTIO,
    versions: ['v1', 'v1beta1'],
    kind: 'RequestAuthentication',
    family: 'RequestAuthentication',
    read: (document, faults) => adding('requestAuthentications', readRequestAuthentication(document, faults)),
  },
  {
    group: ISTIO,
    versions: ['v1', 'v1beta1'],
    kind: 'PeerAuthentication',
    family: 'PeerAuthentication',
    read: (document, faults) => adding('peerAuthentications', readPeerAuthentication(document, faults)),
  },
  {
    group: OURS,
    versions: ['v1alpha1'],
    kind: 'AccessPolicy',
    family: 'policy',
    read: (document, faults) => adding('policies', readAccessPolicy(document, faults)),
  },
  { group: OURS, versions: ['v1alpha1'], kind: 'ClusterAccessPolicy', family: 'cluster', read: readCluster },
  {
    group: OURS,
    versions: ['v1alpha1'],
    kind: 'NamespaceTree',
    family: 'NamespaceTree',
    read: (document, faults) => adding('trees', readNamespaceTree(document, faults)),
  },
  {
    group: OURS,
    versions: ['v1alpha1'],
    kind: 'APIDefinition',
    family: 'APIDefinition',
    read: (document, faults) => adding('apis', readApiDefinition(document, faults)),
  },
  {
    group: OURS,
    versions: ['v1alpha1'],
    kind: 'Inventory',
    family: 'Inventory',
    read: (document, faults) => adding('inventories', readInventory(document, faults)),
  },
  {
    group: 'networking.k8s.io',
    versions: ['v1'],
    kind: 'NetworkPolicy',
    family: 'NetworkPolicy',
    read: (document, faults) => adding('networkPolicies', readNetworkPolicy(document, faults)),
  },
  clusterNetworkKind('ClusterNetworkPolicy', 'v1alpha2'),
  clusterNetworkKind('AdminNetworkPolicy', 'v1alpha1'),
  clusterNetworkKind('BaselineAdminNetworkPolicy', 'v1alpha1'),
];

function clusterNetworkKind(
  kind: 'ClusterNetworkPolicy' | 'AdminNetworkPolicy' | 'BaselineAdminNetworkPolicy',
  version: string,
): PolicyKind {
  const read: PolicyKind['read'] = (document, faults) =>
    adding('networkPolicies', readClusterNetworkPolicy(document, kind, faults));
  return { group: NETWORK, versions: [version], kind, family: kind, read };
}

function readCluster(document: FieldReader, faults: FaultList): PolicySet | null {
  const read = readClusterAccessPolicy(document, faults);
  if (read === null) return null;
  return { ...EMPTY_SET, policies: [read.policy], strictMtls: read.isStrictMtls ? [read.policy] : [] };
}

function adding<K extends keyof PolicySet>(member: K, value: PolicySet[K][number] | null): PolicySet | null {
  return value === null ? null : { ...EMPTY_SET, [member]: [value] };
}
