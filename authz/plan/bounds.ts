/** What a decision can cost at worst: read off the plan before any decision is made. */
import type { ClassList, ClauseIndex } from './clause-index.ts';
import type { PlanBounds } from './compiled.ts';
import type { PlannedSlot } from './dimensions.ts';
import type { PlannedClause } from './planned-clause.ts';

/** What a program looks through, stage by stage. */
interface Searched {
  readonly stages: readonly { readonly index: ClauseIndex }[];
  readonly reports: ClauseIndex | null;
}

export function planBounds(
  slots: readonly PlannedSlot[],
  programs: { readonly http: Searched; readonly tcp: Searched },
  strategy: PlanBounds['strategy'],
): PlanBounds {
  const both = [programs.http, programs.tcp];
  return {
    strategy,
    longestScan: Math.max(...both.map((program) => sumOver(program, clausesIn))),
    steps: Math.max(...both.map((program) => sumOver(program, stepsOf))),
    automata: slots.reduce((most, { dimensions }) => {
      const count = dimensions.filter(({ kind }) => kind === 'bytes' || kind === 'template').length;
      return Math.max(most, count);
    }, 0),
  };
}

type List = Pick<ClassList, 'clauses' | 'tree'>;

/** The sum over stages and attributes of the costliest list; an attribute of several values meets one for each of them. */
function sumOver({ reports, stages }: Searched, cost: (list: List) => number): number {
  const indices = [...stages.map(({ index }) => index), ...(reports === null ? [] : [reports])];
  return indices.reduce((sum, index) => sum + indexCost(index, cost), 0);
}

function indexCost({ always, lists }: ClauseIndex, cost: (list: List) => number): number {
  const byDimension = new Map<number, number>();
  for (const list of lists) {
    const key = list.slot * MAX_DIMENSIONS + list.dimension;
    byDimension.set(key, Math.max(byDimension.get(key) ?? 0, cost(list)));
  }
  let sum = cost(always);
  for (const most of byDimension.values()) sum += most;
  return sum;
}

function clausesIn({ clauses, tree }: List): number {
  return tree === null ? clauses.length : tree.longestLeaf;
}

function stepsOf({ clauses, tree }: List): number {
  if (tree !== null) return tree.steps;
  let steps = 0;
  for (const { checks } of clauses) {
    steps++;
    for (const { alternatives } of checks) steps += countOf(alternatives);
  }
  return steps;
}

function countOf(alternatives: PlannedClause['checks'][number]['alternatives']): number {
  let count = 0;
  for (const { ranges } of alternatives) count += Math.max(1, ranges.length);
  return count;
}

const MAX_DIMENSIONS = 4096;
