/** What a decision space says of all requests of a region at once, as far as that is one answer. */
import { EFFECT } from '../plan/stages.ts';
import type { DecisionSpace, SpaceClause, SpaceStage } from './decision-space.ts';
import type { Region, Regions } from './region.ts';

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

function stageEffect(
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
