/**
 * Kubernetes' policies of the network layer, all tiers in one form: NetworkPolicy, ClusterNetworkPolicy (v1alpha2), and before it
 * AdminNetworkPolicy and BaselineAdminNetworkPolicy (v1alpha1). Checked but not interpreted; plain data.
 */
import type { Position } from '../model.ts';

export interface NetworkPolicy {
  readonly tier: 'Admin' | 'Namespace' | 'Baseline';
  /** Null for a policy of the cluster. */
  readonly namespace: string | null;
  readonly name: string;
  /** Within the Admin and Baseline tiers, lower first. */
  readonly priority: number;
  readonly subject: PodSelection;
  /** Null for a direction of which the policy says nothing. An empty list is something: it isolates. */
  readonly ingress: readonly NetworkPolicyRule[] | null;
  readonly egress: readonly NetworkPolicyRule[] | null;
  readonly position: Position;
}

export interface NetworkPolicyRule {
  readonly name: string;
  readonly action: 'accept' | 'deny' | 'pass';
  /** Any of them; null for everybody. */
  readonly peers: readonly NetworkPeer[] | null;
  /** Any of them; null for every port of every protocol. */
  readonly ports: readonly NetworkPort[] | null;
  readonly position: Position;
}

export type NetworkPeer =
  | { readonly kind: 'pods'; readonly selection: PodSelection }
  | { readonly kind: 'block'; readonly cidr: string; readonly except: readonly string[] }
  /** Nodes, or domain names: never a workload with an identity. */
  | { readonly kind: 'other'; readonly what: string };

/** Pods by their namespace and their own labels. */
export interface PodSelection {
  /** Null for the namespace of the policy alone. */
  readonly namespaces: LabelSelector | null;
  /** Null for all pods. */
  readonly pods: LabelSelector | null;
}

export type NetworkPort =
  | { readonly protocol: Protocol; readonly low: number; readonly high: number }
  /** `protocol` is null where any counts. */
  | { readonly protocol: Protocol | null; readonly name: string };

export type Protocol = 'TCP' | 'UDP' | 'SCTP';

/** All of its requirements must hold; without any it selects everything. */
export interface LabelSelector {
  readonly requirements: readonly LabelRequirement[];
}

export interface LabelRequirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values: readonly string[];
}

export function selectsLabels({ requirements }: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  return requirements.every(({ key, operator, values }) => {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
    switch (operator) {
      case 'In':
        return value !== undefined && values.includes(value);
      case 'NotIn':
        return value === undefined || !values.includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
    }
  });
}

/** Whether it selects by nothing at all. */
export function selectsAll(selector: LabelSelector | null): boolean {
  return selector === null || selector.requirements.length === 0;
}

/** Set by Kubernetes on every namespace. */
export const NAMESPACE_LABEL = 'kubernetes.io/metadata.name';
