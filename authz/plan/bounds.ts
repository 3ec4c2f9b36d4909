/** What a decision can cost at worst: read off the plan before any decision is made. */
import type { ClassList, ClauseIndex, PlannedClause } from './clause-index.ts';
import type { PlanBounds } from './compiled.ts';
import type { PlannedSlot } from './dimensions.ts';
import type { ProgramPlan } from './plan.ts';

export function planBounds(
  slots: readonly PlannedSlot[],
  programs: { readonly http: ProgramPlan; readonly tcp: ProgramPlan },
): PlanBounds {
  const both = [programs.http, programs.tcp];
  return {
    strategy: 'index',
    longestScan: Math.max(...both.map((program) => sumOver(program, (clauses) => clauses.length))),
    steps: Math.max(...both.map((program) => sumOver(program, stepsOf))),
    automata: slots.reduce((most, { dimensions }) => {
      const count = dimensions.filter(({ kind }) => kind === 'bytes' || kind === 'template').length;
      return Math.max(most, count);
    }, 0),
  };
}

/** The sum over stages and attributes of the costliest list; an attribute of several values meets one for each of them. */
function sumOver({ reports, stages }: ProgramPlan, cost: (clauses: readonly PlannedClause[]) => number): number {
  const indices = [...stages.map(({ index }) => index), ...(reports === null ? [] : [reports])];
  return indices.reduce((sum, index) => sum + indexCost(index, cost), 0);
}

function indexCost({ always, lists }: ClauseIndex, cost: (clauses: readonly PlannedClause[]) => number): number {
  const byDimension = new Map<string, number>();
  const known = new Map<ClassList['clauses'], number>();
  for (const { clauses, dimension, slot } of lists) {
    const key = `${slot} ${dimension}`;
    const found = known.get(clauses) ?? cost(clauses);
    known.set(clauses, found);
    byDimension.set(key, Math.max(byDimension.get(key) ?? 0, found));
  }
  let sum = cost(always);
  for (const most of byDimension.values()) sum += most;
  return sum;
}

function stepsOf(clauses: readonly PlannedClause[]): number {
  return clauses.reduce(
    (sum, { checks }) => sum + 1 + checks.reduce((all, { alternatives }) => all + countOf(alternatives), 0),
    0,
  );
}

function countOf(alternatives: PlannedClause['checks'][number]['alternatives']): number {
  return alternatives.reduce((sum, { ranges }) => sum + Math.max(1, ranges.length), 0);
}
