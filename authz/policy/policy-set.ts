/** All documents of a source that say who may do what, before any workload is asked about. Plain data. */
import type { ApiDefinition } from './api-definition.ts';
import type { PeerAuthentication, RequestAuthentication } from './authentication.ts';
import type { Policy } from './model.ts';
import type { Inventory } from './network/inventory.ts';
import type { NetworkPolicy } from './network/network-policy.ts';
import type { NamespaceTree } from './tree.ts';

export interface PolicySet {
  readonly policies: readonly Policy[];
  readonly peerAuthentications: readonly PeerAuthentication[];
  readonly requestAuthentications: readonly RequestAuthentication[];
  /** Policies of the cluster (members of `policies`, too) that demand mutual TLS of everything below their node. */
  readonly strictMtls: readonly Policy[];
  readonly trees: readonly NamespaceTree[];
  readonly apis: readonly ApiDefinition[];
  readonly networkPolicies: readonly NetworkPolicy[];
  readonly inventories: readonly Inventory[];
}

/** A set of nothing but policies. */
export function setOfPolicies(policies: readonly Policy[]): PolicySet {
  return { ...EMPTY_SET, policies };
}

export function joinSets(sets: readonly PolicySet[]): PolicySet {
  return {
    policies: sets.flatMap(({ policies }) => policies),
    peerAuthentications: sets.flatMap(({ peerAuthentications }) => peerAuthentications),
    requestAuthentications: sets.flatMap(({ requestAuthentications }) => requestAuthentications),
    strictMtls: sets.flatMap(({ strictMtls }) => strictMtls),
    trees: sets.flatMap(({ trees }) => trees),
    apis: sets.flatMap(({ apis }) => apis),
    networkPolicies: sets.flatMap(({ networkPolicies }) => networkPolicies),
    inventories: sets.flatMap(({ inventories }) => inventories),
  };
}

export const EMPTY_SET: PolicySet = Object.freeze({
  policies: [],
  peerAuthentications: [],
  requestAuthentications: [],
  strictMtls: [],
  trees: [],
  apis: [],
  networkPolicies: [],
  inventories: [],
});
