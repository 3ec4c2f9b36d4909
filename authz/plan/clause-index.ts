/**
 * Clauses -> an index. Every clause is filed under one of its groups, the one whose lists are shortest, for each class that the
 * group accepts; what is left of it is checked when the list is walked. Time to decide then depends on the longest list that a
 * request can meet, which is known here and bounds the module's loops.
 */
import type { PlannedSlot, Range } from './dimensions.ts';
import { buildListTree } from './forest.ts';
import type { ForestBudget, ListTree } from './forest.ts';
import type { Check, PlannedClause } from './planned-clause.ts';

/** Clauses that a value of one class leads to, in order of their answers. */
export interface ClassList {
  readonly slot: number;
  readonly dimension: number;
  readonly classNumber: number;
  readonly clauses: readonly PlannedClause[];
  /** The same as a tree, where it is used; null where the clauses are looked at one after the other. */
  readonly tree: ListTree | null;
}

export interface ClauseIndex {
  /** Clauses without a group to file them under. */
  readonly always: Pick<ClassList, 'clauses' | 'tree'>;
  readonly lists: readonly ClassList[];
}

/** The index with trees for the lists that are longer than `longest`. */
export function withTrees(
  { always, lists }: ClauseIndex,
  longest: number,
  slots: readonly PlannedSlot[],
  budget: ForestBudget,
): ClauseIndex {
  const known = new Map<string, ListTree | null>();
  const numbers = new Map<PlannedClause, number>();
  const numberOf = (clause: PlannedClause): number => {
    const number = numbers.get(clause) ?? numbers.size;
    numbers.set(clause, number);
    return number;
  };
  const treeOf = (clauses: readonly PlannedClause[]): ListTree | null => {
    if (clauses.length <= longest) return null;
    const key = clauses.map(numberOf).join();
    const tree = known.get(key);
    if (tree !== undefined) return tree;
    const built = buildListTree(clauses, slots, budget);
    known.set(key, built);
    return built;
  };
  return {
    always: { clauses: always.clauses, tree: treeOf(always.clauses) },
    lists: lists.map((list) => ({ ...list, tree: treeOf(list.clauses) })),
  };
}

export function indexClauses(clauses: readonly PlannedClause[]): ClauseIndex {
  const ordered = isOrdered(clauses) ? clauses : clauses.toSorted((left, right) => left.answer - right.answer);
  const crowd = new Crowd(ordered);
  const always: PlannedClause[] = [];
  const lists = new Map<number, { slot: number; dimension: number; classNumber: number; clauses: PlannedClause[] }>();
  for (const clause of ordered) {
    const access = crowd.bestAccess(clause);
    if (access === null) {
      always.push(clause);
      continue;
    }
    const rest: PlannedClause = { answer: clause.answer, checks: clause.checks.filter((check) => check !== access) };
    for (const { dimension, ranges } of access.alternatives) {
      forEachClass(ranges, (classNumber) => {
        const key = (access.slot * MAX_DIMENSIONS + dimension) * MAX_CLASSES + classNumber;
        const list = lists.get(key);
        if (list === undefined) lists.set(key, { slot: access.slot, dimension, classNumber, clauses: [rest] });
        else if (list.clauses.at(-1) !== rest) list.clauses.push(rest);
      });
    }
  }
  return {
    always: { clauses: always, tree: null },
    lists: [...lists.values()].map((list) => ({ ...list, tree: null })),
  };
}

function isOrdered(clauses: readonly PlannedClause[]): boolean {
  let last = 0;
  for (const { answer } of clauses) {
    if (answer < last) return false;
    last = answer;
  }
  return true;
}

/** How many clauses care for each class: the estimate of how long its list would be. */
class Crowd {
  readonly #counts = new Map<number, number>();

  constructor(clauses: readonly PlannedClause[]) {
    for (const { checks } of clauses) {
      for (const check of checks) {
        if (!isAccess(check)) continue;
        this.#forEach(check, (key) => this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1));
      }
    }
  }

  bestAccess(clause: PlannedClause): Check | null {
    let best: Check | null = null;
    let bestCost = Infinity;
    for (const check of clause.checks) {
      if (!isAccess(check)) continue;
      let cost = 0;
      this.#forEach(check, (key) => {
        cost = Math.max(cost, this.#counts.get(key) ?? 0);
      });
      if (cost < bestCost) {
        best = check;
        bestCost = cost;
      }
    }
    return best;
  }

  #forEach(check: Check, visit: (key: number) => void): void {
    for (const { dimension, ranges } of check.alternatives) {
      const base = (check.slot * MAX_DIMENSIONS + dimension) * MAX_CLASSES;
      forEachClass(ranges, (classNumber) => visit(base + classNumber));
    }
  }
}

/** A group that accepts too many classes would fill the index with itself; it is checked, never filed under. */
function isAccess(check: Check): boolean {
  return !check.isNegated && widthOf(check) <= MAX_ACCESS_CLASSES;
}

function widthOf(check: Check): number {
  let width = 0;
  for (const { ranges } of check.alternatives) for (const { low, high } of ranges) width += high - low + 1;
  return width;
}

function forEachClass(ranges: readonly Range[], visit: (classNumber: number) => void): void {
  for (const { low, high } of ranges) for (let number = low; number <= high; number++) visit(number);
}

const MAX_ACCESS_CLASSES = 512;
const MAX_DIMENSIONS = 4096;
const MAX_CLASSES = 2 ** 24;
