/**
 * The benchmark's policies in casbin, of each rule its first principal, path and methods only: casbin has one line for each
 * combination, and its matchers know no more. So its answers are not compared, only its time.
 */
import { StringAdapter, newEnforcer, newModel } from 'casbin';

import type { AuthzInput } from '#authz/engine/input.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';

export async function casbinJudge(set: WorkloadPolicies): Promise<(input: AuthzInput) => boolean> {
  const lines = set.policies.flatMap(({ action, rules }) =>
    rules.map(({ from: [source], to: [operation] }) => {
      const subject = source?.principals[0] ?? '*';
      const path = (operation?.paths[0] ?? '*').replace(/\{\*.*$/, '*');
      return `p, ${subject}, ${path}, ${operation?.methods[0] ?? '*'}, ${action === 'DENY' ? 'deny' : 'allow'}`;
    }),
  );
  const enforcer = await newEnforcer(newModel(MODEL), new StringAdapter(lines.join('\n')));
  return ({ connection, request }) =>
    enforcer.enforceSync(connection.principal?.slice('spiffe://'.length) ?? '', request?.path ?? '', request?.method ?? '');
}

const MODEL = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act, eft
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = keyMatch(r.sub, p.sub) && keyMatch(r.obj, p.obj) && (p.act == "*" || r.act == p.act)
`;
