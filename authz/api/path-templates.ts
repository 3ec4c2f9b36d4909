/**
 * Path templates of OpenAPI as templates of policies, and the order among them. INVARIANT: of two operations with one method that a
 * request fits, one is the more specific or the description is refused; so a request has one operation or none.
 */
import type { DescribedOperation } from './description.ts';
import type { ApiFaults } from './faults.ts';

export type Converted =
  | { readonly path: string }
  | { readonly code: 'api_path_malformed' | 'api_path_partial'; readonly found: string; readonly fix: string | null };

/** `/orders/{id}` -> `/orders/{*}`. A literal must stand as it does in a request's canonical path. */
export function convertTemplate(template: string): Converted {
  if (!template.startsWith('/')) return { code: 'api_path_malformed', found: 'no "/" at its start', fix: null };
  const written = template.split('/');
  const segments: string[] = [];
  for (const [index, segment] of written.entries()) {
    if (/^\{[^{}]+\}$/.test(segment)) {
      segments.push('{*}');
      continue;
    }
    if (/[{}]/.test(segment)) {
      const fix = 'Make the parameter a whole segment, or write the operation in the APIDefinition itself';
      return { code: 'api_path_partial', found: `the parameter in "${segment}" is not a whole segment`, fix };
    }
    const isEdge = index === 0 || index === written.length - 1;
    if (segment === '' ? !isEdge : !LITERAL.test(segment) || segment === '.' || segment === '..') {
      const fix = 'Write literals as they stand in a canonical request, other characters percent-encoded in upper case';
      return { code: 'api_path_malformed', found: `the segment "${segment}"`, fix };
    }
    segments.push(segment);
  }
  return { path: segments.join('/') };
}

/** Refuses operations that share requests without an order, and those that share paths and read them otherwise. */
export function checkTogether(operations: readonly DescribedOperation[], faults: ApiFaults): void {
  const byLength = Map.groupBy(
    operations.map((operation) => ({ operation, segments: operation.path.split('/') })),
    ({ segments }) => segments.length,
  );
  for (const alike of byLength.values()) {
    const known = new Set(alike.map(({ operation: { method, path } }) => `${method} ${path}`));
    for (const [index, left] of alike.entries()) {
      for (let other = index + 1; other < alike.length; other++) {
        const right = alike[other];
        if (right === undefined) continue;
        const shared = meet(left.segments, right.segments);
        if (shared !== null) checkPair(left.operation, right.operation, shared, known, faults);
      }
    }
  }
}

function checkPair(
  left: DescribedOperation,
  right: DescribedOperation,
  shared: string,
  known: ReadonlySet<string>,
  faults: ApiFaults,
): void {
  if (left.keepsEncodedSlashes !== right.keepsEncodedSlashes) {
    const message = `Cannot import "${left.id}" and "${right.id}": both have the path "${shared}", and only one keeps encoded slashes`;
    faults.add('api_path_meaning_conflict', right.where, message, 'Say x-postern-path of both, or of neither');
  }
  if (left.method !== right.method) return;
  if (left.path === right.path) {
    const message = `Cannot import "${left.id}" and "${right.id}": both are ${left.method} ${left.path}`;
    faults.add('api_path_ambiguous', right.where, message, 'Take one of them out');
    return;
  }
  // One fits all that the other fits less, or a third operation is made for just what both fit.
  if (shared === left.path || shared === right.path || known.has(`${left.method} ${shared}`)) return;
  const message = `Cannot import "${left.id}" and "${right.id}": ${left.method} ${example(shared)} fits both "${left.path}" and "${right.path}"`;
  faults.add('api_path_ambiguous', right.where, message, `Describe ${left.method} ${shared} as an operation, or change a path`);
}

/** The template of what fits both, or null where nothing does. Both have the same number of segments. */
function meet(left: readonly string[], right: readonly string[]): string | null {
  const shared: string[] = [];
  for (const [index, one] of left.entries()) {
    const other = right[index] ?? '';
    // `{*}` is at least one character.
    if (one === other || (other === '{*}' && one !== '')) shared.push(one);
    else if (one === '{*}' && other !== '') shared.push(other);
    else return null;
  }
  return shared.join('/');
}

function example(template: string): string {
  return template.replaceAll('{*}', 'x');
}

/** pchar of RFC 3986 without `*`, which is a wildcard where paths are written. */
const LITERAL = /^(?:[a-zA-Z0-9\-._~!$&'()+,;:@=]|%[0-9A-F]{2})+$/;
