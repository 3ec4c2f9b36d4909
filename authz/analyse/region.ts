/** A set of requests: for each variable the literals that hold. Immutable; empty regions are found out when literals are added. */
import type { AnalysisBudget } from './analysis-budget.ts';
import type { SpaceClause } from './decision-space.ts';
import type { Predicates } from './predicates.ts';
import type { ValueFinder, Values } from './satisfy.ts';
import type { Variable } from './variables.ts';

export type Region = ReadonlyMap<Variable, readonly number[]>;

/** One request: the values of variables as far as they were asked for. */
export interface Point {
  readonly values: Map<Variable, Values>;
  readonly holding: Map<number, boolean>;
}

/** Whether a clause matches every request of a region, none, or some; of the latter a literal that tells them apart. */
export type Coverage = 'all' | 'none' | { readonly open: number };

export class Regions {
  readonly #predicates: Predicates;
  readonly #finder: ValueFinder;
  readonly #budget: AnalysisBudget;
  /** The region that was asked about last, and the literals that are possible in it. */
  #asked: Region | null = null;
  readonly #answers = new Map<number, boolean>();
  readonly #only = new Map<Variable, Values | null>();

  constructor(predicates: Predicates, finder: ValueFinder, budget: AnalysisBudget) {
    this.#predicates = predicates;
    this.#finder = finder;
    this.#budget = budget;
  }

  /** The requests of a region for which the literals hold, too; null when there are none. */
  narrowed(region: Region, literals: readonly number[]): Region | null {
    const next = new Map(region);
    for (const literal of literals) {
      const variable = this.#predicates.variableOf(literal);
      const known = next.get(variable) ?? NONE;
      if (known.includes(literal)) continue;
      const joined = withLiteral(known, literal);
      if (this.#finder.values(variable, joined) === null) return null;
      next.set(variable, joined);
    }
    return next;
  }

  /** Whether it can be that all literals hold; each variable by itself. */
  mayMatch(region: Region, { literals }: SpaceClause): boolean {
    this.#budget.spend(1);
    for (const literal of literals) if (!this.#isPossible(region, literal)) return false;
    return true;
  }

  coverage(region: Region, { literals }: SpaceClause): Coverage {
    this.#budget.spend(1);
    let open: number | null = null;
    for (const literal of literals) {
      const known = region.get(this.#predicates.variableOf(literal)) ?? NONE;
      if (known.includes(literal)) continue;
      if (!this.#isPossible(region, literal)) return 'none';
      if (open === null && this.#isPossible(region, literal ^ 1)) open = literal;
    }
    return open === null ? 'all' : { open };
  }

  /** Values of all variables, for a request of the region. */
  assignment(region: Region): ReadonlyMap<Variable, Values> {
    return new Map([...region].map(([variable, literals]) => [variable, this.#finder.values(variable, literals) ?? []]));
  }

  /** A plain request of the region. */
  pointOf(region: Region): Point {
    return { values: new Map(this.assignment(region)), holding: new Map() };
  }

  holdsAt({ holding, values }: Point, literal: number): boolean {
    const known = holding.get(literal);
    if (known !== undefined) return known;
    this.#budget.spend(1);
    const variable = this.#predicates.variableOf(literal);
    const found = values.get(variable) ?? this.#finder.values(variable, NONE) ?? NOTHING;
    values.set(variable, found);
    const holds = this.#finder.holdsOf(literal, found);
    holding.set(literal, holds);
    return holds;
  }

  /** A value that is there, where the region has one. */
  present(region: Region, variable: Variable): string | null {
    return this.#finder.presentValue(variable, region.get(variable) ?? NONE);
  }

  #isPossible(region: Region, literal: number): boolean {
    if (region !== this.#asked) {
      this.#asked = region;
      this.#answers.clear();
      this.#only.clear();
    }
    const told = this.#answers.get(literal);
    if (told !== undefined) return told;
    const variable = this.#predicates.variableOf(literal);
    const known = region.get(variable) ?? NONE;
    const isPossible = known.includes(literal) || this.#canJoin(variable, known, literal);
    this.#answers.set(literal, isPossible);
    return isPossible;
  }

  #canJoin(variable: Variable, known: readonly number[], literal: number): boolean {
    let only = this.#only.get(variable);
    if (only === undefined) this.#only.set(variable, (only = this.#finder.onlyValues(variable, known)));
    if (only !== null) return this.#finder.holdsOf(literal, only);
    // What excludes the predicate has it not hold: its opposite adds nothing.
    if (this.#finder.areApart(variable, known, literal)) return (literal & 1) === 1;
    return this.#finder.values(variable, withLiteral(known, literal)) !== null;
  }
}

function withLiteral(known: readonly number[], literal: number): readonly number[] {
  const at = known.findIndex((other) => other > literal);
  return at < 0 ? [...known, literal] : known.toSpliced(at, 0, literal);
}

const NONE: readonly number[] = [];
const NOTHING: Values = [];
