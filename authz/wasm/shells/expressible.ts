/** What a foreign host can be asked: a policy that reads anything else is refused when it is compiled, never judged by half. */
import { PosternError } from '#base/error.ts';
import type { CompiledSlot, SlotSource } from '../../plan/compiled.ts';
import type { Plan } from '../../plan/plan.ts';
import type { WorkloadPolicies } from '../../policy/workload-policies.ts';
import type { IdentitySlots } from './identity-functions.ts';

/** @throws {PosternError} `policy_not_expressible` */
export function refuseInexpressible(
  host: string,
  plan: Plan,
  set: WorkloadPolicies,
  unknown: ReadonlySet<SlotSource['kind']>,
): void {
  for (const { source } of plan.slots) {
    if (source.kind === 'provider') refuse(host, 'policies that ask an external authorizer');
    if (unknown.has(source.kind)) refuse(host, `the attribute "${source.kind}"`);
    if (source.kind === 'claim' && set.spaceDelimitedClaims.length > 0) refuse(host, 'spaceDelimitedClaims');
    if (source.kind === 'header' && NOT_FIELDS.has(source.name)) refuse(host, `the header "${source.name}"`);
  }
  if (plan.reportCount > 0) refuse(host, 'policies that audit or are not enforced');
}

export function identitySlots(slots: readonly CompiledSlot[]): IdentitySlots {
  const of = (kind: SlotSource['kind']): number => slots.find(({ source }) => source.kind === kind)?.descriptor ?? 0;
  return {
    principal: of('principal'),
    trustDomain: of('trustDomain'),
    namespace: of('namespace'),
    account: of('account'),
    anyNamespace: of('anyNamespace'),
    anyAccount: of('anyAccount'),
  };
}

function refuse(host: string, what: string): never {
  throw new PosternError(
    'policy_not_expressible',
    `Cannot compile the policies for ${host}: it cannot be asked for ${what}`,
    'Leave it to a Postern sidecar, or write the policy without it',
  );
}

/** Other hosts know it as the authority alone. */
const NOT_FIELDS: ReadonlySet<string> = new Set(['host', ':path', ':scheme', ':protocol']);
