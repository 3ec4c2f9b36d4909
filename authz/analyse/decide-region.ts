/** What a decision space says of all requests of a region at once, as far as that is one answer. */
import { EFFECT } from '../plan/stages.ts';
import type { DecisionSpace, SpaceClause, SpaceStage } from './decision-space.ts';
import type { Predicates } from './predicates.ts';
import type { Region, Regions } from './region.ts';
import { withDependents } from './starting-region.ts';

/**
 * Splits a region until in each part all spaces have one decision, and shows each part until one is taken.
 *
 * @param take  whether the part is what was looked for; decisions in the order of the spaces
 */
export function splitByDecisions(
  spaces: readonly DecisionSpace[],
  start: Region,
  predicates: Predicates,
  regions: Regions,
  take: (region: Region, decisions: readonly ('allow' | 'deny')[]) => boolean,
): boolean {
  const pending: Pending[] = [{ region: start, alive: [] }];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    const { alive: before, region } = at;
    const alive = spaces.map((space, index) => aliveIn(space, regions, region, before[index]));
    const decisions: ('allow' | 'deny')[] = [];
    let open: number | null = null;
    for (const [index, space] of spaces.entries()) {
      const decision = decideRegion(space, alive[index] ?? [], regions, region);
      if (typeof decision === 'string') decisions.push(decision);
      else open ??= decision.open;
    }
    if (open === null) {
      if (take(region, decisions)) return true;
      continue;
    }
    // What does not hold is tried first: it ends sooner with nothing else matching.
    for (const literal of [open, open ^ 1]) {
      const next = withDependents(regions.narrowed(region, [literal]), predicates, regions);
      if (next !== null) pending.push({ region: next, alive });
    }
  }
  return false;
}

interface Pending {
  readonly region: Region;
  readonly alive: readonly Alive[];
}

/** Clauses that may still match, by stage. */
export type Alive = readonly (readonly SpaceClause[])[];

/** One answer for the region, or a literal by which to split it. */
export type RegionDecision = 'allow' | 'deny' | { readonly open: number };

export function aliveIn(space: DecisionSpace, regions: Regions, region: Region, before?: Alive): Alive {
  return (before ?? space.stages.map(({ clauses }) => clauses)).map((clauses) =>
    clauses.filter((clause) => regions.mayMatch(region, clause)),
  );
}

export function decideRegion({ stages }: DecisionSpace, alive: Alive, regions: Regions, region: Region): RegionDecision {
  let at = 0;
  while (at < stages.length) {
    const stage = stages[at];
    if (stage === undefined) break;
    const effect = stageEffect(stage, alive[at] ?? [], regions, region);
    if (typeof effect !== 'number') return effect;
    if (effect === EFFECT.allow) return 'allow';
    if (effect === EFFECT.deny) return 'deny';
    at = effect === EFFECT.jump ? stage.jump : at + 1;
  }
  // INVARIANT: the last stage decides.
  return 'deny';
}

export function stageEffect(
  { isUniform, otherwise }: SpaceStage,
  clauses: readonly SpaceClause[],
  regions: Regions,
  region: Region,
): number | { readonly open: number } {
  if (isUniform && clauses[0]?.effect === otherwise) return otherwise;
  let open: { readonly open: number } | null = null;
  for (const clause of clauses) {
    const coverage = regions.coverage(region, clause);
    if (coverage === 'none') continue;
    if (coverage === 'all') return clause.effect;
    if (!isUniform) return coverage;
    open ??= coverage;
  }
  return open ?? otherwise;
}
