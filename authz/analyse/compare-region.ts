/**
 * Looks in a region for a request that two decision spaces decide differently. A plain request of the region is tried first; where both
 * decide it alike, the region is split by what decided it, so that clauses that have no say cost no split. What both have in common
 * needs no answer: whatever it says, it says to both.
 */
import { EFFECT } from '../plan/stages.ts';
import { aliveIn, decideRegion, stageEffect } from './decide-region.ts';
import type { Alive } from './decide-region.ts';
import type { DecisionSpace, SpaceClause, SpaceStage } from './decision-space.ts';
import type { Predicates } from './predicates.ts';
import type { Point, Region, Regions } from './region.ts';
import { withDependents } from './starting-region.ts';

/** Clauses that say the same become one object, so that what is found out about one is known of the other. */
export function laidTogether(left: DecisionSpace, right: DecisionSpace): readonly [DecisionSpace, DecisionSpace] {
  const known = new Map(left.stages.flatMap(({ clauses }) => clauses.map((clause) => [clause.key, clause] as const)));
  const same = (clause: SpaceClause): SpaceClause => known.get(clause.key) ?? clause;
  return [left, { stages: right.stages.map((stage) => ({ ...stage, clauses: stage.clauses.map(same) })) }];
}

/** @returns whether the request was taken. @param isCertain  all requests of the region are decided like this one */
export type TellDiffering = (region: Region, point: Point, isCertain: boolean) => boolean;

/** @param spaces  laid together */
export function findDiffering(
  spaces: readonly [DecisionSpace, DecisionSpace],
  start: Region,
  predicates: Predicates,
  regions: Regions,
  tell: TellDiffering,
): boolean {
  const [left, right] = spaces;
  const isSideBySide = canBeLaidBeside(left, right);
  const pending: Pending[] = [{ region: start, alive: null }];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    const { alive: before, region } = at;
    const alive = [aliveIn(left, regions, region, before?.[0]), aliveIn(right, regions, region, before?.[1])] as const;
    if (isSideBySide && areAlike(spaces, alive, regions, region)) continue;
    const point = regions.pointOf(region);
    const [one, other] = [walkAt(left, alive[0], regions, point), walkAt(right, alive[1], regions, point)];
    if (one.decision !== other.decision && tell(region, point, false)) return true;
    const [decision, against] = [decideRegion(left, alive[0], regions, region), decideRegion(right, alive[1], regions, region)];
    const open = openOf(decision) ?? openOf(against);
    if (open === null) {
      if (decision !== against && tell(region, point, true)) return true;
      continue;
    }
    const split = openAmong(one, other, regions, region) ?? open;
    // What does not hold is tried first: it ends sooner with nothing else matching.
    for (const literal of [split, split ^ 1]) {
      const next = withDependents(regions.narrowed(region, [literal]), predicates, regions);
      if (next !== null) pending.push({ region: next, alive });
    }
  }
  return false;
}

interface Pending {
  readonly region: Region;
  readonly alive: readonly [Alive, Alive] | null;
}

interface Walk {
  readonly decision: 'allow' | 'deny';
  /** The clauses that told what came next, in order. */
  readonly by: readonly SpaceClause[];
}

/** Whether a stage of one stands for the stage of the same number of the other. */
function canBeLaidBeside(left: DecisionSpace, right: DecisionSpace): boolean {
  return (
    left.stages.length === right.stages.length &&
    left.stages.every((stage, at) => {
      const other = right.stages[at];
      return other !== undefined && stage.otherwise === other.otherwise && stage.jump === 0 && other.jump === 0;
    })
  );
}

/** Every request of the region is decided by both in one way, as far as can be said without a split. */
function areAlike(
  [left, right]: readonly [DecisionSpace, DecisionSpace],
  [ofLeft, ofRight]: readonly [Alive, Alive],
  regions: Regions,
  region: Region,
): boolean {
  return left.stages.every((stage, at) => {
    const [one, other] = [ofLeft[at] ?? [], ofRight[at] ?? []];
    if (areSame(one, other)) return true;
    const beside = right.stages[at];
    if (beside === undefined || !isUniformWith(stage, beside, one, other)) return false;
    return hasCover(stage, one, regions, region) && hasCover(beside, other, regions, region);
  });
}

function areSame(left: readonly SpaceClause[], right: readonly SpaceClause[]): boolean {
  return left.length === right.length && left.every((clause, at) => clause === right[at]);
}

function isUniformWith(one: SpaceStage, other: SpaceStage, left: readonly SpaceClause[], right: readonly SpaceClause[]): boolean {
  return one.isUniform && other.isUniform && left[0]?.effect === right[0]?.effect;
}

/** One clause matches every request of the region. */
function hasCover(stage: SpaceStage, clauses: readonly SpaceClause[], regions: Regions, region: Region): boolean {
  const effect = stageEffect(stage, clauses, regions, region);
  return typeof effect === 'number' && effect === clauses[0]?.effect;
}

/** What a space says of one request. */
function walkAt({ stages }: DecisionSpace, alive: Alive, regions: Regions, point: Point): Walk {
  const by: SpaceClause[] = [];
  let at = 0;
  while (at < stages.length) {
    const stage = stages[at];
    if (stage === undefined) break;
    const clause = (alive[at] ?? []).find(({ literals }) => literals.every((literal) => regions.holdsAt(point, literal)));
    if (clause !== undefined) by.push(clause);
    const effect = clause?.effect ?? stage.otherwise;
    if (effect === EFFECT.allow) return { decision: 'allow', by };
    if (effect === EFFECT.deny) return { decision: 'deny', by };
    at = effect === EFFECT.jump ? stage.jump : at + 1;
  }
  // INVARIANT: the last stage decides.
  return { decision: 'deny', by };
}

function openOf(decision: ReturnType<typeof decideRegion>): number | null {
  return typeof decision === 'string' ? null : decision.open;
}

/** A literal by which to split: of what decided for one alone, else of what decided for both. */
function openAmong(one: Walk, other: Walk, regions: Regions, region: Region): number | null {
  const alone = [
    ...one.by.filter((clause) => !other.by.includes(clause)),
    ...other.by.filter((clause) => !one.by.includes(clause)),
  ];
  for (const clause of [...alone, ...one.by]) {
    const coverage = regions.coverage(region, clause);
    if (typeof coverage === 'object') return coverage.open;
  }
  return null;
}
