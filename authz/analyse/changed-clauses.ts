/**
 * Clauses that one of two decision spaces has and the other has not. A request that none of them matches is decided alike by both:
 * their stages are laid side by side, and a stage that only one has changes nothing unless a clause of it matches.
 */
import { EFFECT } from '../plan/stages.ts';
import type { DecisionSpace, SpaceClause, SpaceStage } from './decision-space.ts';

/** A clause that asks for nothing stands for "any request", where the stages cannot be laid side by side. */
export function changedClauses(left: DecisionSpace, right: DecisionSpace): readonly Pick<SpaceClause, 'literals'>[] {
  const pairs = pairsOf(left.stages, right.stages);
  if (pairs === null) return [{ literals: [] }];
  const found = new Map<string, SpaceClause>();
  for (const [one, other] of pairs) for (const clause of changedIn(one, other)) found.set(clause.key, clause);
  // The most particular ones first: they are decided soonest.
  return [...found.values()].toSorted((a, b) => b.literals.length - a.literals.length);
}

type StagePair = readonly [SpaceStage, SpaceStage];

function pairsOf(left: readonly SpaceStage[], right: readonly SpaceStage[]): readonly StagePair[] | null {
  const leads = [...left, ...right].some(({ jump }) => jump !== 0);
  if (leads) return left.length === right.length && left.every((one, at) => isAlike(one, right[at])) ? zip(left, right) : null;
  const pairs: StagePair[] = [];
  let [at, beside] = [0, 0];
  while (at < left.length || beside < right.length) {
    const [one, other] = [left[at], right[beside]];
    if (one !== undefined && other !== undefined && isAlike(one, other)) {
      pairs.push([one, other]);
      at++;
      beside++;
    } else if (
      one !== undefined &&
      one.otherwise === EFFECT.next &&
      (other === undefined || left.length - at >= right.length - beside)
    ) {
      pairs.push([one, NOTHING]);
      at++;
    } else if (other !== undefined && other.otherwise === EFFECT.next) {
      pairs.push([NOTHING, other]);
      beside++;
    } else return null;
  }
  return pairs;
}

function zip(left: readonly SpaceStage[], right: readonly SpaceStage[]): readonly StagePair[] {
  return left.flatMap((one, at) => {
    const other = right[at];
    return other === undefined ? [] : [[one, other] as const];
  });
}

function isAlike(one: SpaceStage, other: SpaceStage | undefined): boolean {
  if (other === undefined || one.otherwise !== other.otherwise || one.jump !== other.jump) return false;
  const [first, second] = [one.clauses[0]?.effect, other.clauses[0]?.effect];
  return !one.isUniform || !other.isUniform || first === undefined || second === undefined || first === second;
}

function changedIn(one: SpaceStage, other: SpaceStage): readonly SpaceClause[] {
  if (one.isUniform && other.isUniform) {
    const [left, right] = [keysOf(one), keysOf(other)];
    return [...one.clauses.filter(({ key }) => !right.has(key)), ...other.clauses.filter(({ key }) => !left.has(key))];
  }
  // The first that matches tells: what stands between the equal ends is changed.
  const shorter = Math.min(one.clauses.length, other.clauses.length);
  let start = 0;
  while (start < shorter && one.clauses[start]?.key === other.clauses[start]?.key) start++;
  let end = 0;
  while (end < shorter - start && one.clauses.at(-1 - end)?.key === other.clauses.at(-1 - end)?.key) end++;
  return [one, other].flatMap(({ clauses }) => clauses.slice(start, clauses.length - end));
}

function keysOf({ clauses }: SpaceStage): ReadonlySet<string> {
  return new Set(clauses.map(({ key }) => key));
}

const NOTHING: SpaceStage = { clauses: [], otherwise: EFFECT.next, jump: 0, isUniform: true };
