/**
 * Which operation a request is of, told from its method and canonical path, for logs that are read afterwards. Policies are compiled
 * to the same answer by authz/policy/operations.ts; nothing is judged here.
 */
import { matchesPath } from '../engine/interpreter-text.ts';
import type { ApiOperation } from '../policy/api-definition.ts';
import { isBetter } from '../policy/operations.ts';

export class OperationMatcher<T extends ApiOperation> {
  readonly #byMethod: ReadonlyMap<string, readonly T[]>;

  constructor(operations: readonly T[]) {
    this.#byMethod = Map.groupBy(operations, ({ method }) => method);
  }

  /** Null for a request that no operation knows. */
  find(method: string, path: string): T | null {
    let best: T | null = null;
    for (const operation of this.#byMethod.get(method) ?? []) {
      if (!fits(operation.path, path)) continue;
      if (best === null || isBetter(operation.path, best.path)) best = operation;
    }
    return best;
  }
}

function fits(template: string, path: string): boolean {
  return template.includes('{') ? matchesPath(template, path) : template === path;
}
