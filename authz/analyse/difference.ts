/**
 * How the decisions of two sets of policies differ: requests that one allows and the other denies, or the proof that there are none.
 *
 * What both have in common cancels: a request that no changed clause matches is decided alike. From each changed clause on, its
 * requests are split by what other clauses ask, until both decisions are known for a whole region. A region whose decisions differ
 * gives a request, and the interpreter must confirm it before it is told; a proof is only told when all regions were looked at, within
 * the budget and without a pattern that had to be taken roughly.
 */
import { interpret } from '../engine/interpreter.ts';
import type { WhenNoneSelects } from '../engine/decisions.ts';
import type { Decision } from '../engine/input.ts';
import type { Program } from '../plan/clauses.ts';
import type { WorkloadPolicies } from '../policy/workload-policies.ts';
import { AnalysisBudget, BudgetSpent } from './analysis-budget.ts';
import { changedClauses } from './changed-clauses.ts';
import { findDiffering, laidTogether } from './compare-region.ts';
import { decisionSpace, tokensNeeded } from './decision-space.ts';
import { Predicates } from './predicates.ts';
import { inputOf, realise } from './realise.ts';
import type { ConcreteRequest } from './realise.ts';
import { Regions } from './region.ts';
import type { Point, Region } from './region.ts';
import { ValueFinder } from './satisfy.ts';
import { startingRegion, withDependents } from './starting-region.ts';

export interface DifferenceOptions {
  readonly whenNoneSelects: WhenNoneSelects;
  /** Requests to find at most. */
  readonly limit?: number;
  /** Steps; a step takes less than a microsecond as a rule. */
  readonly budget?: number;
}

export interface Witness {
  readonly request: ConcreteRequest;
  readonly before: Decision;
  readonly after: Decision;
}

export interface Difference {
  /** `undecided`: no request was found, and that there is none is not proved. */
  readonly result: 'equal' | 'different' | 'undecided';
  readonly witnesses: readonly Witness[];
  /** Whether every region was looked at: further requests that differ may exist otherwise. */
  readonly isComplete: boolean;
  /** Clauses that are in one of the sets only. */
  readonly changed: number;
  readonly steps: number;
  readonly budget: number;
  /** Why nothing is proved; null where something is. */
  readonly reason: string | null;
}

export function findDifference(before: WorkloadPolicies, after: WorkloadPolicies, options: DifferenceOptions): Difference {
  return new Comparison(before, after, options).run();
}

class Comparison {
  readonly #sets: readonly [WorkloadPolicies, WorkloadPolicies];
  readonly #options: DifferenceOptions;
  readonly #budget: AnalysisBudget;
  readonly #predicates: Predicates;
  readonly #finder: ValueFinder;
  readonly #regions: Regions;
  readonly #witnesses: Witness[] = [];
  #changed = 0;
  #unconfirmed = 0;

  constructor(before: WorkloadPolicies, after: WorkloadPolicies, options: DifferenceOptions) {
    this.#sets = [before, after];
    this.#options = options;
    this.#budget = new AnalysisBudget(options.budget);
    this.#predicates = new Predicates(before.trustDomains);
    this.#finder = new ValueFinder(this.#predicates, this.#budget);
    this.#regions = new Regions(this.#predicates, this.#finder, this.#budget);
  }

  run(): Difference {
    const needed = tokensNeeded(this.#sets);
    const tokens = Math.min(needed, MAX_TOKENS);
    let reason = this.#isSameTrust() ? null : 'the trust domains differ';
    if (needed > tokens) reason = `a request could need ${needed} tokens`;
    try {
      for (const program of ['http', 'tcp'] as const) this.#compare(program, program === 'tcp' ? 0 : tokens);
    } catch (error) {
      if (!(error instanceof BudgetSpent)) throw error;
      reason = `the budget of ${this.#budget.most} steps is spent`;
    }
    if (!this.#predicates.isExact) reason ??= 'a regular expression could not be taken exactly';
    if (this.#unconfirmed > 0) reason ??= `${this.#unconfirmed} requests that might differ could not be made`;
    const isFull = this.#witnesses.length >= this.#limit;
    const result = this.#witnesses.length > 0 ? 'different' : reason === null ? 'equal' : 'undecided';
    return {
      result,
      witnesses: this.#witnesses,
      isComplete: reason === null && !isFull,
      changed: this.#changed,
      steps: this.#budget.spent,
      budget: this.#budget.most,
      reason: result === 'undecided' ? reason : null,
    };
  }

  get #limit(): number {
    return this.#options.limit ?? DEFAULT_LIMIT;
  }

  #isSameTrust(): boolean {
    const [left, right] = this.#sets;
    return left.trustDomains.join() === right.trustDomains.join();
  }

  #compare(program: Program, tokens: number): void {
    const { whenNoneSelects } = this.#options;
    const [left, right] = this.#sets.map((set) => decisionSpace(set, program, this.#predicates, { tokens, whenNoneSelects }));
    if (left === undefined || right === undefined) return;
    const spaces = laidTogether(left, right);
    const start = startingRegion(program, this.#predicates, this.#regions);
    const seeds = changedClauses(left, right);
    this.#changed += seeds.length;
    for (const { literals } of seeds) {
      if (this.#witnesses.length >= this.#limit) return;
      const region = withDependents(this.#regions.narrowed(start, literals), this.#predicates, this.#regions);
      if (region === null) continue;
      findDiffering(spaces, region, this.#predicates, this.#regions, (found, { values }, isCertain) =>
        this.#confirm(program, found, values, isCertain),
      );
    }
  }

  #confirm(program: Program, region: Region, values: Point['values'], isCertain: boolean): boolean {
    const user = (variable: Parameters<Regions['present']>[1]): string | null => this.#regions.present(region, variable);
    const request = realise(values, program, user);
    const input = inputOf(request);
    const [before, after] = this.#sets.map((set) =>
      interpret(set, input, { revision: '', whenNoneSelects: this.#options.whenNoneSelects }),
    );
    if (before === undefined || after === undefined || before.effect === after.effect) {
      if (isCertain) this.#unconfirmed++;
      return false;
    }
    if (!this.#isKnown(request)) this.#witnesses.push({ request, before, after });
    return true;
  }

  #isKnown(request: ConcreteRequest): boolean {
    const text = JSON.stringify(request);
    return this.#witnesses.some((witness) => JSON.stringify(witness.request) === text);
  }
}

const DEFAULT_LIMIT = 10;
/** More would multiply the clauses beyond any budget. */
const MAX_TOKENS = 4;
