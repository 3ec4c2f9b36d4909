/**
 * Puts methods and paths in the place of operations that rules name. A request is of the operation whose path fits it best: where
 * `/users/me` and `/users/{*}` are two operations, the latter does not take the former's requests.
 */
import { PosternError } from '#base/error.ts';

import type { ApiOperation, ApiOperations } from './api-definition.ts';
import type { Comparison, Expression } from './expression.ts';
import type { Policy, Rule } from './model.ts';

/** @throws {PosternError} `policy_operation_unknown` for an API or an operation that is not there */
export function resolveOperations(policy: Policy, apis: ApiOperations): Policy {
  if (!policy.rules.some(namesOperations)) return policy;
  const rules = policy.rules.map((rule) => {
    if (rule.strict === undefined) return rule;
    const { from, to, when } = rule.strict;
    const resolve = (expression: Expression): Expression => resolved(expression, policy, apis);
    return { ...rule, strict: { from: from.map(resolve), to: to.map(resolve), when: when.map(resolve) } };
  });
  return { ...policy, rules };
}

function namesOperations({ strict }: Rule): boolean {
  return strict !== undefined && strict.to.some(hasOperations);
}

function hasOperations(expression: Expression): boolean {
  if (expression.kind === 'operations') return true;
  if (expression.kind === 'not') return hasOperations(expression.of);
  return (expression.kind === 'all' || expression.kind === 'any') && expression.of.some(hasOperations);
}

function resolved(expression: Expression, policy: Policy, apis: ApiOperations): Expression {
  switch (expression.kind) {
    case 'not':
      return { kind: 'not', of: resolved(expression.of, policy, apis) };
    case 'all':
    case 'any':
      return { kind: expression.kind, of: expression.of.map((inner) => resolved(inner, policy, apis)) };
    case 'operations': {
      const operations = apis.get(expression.api);
      if (operations === undefined) throw unknown(policy, `the API "${expression.api}"`, [...apis.keys()]);
      const named = expression.ids.flatMap((id) => find(id, operations, policy));
      return { kind: 'any', of: named.map((operation) => operationExpression(operation, operations)) };
    }
    default:
      return expression;
  }
}

/** By id, or all that bear a tag. */
function find(id: string, operations: readonly ApiOperation[], policy: Policy): readonly ApiOperation[] {
  const tag = id.startsWith('tag:') ? id.slice('tag:'.length) : null;
  const found = operations.filter((operation) => (tag === null ? operation.id === id : operation.tags.includes(tag)));
  if (found.length > 0) return found;
  throw unknown(
    policy,
    `the operation "${id}"`,
    operations.map((operation) => operation.id),
  );
}

/** The request is of the operation, and of no other that fits it better. */
export function operationExpression(operation: ApiOperation, all: readonly ApiOperation[]): Expression {
  const without = betterThan(operation, all).map((other): Expression => ({ kind: 'not', of: pathIsOf([other.path]) }));
  return { kind: 'all', of: [isMethod([operation.method]), pathIsOf([operation.path]), ...without] };
}

/** Operations that take requests which the operation would fit, too. */
export function betterThan(operation: ApiOperation, all: readonly ApiOperation[]): readonly ApiOperation[] {
  return all.filter(
    (other) => other.method === operation.method && other.path !== operation.path && isBetter(other.path, operation.path),
  );
}

/** Of any of them. */
export function isMethod(methods: readonly string[]): Expression {
  const comparisons = methods.map((text) => ({ form: 'exact', text }) as const);
  return { kind: 'match', attribute: { kind: 'method' }, values: 'any', comparisons };
}

/** The path fits any of the templates. */
export function pathIsOf(paths: readonly string[]): Expression {
  const comparisons = paths.map((text): Comparison => {
    const isTemplate = text.includes('{*}') || text.includes('{**}');
    return isTemplate ? { form: 'template', text } : { form: 'exact', text };
  });
  return { kind: 'match', attribute: { kind: 'path' }, values: 'any', comparisons };
}

/** Whether `left` is the more specific of two templates that can fit one path: the first segment in which they differ decides. */
export function isBetter(left: string, right: string): boolean {
  const lefts = left.split('/');
  const rights = right.split('/');
  for (let index = 0; index < Math.max(lefts.length, rights.length); index++) {
    const [one, other] = [lefts[index], rights[index]];
    if (one === other) continue;
    // A path that ends here fits only a rest on the other side.
    if (one === undefined || other === undefined) return other === '{**}';
    if (one === '{**}' || other === '{**}') return other === '{**}';
    if (one === '{*}' || other === '{*}') return other === '{*}';
    // Two different literals: no path fits both.
    return false;
  }
  return false;
}

function unknown(policy: Policy, what: string, known: readonly string[]): PosternError {
  const { file, line } = policy.position;
  return new PosternError(
    'policy_operation_unknown',
    `Cannot compile the policy "${policy.name}" (${file}:${line}): found no ${what.replace(/^the /, '')}`,
    known.length === 0 ? 'Add an APIDefinition' : `Known: ${known.slice(0, 20).join(', ')}`,
  );
}
