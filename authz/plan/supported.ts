/** What the interpreter decides and the planner cannot compile yet: refused by code, never left out of a module. */
import { PosternError } from '#base/error.ts';

import { policyTitle } from '../policy/model.ts';
import type { Policy } from '../policy/model.ts';
import type { WorkloadPolicies } from '../policy/workload-policies.ts';

/** @throws {PosternError} `policy_not_compilable` */
export function refuseUnsupported(set: WorkloadPolicies): void {
  for (const policy of set.policies) {
    const what = unsupportedPart(policy);
    if (what !== null) refuse(policyTitle(policy, set.namespace), what);
  }
  const [level] = set.levels;
  if (level !== undefined) refuse(level.path, 'policies that flow down the tree');
  if (set.network.length > 0) refuse(set.namespace, 'network policies');
  if (set.mtls !== null) refuse(set.mtls.policy, 'PeerAuthentication');
  if (set.spaceDelimitedClaims.length > 0) refuse(set.namespace, 'spaceDelimitedClaims');
}

function unsupportedPart({ action, mode, rules }: Policy): string | null {
  if (action !== 'ALLOW' && action !== 'DENY') return `the action ${action}`;
  if (mode !== 'enforce') return `the mode ${mode}`;
  return rules.some(({ strict }) => strict !== undefined) ? 'strict logic' : null;
}

function refuse(where: string, what: string): never {
  throw new PosternError('policy_not_compilable', `Cannot compile "${where}": the compiler does not know ${what} yet`);
}
