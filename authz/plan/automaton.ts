/**
 * Subset construction under a budget: turns sets of positions into numbered states. A set of patterns that needs more states than
 * the budget is halved and halved again by `splitByBudget`, so that no combination of patterns can make the compiler explode; one
 * pattern that needs too many alone is an error.
 */
import { PosternError } from '#base/error.ts';

/** Numbers states as they are found; state 0 is the empty set, from which nothing is accepted. */
export class StateNumbers {
  readonly sets: number[][] = [[]];
  readonly #byKey = new Map<string, number>([['', 0]]);
  readonly #budget: number;

  constructor(budget: number) {
    this.#budget = budget;
  }

  /** Number of the state that stands for these positions, in ascending order and without repeats. */
  of(positions: number[]): number {
    const key = positions.join(',');
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    if (this.sets.length >= this.#budget) throw new BudgetError();
    const state = this.sets.length;
    this.sets.push(positions);
    this.#byKey.set(key, state);
    return state;
  }
}

/** Builds one automaton of all items, or several where one would be too large. */
export function splitByBudget<Item, Automaton>(
  items: readonly Item[],
  build: (items: readonly Item[]) => Automaton,
): readonly Automaton[] {
  if (items.length === 0) return [];
  try {
    return [build(items)];
  } catch (error) {
    if (!(error instanceof BudgetError)) throw error;
    if (items.length === 1) {
      throw new PosternError(
        'policy_too_large',
        'Cannot compile a pattern: it needs too many states',
        'Use fewer "*" and repetitions in it',
      );
    }
    const middle = items.length >> 1;
    return [...splitByBudget(items.slice(0, middle), build), ...splitByBudget(items.slice(middle), build)];
  }
}

/**
 * What was built of equal patterns before, so that an edit elsewhere does not build it again. Bounded: the sets of patterns that
 * were used longest ago are let go.
 */
export class Remembered<Automaton> {
  readonly #known = new Map<string, readonly Automaton[]>();

  of(key: string, build: () => readonly Automaton[]): readonly Automaton[] {
    const known = this.#known.get(key) ?? build();
    this.#known.delete(key);
    this.#known.set(key, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MAX_REMEMBERED && oldest !== undefined) this.#known.delete(oldest);
    return known;
  }
}

export function sortedUnique(numbers: readonly number[]): number[] {
  return [...new Set(numbers)].toSorted((left, right) => left - right);
}

export class BudgetError extends Error {}

const MAX_REMEMBERED = 16;
