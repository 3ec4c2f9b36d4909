/**
 * What becomes of requests that no operation of a workload's API knows, with `validate` of those whose parameters are not what their
 * operation asks for, and of those with an encoded slash that their operation does not mean: denied, told, or let be. It is a must of
 * the workload's own node, so that it grants nothing and counts as no policy that selects the workload.
 */
import { PosternError } from '#base/error.ts';

import type { ApiDefinition, ApiOperation, ApiOperations } from './api-definition.ts';
import { strayEncodedSlashes } from './encoded-slashes.ts';
import type { Expression } from './expression.ts';
import type { PolicyLoss } from './losses.ts';
import type { Policy, Rule, Workload } from './model.ts';
import { hasLabels } from './model.ts';
import { isMethod, operationExpression, pathIsOf } from './operations.ts';
import { brokenParameters } from './parameter-checks.ts';

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
    if (!isBoundTo(api, workload) || api.unknownOperations === 'Allow') continue;
    const known = operations.get(title) ?? [];
    if (known.length === 0) {
      const message = `Cannot compile the API "${title}": its description was not read`;
      throw new PosternError('policy_api_unread', message, 'Write unknownOperations: Allow, or import the description');
    }
    musts.push(mustOf(api, workload, known));
  }
  return { musts, losses };
}

/** Whether an API is that of a workload. One without a selector only names operations. */
export function isBoundTo({ namespace, selector }: ApiDefinition, workload: Workload): boolean {
  const isNear = (namespace ?? workload.namespace) === workload.namespace;
  return isNear && Object.keys(selector).length > 0 && hasLabels(workload, selector);
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
  if (validate.length > 0 && (unknown === 'Allow' || Object.keys(selector).length === 0)) {
    losses.push({ code: 'api_not_enforced', policy: title, message: `validate: ${validate.join(', ')}` });
  }
  if (pathPolicy !== null) losses.push({ code: 'api_not_enforced', policy: title, message: `pathPolicy: ${pathPolicy}` });
  return losses;
}

function mustOf(api: ApiDefinition, workload: Workload, known: readonly ApiOperation[]): Policy {
  const rule = (name: string, to: readonly Expression[]): Rule => {
    return { name, from: [], to: [], when: [], strict: { from: [], to, when: [] }, position: api.position };
  };
  const broken = isBroken(known, api.validate);
  const stray = strayEncodedSlashes(known);
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
    rules: [
      rule('unknown-operation', isUnknown(known)),
      ...(broken.length === 0 ? [] : [rule('broken-parameter', broken)]),
      ...(stray.length === 0 ? [] : [rule('encoded-slash', stray)]),
    ],
    position: api.position,
  };
}

/**
 * The method is none of the API's, or the path none of its method's. Said method by method: as the negation of all operations it
 * would double with each.
 */
function isUnknown(known: readonly ApiOperation[]): readonly Expression[] {
  const byMethod = Map.groupBy(known, ({ method }) => method);
  // Raw TCP has no method, and no operation to be unknown.
  const isRequest: Expression = { kind: 'present', attribute: { kind: 'method' } };
  return [
    { kind: 'all', of: [isRequest, { kind: 'not', of: isMethod([...byMethod.keys()]) }] },
    ...[...byMethod].map(([method, operations]): Expression => {
      const isPath = pathIsOf([...new Set(operations.map(({ path }) => path))]);
      return { kind: 'all', of: [isMethod([method]), { kind: 'not', of: isPath }] };
    }),
  ];
}

/** The request is of an operation, and a parameter is not what that asks for. */
function isBroken(known: readonly ApiOperation[], validate: ApiDefinition['validate']): readonly Expression[] {
  return known.flatMap((operation) => {
    const broken = brokenParameters(operation, validate);
    if (broken.length === 0) return [];
    return [{ kind: 'all', of: [operationExpression(operation, known), { kind: 'any', of: broken }] } as const];
  });
}
