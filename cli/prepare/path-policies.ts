/**
 * APIs say in which canonical form their paths are meant, listeners which they make. Where the two differ, the policies would be about
 * other paths than those that are forwarded: the set is refused.
 */
import type { PolicySet } from '#authz/policy/policy-set.ts';
import type { Workload } from '#authz/policy/model.ts';
import { isBoundTo } from '#authz/policy/unknown-operations.ts';
import type { ProxyConfig } from '#proto/config/proxy.ts';
import type { DocumentFault } from '#proto/prepare.ts';

export function pathPolicyFaults({ apis }: PolicySet, workload: Workload, { inbound }: ProxyConfig): readonly DocumentFault[] {
  return apis.flatMap((api): readonly DocumentFault[] => {
    if (api.pathPolicy === null || !isBoundTo(api, workload)) return [];
    const at = inbound.findIndex(({ pathPolicy }) => pathPolicy !== api.pathPolicy);
    const found = inbound[at]?.pathPolicy;
    if (found === undefined) return [];
    const message = `Cannot hold to the API "${api.name}": found pathPolicy ${found} in inbound[${at}], wanted ${api.pathPolicy}`;
    const fix = `Say pathPolicy: ${api.pathPolicy} there, or the same in both`;
    return [{ ...api.position, code: 'PN0404', path: 'spec.pathPolicy', message, fix }];
  });
}
