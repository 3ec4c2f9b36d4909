/**
 * What becomes of requests that no operation of a workload's API knows: denied, told, or let be. It is a must of the workload's own
 * node, so that it grants nothing and counts as no policy that selects the workload.
 */
import { PosternError } from '#base/error.ts';

import type { ApiDefinition, ApiOperations } from './api-definition.ts';
import type { Expression } from './expression.ts';
import type { PolicyLoss } from './losses.ts';
import type { Policy, Workload } from './model.ts';
import { hasLabels } from './model.ts';
import { methodAndPath } from './operations.ts';

export interface UnknownOperations {
  readonly musts: readonly Policy[];
  readonly losses: readonly PolicyLoss[];
}

/** @throws {PosternError} `policy_api_unread` for an API whose description nobody has read */
export function unknownOperations(
  apis: readonly ApiDefinition[],
  operations: ApiOperations,
  workload: Workload,
): UnknownOperations {
  const musts: Policy[] = [];
  const losses: PolicyLoss[] = [];
  for (const api of apis.filter(({ namespace }) => (namespace ?? workload.namespace) === workload.namespace)) {
    const title = `${workload.namespace}/${api.name}`;
    losses.push(...lossesOf(api, title));
    const isBound = Object.keys(api.selector).length > 0 && hasLabels(workload, api.selector);
    if (!isBound || api.unknownOperations === 'Allow') continue;
    const known = operations.get(title) ?? [];
    if (known.length === 0) {
      const message = `Cannot compile the API "${title}": its description was not read`;
      throw new PosternError('policy_api_unread', message, 'Write unknownOperations: Allow, or import the description');
    }
    musts.push(
      mustOf(
        api,
        workload,
        known.map((operation) => ({ kind: 'all', of: methodAndPath(operation) })),
      ),
    );
  }
  return { musts, losses };
}

function lossesOf(
  { pathPolicy, selector, unknownOperations: unknown, validate }: ApiDefinition,
  title: string,
): readonly PolicyLoss[] {
  const losses: PolicyLoss[] = [];
  if (unknown !== null && unknown !== 'Allow' && Object.keys(selector).length === 0) {
    const message = `unknownOperations: ${unknown} needs a selector`;
    losses.push({ code: 'api_unbound', policy: title, message });
  }
  if (validate.length > 0) losses.push({ code: 'api_not_enforced', policy: title, message: `validate: ${validate.join(', ')}` });
  if (pathPolicy !== null) losses.push({ code: 'api_not_enforced', policy: title, message: `pathPolicy: ${pathPolicy}` });
  return losses;
}

function mustOf(api: ApiDefinition, workload: Workload, known: readonly Expression[]): Policy {
  // Raw TCP has no method, and no operation to be unknown.
  const isRequest: Expression = { kind: 'present', attribute: { kind: 'method' } };
  const isUnknown: Expression = { kind: 'not', of: { kind: 'any', of: known } };
  const strict = { from: [], to: [{ kind: 'all', of: [isRequest, isUnknown] } as const], when: [] };
  return {
    namespace: workload.namespace,
    name: api.name,
    action: api.unknownOperations === 'Report' ? 'AUDIT' : 'DENY',
    mode: 'enforce',
    provider: null,
    scope: null,
    validity: null,
    selector: api.selector,
    isForGateways: false,
    rules: [{ name: 'unknown-operation', from: [], to: [], when: [], strict, position: api.position }],
    position: api.position,
  };
}
