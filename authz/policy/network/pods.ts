/**
 * What a selection of pods says about identities: which service accounts it means wholly, and which only in part. An account that
 * pods within and without the selection share is told apart by their addresses where the inventory has them.
 */
import type { Expression } from '../expression.ts';
import type { Lose } from '../losses.ts';
import type { Inventory, InventoryWorkload } from './inventory.ts';
import type { PodSelection } from './network-policy.ts';
import { NAMESPACE_LABEL, selectsAll, selectsLabels } from './network-policy.ts';

/** Whether a pod is selected. @param home  the policy's own namespace */
export function selectsPod(
  { namespaces, pods }: PodSelection,
  pod: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  home: string | null,
  inventory: Inventory,
): boolean {
  const isInNamespace =
    namespaces === null ? pod.namespace === home : selectsLabels(namespaces, namespaceLabels(inventory, pod.namespace));
  return isInNamespace && (pods === null || selectsLabels(pods, pod.labels));
}

/**
 * Callers that a selection means, as an expression.
 *
 * @param lets  whether matching lets somebody in: then a shared account counts only if all of its pods are selected, else if any is
 * @param lose  told what was lost
 */
export function callersOf(
  selection: PodSelection,
  home: string | null,
  inventory: Inventory,
  lets: boolean,
  lose: Lose,
): Expression {
  if (selectsAll(selection.pods)) return wholeNamespaces(selection, home, inventory, lose);
  const parts: Expression[] = [];
  for (const [account, workloads] of Map.groupBy(inventory.workloads, accountOf)) {
    const selected = workloads.filter((workload) => selectsPod(selection, workload, home, inventory));
    if (selected.length === 0) continue;
    const identity = accountExpression([account]);
    if (selected.length === workloads.length) parts.push(identity);
    else if (selected.every(({ ips }) => ips.length > 0)) parts.push({ kind: 'all', of: [identity, addresses(selected)] });
    else {
      lose('identity_shared', `${account} is the account of pods within and without the selection`);
      if (!lets) parts.push(identity);
    }
  }
  return { kind: 'any', of: parts };
}

/** Everybody in some namespaces, also those whom the inventory does not know. */
function wholeNamespaces({ namespaces }: PodSelection, home: string | null, inventory: Inventory, lose: Lose): Expression {
  if (namespaces === null) return namespaceExpression(home === null ? [] : [home]);
  if (namespaces.requirements.length === 0) return { kind: 'present', attribute: { kind: 'namespace' } };
  const known = new Set([
    ...inventory.namespaces.map(({ name }) => name),
    ...inventory.workloads.map(({ namespace }) => namespace),
    // What Kubernetes calls a namespace needs no inventory.
    ...namespaces.requirements.flatMap(({ key, operator, values }) =>
      key === NAMESPACE_LABEL && operator === 'In' ? values : [],
    ),
  ]);
  for (const { key } of namespaces.requirements) {
    if (key !== NAMESPACE_LABEL && inventory.namespaces.length === 0)
      lose('namespace_unknown', `no namespace's label "${key}" is known`);
  }
  return namespaceExpression([...known].filter((name) => selectsLabels(namespaces, namespaceLabels(inventory, name))));
}

export function namespaceLabels({ namespaces }: Inventory, name: string): Readonly<Record<string, string>> {
  const labels = namespaces.find((namespace) => namespace.name === name)?.labels ?? {};
  return { ...labels, [NAMESPACE_LABEL]: name };
}

export function accountOf({ namespace, serviceAccount }: InventoryWorkload): string {
  return `${namespace}/${serviceAccount}`;
}

export function accountExpression(accounts: readonly string[]): Expression {
  const comparisons = accounts.map((text) => ({ form: 'exact', text }) as const);
  return { kind: 'match', attribute: { kind: 'serviceAccount' }, values: 'any', comparisons };
}

export function namespaceExpression(names: readonly string[]): Expression {
  const comparisons = names.toSorted().map((text) => ({ form: 'exact', text }) as const);
  return { kind: 'match', attribute: { kind: 'namespace' }, values: 'any', comparisons };
}

export function addresses(workloads: readonly InventoryWorkload[]): Expression {
  const comparisons = workloads.flatMap(({ ips }) => ips).map((text) => ({ form: 'cidr', text }) as const);
  return { kind: 'match', attribute: { kind: 'sourceIp' }, values: 'any', comparisons };
}
