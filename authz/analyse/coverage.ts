/**
 * How far policies and traffic cover an API: who may call each operation, which none of the rules allows, and what a log shows of each.
 */
import { OperationMatcher } from '../api/operation-matcher.ts';
import type { WhenNoneSelects } from '../engine/decisions.ts';
import type { ApiOperation } from '../policy/api-definition.ts';
import { betterThan } from '../policy/operations.ts';
import type { WorkloadPolicies } from '../policy/workload-policies.ts';
import { findAccess } from './access.ts';
import type { AccessReport } from './access.ts';

/** One request of a log. */
export interface LoggedRequest {
  readonly method: string;
  /** Canonical, without query. */
  readonly path: string;
  readonly isAllowed: boolean;
}

export interface OperationTraffic {
  requests: number;
  denied: number;
}

/** Requests of one method and path that no operation knows. */
export interface ShadowEndpoint extends Readonly<OperationTraffic> {
  readonly method: string;
  readonly path: string;
}

/** @param budget  for each operation */
export function operationAccess(
  set: WorkloadPolicies,
  operation: ApiOperation,
  all: readonly ApiOperation[],
  options: { readonly budget?: number; readonly whenNoneSelects: WhenNoneSelects },
): AccessReport {
  const without = betterThan(operation, all).map(({ path }) => path);
  return findAccess(set, { method: operation.method, template: { path: operation.path, without } }, options);
}

/** Counts requests by operation. What no operation knows is kept by method and path, up to a bound, and counted beyond it. */
export class TrafficCount<T extends ApiOperation> {
  readonly ofOperations = new Map<T, OperationTraffic>();
  /** Requests of shadow endpoints that are not listed. */
  unlisted = 0;
  readonly #matcher: OperationMatcher<T>;
  readonly #shadows = new Map<string, { readonly method: string; readonly path: string } & OperationTraffic>();

  constructor(operations: readonly T[]) {
    this.#matcher = new OperationMatcher(operations);
  }

  /** The endpoints with most requests first. */
  get shadows(): readonly ShadowEndpoint[] {
    return [...this.#shadows.values()].toSorted((left, right) => right.requests - left.requests);
  }

  add({ isAllowed, method, path }: LoggedRequest): void {
    const operation = this.#matcher.find(method, path);
    const counts = operation === null ? this.#shadow(method, path) : this.#known(operation);
    if (counts === null) {
      this.unlisted++;
      return;
    }
    counts.requests++;
    if (!isAllowed) counts.denied++;
  }

  #known(operation: T): OperationTraffic {
    const counts = this.ofOperations.get(operation) ?? { requests: 0, denied: 0 };
    this.ofOperations.set(operation, counts);
    return counts;
  }

  #shadow(method: string, path: string): OperationTraffic | null {
    const key = `${method} ${path}`;
    const known = this.#shadows.get(key);
    if (known !== undefined) return known;
    if (this.#shadows.size >= MAX_SHADOWS) return null;
    const made = { method, path, requests: 0, denied: 0 };
    this.#shadows.set(key, made);
    return made;
  }
}

const MAX_SHADOWS = 10_000;
