/**
 * How policies flow down the namespace tree to one workload. Musts and ceilings of every node above it hold, whatever stands below
 * (workload-policies.ts). Defaults hold until they are overridden: going up from the workload's own policies, node by node, the
 * first that has an ALLOW ends the walk; ALLOWs further up are overridden by it, and DENYs further up, too.
 */
import type { Policy } from './model.ts';
import { ancestryOf } from './tree.ts';
import type { InheritedLevel } from './workload-policies.ts';

/** Levels with musts or ceilings, from the root downwards. @param clustered  those that select the workload, in force */
export function levelsOf(clustered: readonly Policy[], path: string): readonly InheritedLevel[] {
  return ancestryOf(path).flatMap((node) => {
    const here = clustered.filter(({ scope }) => scope?.path === node);
    const ceilings = here.filter(({ scope }) => scope?.inheritance === 'ceiling').toSorted(byName);
    const musts = here.filter(({ scope }) => scope?.inheritance === 'must').toSorted(byOrder);
    return ceilings.length + musts.length === 0 ? [] : [{ path: node, ceilings, musts }];
  });
}

/** Defaults that nothing overrides. AUDIT and what is not enforced is never overridden: it changes no decision. */
export function effectiveDefaults(own: readonly Policy[], clustered: readonly Policy[], path: string): readonly Policy[] {
  const found: Policy[] = [];
  let isOverridden = own.some(isEnforcedAllow);
  for (const node of ancestryOf(path).toReversed()) {
    const here = clustered.filter(({ scope }) => scope?.path === node && scope.inheritance === 'default');
    for (const policy of here) {
      if (!isOverridden || policy.mode !== 'enforce' || policy.action === 'AUDIT') found.push(policy);
    }
    isOverridden ||= here.some(isEnforcedAllow);
  }
  return found;
}

function isEnforcedAllow({ action, mode }: Policy): boolean {
  return action === 'ALLOW' && mode === 'enforce';
}

function byOrder(left: Policy, right: Policy): number {
  const priority = (left.scope?.priority ?? 0) - (right.scope?.priority ?? 0);
  if (priority !== 0) return priority;
  const [denies, allows] = [left.action === 'ALLOW', right.action === 'ALLOW'];
  return denies === allows ? byName(left, right) : denies ? 1 : -1;
}

function byName(left: Policy, right: Policy): number {
  if (left.name === right.name) return 0;
  return left.name < right.name ? -1 : 1;
}
