/**
 * Operations in whose paths `%2F` is a part of a segment, as a name with a slash in it is sent. The canonical form of a path is one for
 * a listener, chosen before anything is decoded; so an API with such an operation needs a form that keeps escapes, and what its other
 * operations do not mean is refused: to them an encoded slash is one that somebody behind might take for a separator.
 */
import type { ApiDefinition, ApiOperation } from './api-definition.ts';
import type { Expression } from './expression.ts';
import { operationExpression } from './operations.ts';

/** Why the operations of an API cannot be told apart in the paths that it asks for; null where they can. */
export function encodedSlashFault({
  operations,
  pathPolicy,
}: Pick<ApiDefinition, 'operations' | 'pathPolicy'>): { readonly message: string; readonly fix: string } | null {
  const keeping = operations.find(({ keepsEncodedSlashes }) => keepsEncodedSlashes === true);
  if (keeping === undefined || (pathPolicy !== null && KEEPING_POLICIES.has(pathPolicy))) return null;
  const message = `Cannot keep encoded slashes for "${keeping.id}": found pathPolicy ${pathPolicy ?? 'left out'}`;
  return { message, fix: `Write pathPolicy: ${[...KEEPING_POLICIES].join(' or ')}` };
}

/** The request is of an operation that does not keep encoded slashes, of an API where others do, and has one. */
export function strayEncodedSlashes(known: readonly ApiOperation[]): readonly Expression[] {
  if (!known.some(({ keepsEncodedSlashes }) => keepsEncodedSlashes === true)) return [];
  return known
    .filter(({ keepsEncodedSlashes, path }) => keepsEncodedSlashes !== true && path.includes('*'))
    .map((operation) => ({ kind: 'all', of: [operationExpression(operation, known), HAS_ENCODED_SLASH] }));
}

/** A backslash is a slash to some. */
const HAS_ENCODED_SLASH: Expression = {
  kind: 'match',
  attribute: { kind: 'path' },
  values: 'any',
  comparisons: [{ form: 'regex', text: '.*%(2[fF]|5[cC]).*' }],
};
/** Canonical forms that leave `%2F` as it is and take dot segments out. */
const KEEPING_POLICIES: ReadonlySet<string> = new Set(['base', 'merge-slashes']);
