/**
 * Policies as clauses. A clause is a conjunction of groups, a group is "one of these patterns on this attribute" or its negation. A
 * rule becomes one clause or several with the same answer.
 */
import { PosternError } from '#base/error.ts';

import type { SlotSource } from './compiled.ts';
import type { Pattern } from './patterns.ts';

export interface Group {
  readonly slot: SlotSource;
  readonly patterns: readonly Pattern[];
  readonly isNegated: boolean;
  /** What is asked is whether any value of the attribute matches none of the patterns. */
  readonly isExhaustive: boolean;
}

/** All of them must hold. */
export type Conjunction = readonly Group[];

export interface Clause {
  /** What is given back when it holds, in ascending order of precedence within an index. */
  readonly answer: number;
  readonly groups: Conjunction;
}

/** What is compiled: decisions about requests, or about connections that carry no request. */
export type Program = 'http' | 'tcp';

export function tooManyClauses(): PosternError {
  return new PosternError(
    'policy_too_large',
    `Cannot compile the policies: their alternatives multiply to more than ${MAX_CLAUSES} clauses`,
    'Split rules that list many sources and many operations',
  );
}

export const MAX_CLAUSES = 500_000;
