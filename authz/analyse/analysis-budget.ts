/** What an analysis may cost. It ends with "undecided" when the budget is spent, never with a guess. */

/** Counts steps; a step takes less than a microsecond as a rule. */
export class AnalysisBudget {
  readonly most: number;
  #limit: number;
  #spent = 0;

  constructor(most = DEFAULT_STEPS) {
    this.most = most;
    this.#limit = most;
  }

  get spent(): number {
    return this.#spent;
  }

  /** Sets a limit of its own for what follows. */
  share(steps: number): void {
    this.#limit = this.#spent + steps;
  }

  /** @throws {BudgetSpent} when nothing is left */
  spend(steps: number): void {
    this.#spent += steps;
    if (this.#spent > this.#limit) throw new BudgetSpent();
  }
}

/** Ends a search; caught by whoever began it. */
export class BudgetSpent extends Error {}

/** A few seconds. */
const DEFAULT_STEPS = 10_000_000;
