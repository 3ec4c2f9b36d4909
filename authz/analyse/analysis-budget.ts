/** What an analysis may cost. It ends with "undecided" when the budget is spent, never with a guess. */

/** Counts steps; a step takes less than a microsecond as a rule. */
export class AnalysisBudget {
  readonly most: number;
  #spent = 0;

  constructor(most = DEFAULT_STEPS) {
    this.most = most;
  }

  get spent(): number {
    return this.#spent;
  }

  /** @throws {BudgetSpent} when nothing is left */
  spend(steps: number): void {
    this.#spent += steps;
    if (this.#spent > this.most) throw new BudgetSpent();
  }
}

/** Ends a search; caught by whoever began it. */
export class BudgetSpent extends Error {}

/** A few seconds. */
const DEFAULT_STEPS = 10_000_000;
