/** Workloads that documents tell apart: one for each selector, label and inventory entry. */
import type { Workload } from '../policy/model.ts';
import type { PolicySet } from '../policy/policy-set.ts';

/** @param most  further ones are left out */
export function workloadsToldApart(set: PolicySet, rootNamespace: string, most: number): readonly Workload[] {
  const found = new Map<string, Workload>();
  const add = (namespace: string, labels: Workload['labels'], serviceAccount: string | null): void => {
    if (found.size < most) found.set(JSON.stringify([namespace, labels]), { namespace, labels, serviceAccount });
  };
  for (const { workloads } of set.inventories)
    for (const { labels, namespace, serviceAccount } of workloads) add(namespace, labels, serviceAccount);
  if (set.inventories.length > 0) return [...found.values()];
  for (const { namespace, scope, selector } of set.policies) if (scope === null) add(namespace ?? 'default', selector, null);
  for (const { namespace, selector } of set.apis) add(namespace ?? 'default', selector, null);
  for (const { paths } of set.trees) for (const namespace of Object.keys(paths)) add(namespace, {}, null);
  // A policy of the root namespace is meant for others, and is looked at where they stand.
  const others = [...found.values()].filter(({ namespace }) => namespace !== rootNamespace);
  return others.length === 0 ? [...found.values()] : others;
}
