/**
 * Policies of one workload as what decides about every request at once: stages of clauses, each clause a list of literals
 * (predicates.ts). Clauses that read a token exist once for each token that is considered.
 */
import type { WhenNoneSelects } from '../engine/decisions.ts';
import type { Clause, Program } from '../plan/clauses.ts';
import { EFFECT, Outcomes, StageReader } from '../plan/stages.ts';
import type { StageClauses } from '../plan/stages.ts';
import type { WorkloadPolicies } from '../policy/workload-policies.ts';
import type { Predicates } from './predicates.ts';
import { isOfToken } from './variables.ts';

export interface SpaceClause {
  readonly effect: number;
  /** In ascending order, none twice. All must hold. */
  readonly literals: readonly number[];
  /** `namespace/name` and rule that it comes from, or null. */
  readonly policy: string | null;
  readonly rule: string | null;
  /** Equal for clauses that say the same. */
  readonly key: string;
}

export interface SpaceStage {
  /** In order: the first that matches tells. */
  readonly clauses: readonly SpaceClause[];
  readonly otherwise: number;
  readonly jump: number;
  /** All clauses have one effect: which of them matches is all the same. */
  readonly isUniform: boolean;
}

export interface DecisionSpace {
  readonly stages: readonly SpaceStage[];
}

/** Tokens that a request must be taken to have so that no difference is missed; 0 when no clause reads any. */
export function tokensNeeded(sets: readonly WorkloadPolicies[]): number {
  const stages = sets.map((set) => readStages(set, 'http').stages);
  const reads = ({ clauses }: StageClauses): boolean => clauses.some(({ groups }) => groups.some(({ slot }) => isOfToken(slot)));
  if (!stages.some((found) => found.some(reads))) return 0;
  // One that lets in, one that keeps out, and one for each ceiling that is to be passed.
  const ceilings = stages.map(
    (found) => found.filter((stage) => reads(stage) && (stage.otherwise & 3) === EFFECT.deny && stage !== found.at(-1)).length,
  );
  return 2 + ceilings.reduce((sum, count) => sum + count, 0);
}

export function decisionSpace(
  set: WorkloadPolicies,
  program: Program,
  predicates: Predicates,
  { tokens, whenNoneSelects }: { readonly tokens: number; readonly whenNoneSelects: WhenNoneSelects },
): DecisionSpace {
  const { outcomes, stages } = readStages(set, program);
  const effectOf = (answer: number): number => {
    const outcome = outcomes.list[(answer >> 2) - 1];
    if (outcome?.code !== 'none_selected') return answer & 3;
    return whenNoneSelects === 'allow' ? EFFECT.allow : EFFECT.deny;
  };
  const expand = (clause: Clause): readonly SpaceClause[] => {
    const outcome = outcomes.list[(clause.answer >> 2) - 1] ?? null;
    const copies = clause.groups.some(({ slot }) => isOfToken(slot)) ? Math.max(1, tokens) : 1;
    return Array.from({ length: copies }, (_, copy) => {
      const literals = [...new Set(clause.groups.map((group) => predicates.literal(group, copy)))].sort((a, b) => a - b);
      const effect = effectOf(clause.answer);
      const { policy = null, rule = null } = outcome ?? {};
      return { effect, literals, policy, rule, key: `${effect} ${literals.join()}` };
    });
  };
  return {
    stages: stages.map(({ clauses, jump, otherwise }) => {
      const ordered = clauses.toSorted((left, right) => left.answer - right.answer).flatMap(expand);
      const isUniform = new Set(ordered.map(({ effect }) => effect)).size < 2;
      return { clauses: ordered, otherwise: effectOf(otherwise), jump, isUniform };
    }),
  };
}

interface ReadStages {
  readonly stages: readonly StageClauses[];
  readonly outcomes: Outcomes;
}

/** Read once for a set, however often it is asked about. */
function readStages(set: WorkloadPolicies, program: Program): ReadStages {
  const ofSet = READ.get(set) ?? new Map<Program, ReadStages>();
  READ.set(set, ofSet);
  const known = ofSet.get(program);
  if (known !== undefined) return known;
  const outcomes = new Outcomes();
  const made = { stages: new StageReader(set, program, outcomes).read().stages, outcomes };
  ofSet.set(program, made);
  return made;
}

const READ = new WeakMap<WorkloadPolicies, Map<Program, ReadStages>>();
