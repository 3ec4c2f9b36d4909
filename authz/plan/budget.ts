/** What compiling may cost: hostile or huge policies end with a fault instead of holding the compiler up. */
import { PosternError } from '#base/error.ts';

/** Counts steps of work; a step takes some nanoseconds. */
export class CompileBudget {
  #left: number;
  readonly #most: number;

  constructor(steps = MAX_STEPS) {
    this.#left = steps;
    this.#most = steps;
  }

  get spent(): number {
    return this.#most - this.#left;
  }

  /** @throws {PosternError} `policy_too_large` when nothing is left */
  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) {
      throw new PosternError(
        'policy_too_large',
        `Cannot compile the policies: they take more than ${this.#most} steps`,
        'Use fewer regular expressions and "*", or give the workload fewer policies',
      );
    }
  }
}

/** A few seconds; 10,000 rules as a mesh has them take a hundredth. */
const MAX_STEPS = 100_000_000;
