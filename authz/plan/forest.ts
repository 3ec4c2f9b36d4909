/**
 * Long lists of clauses as decision trees: instead of one clause after the other, one attribute after the other is looked at, and its
 * class leads on to fewer clauses. Equal subtrees are one, so that a tree is a graph without cycles. Attributes of several values
 * cannot lead anywhere; what a clause asks of them is checked at the leaves.
 */
import type { PlannedSlot, Range } from './dimensions.ts';
import type { Check, PlannedClause } from './planned-clause.ts';

export type TreeNode =
  /** What is left to be checked, in order of the answers. */
  | { readonly kind: 'leaf'; readonly clauses: readonly PlannedClause[] }
  /** From each start, the first of which is 0, up to the next one the class leads to the child of the same index. */
  | {
      readonly kind: 'branch';
      readonly slot: number;
      readonly dimension: number;
      readonly starts: readonly number[];
      readonly children: readonly TreeNode[];
    };

export interface ListTree {
  readonly root: TreeNode;
  /** Most comparisons on a way from the root to the end of a leaf. */
  readonly steps: number;
  /** Most clauses in a leaf. */
  readonly longestLeaf: number;
}

/** What all trees of a plan may cost to build. */
export interface ForestBudget {
  work: number;
  /** A tree is taken only where its longest way is shorter than the list. */
  readonly mustPay: boolean;
  /** Trees that were taken. */
  trees: number;
}

export function forestBudget(mustPay: boolean): ForestBudget {
  return { work: MAX_WORK, mustPay, trees: 0 };
}

/** Null where a tree would be too large, or not much shorter. */
export function buildListTree(
  clauses: readonly PlannedClause[],
  slots: readonly PlannedSlot[],
  budget: ForestBudget,
): ListTree | null {
  const variants = clauses.flatMap((clause) => variantsOf(clause, slots));
  if (variants.length > MAX_VARIANTS * clauses.length) return null;
  try {
    const builder = new TreeBuilder(variants, budget);
    const root = builder.build();
    const steps = builder.stepsOf(root);
    if (budget.mustPay && steps > clauses.length) return null;
    budget.trees++;
    return { root, steps, longestLeaf: builder.longestLeaf };
  } catch (error) {
    if (error instanceof TreeTooLarge) return null;
    throw error;
  }
}

/** A test of one dimension of an attribute of one value. */
interface ClassTest {
  readonly slot: number;
  readonly dimension: number;
  readonly ranges: readonly Range[];
  readonly isNegated: boolean;
}

/** A clause, or one of the ways in which it can hold. */
interface Variant {
  readonly answer: number;
  readonly tests: readonly ClassTest[];
  /** What is left for the leaf. */
  readonly leaf: PlannedClause;
}

function variantsOf({ answer, checks }: PlannedClause, slots: readonly PlannedSlot[]): readonly Variant[] {
  const isTestable = ({ slot }: Check): boolean => slots[slot]?.isList === false;
  const leaf: PlannedClause = { answer, checks: checks.filter((check) => !isTestable(check)) };
  let ways: readonly (readonly ClassTest[])[] = [[]];
  for (const check of checks.filter(isTestable)) {
    const { alternatives, isNegated, slot } = check;
    const tests = alternatives.map(({ dimension, ranges }): ClassTest => ({ slot, dimension, ranges, isNegated }));
    ways = isNegated
      ? ways.map((way) => [...way, ...tests])
      : ways.flatMap((way) => tests.map((test): readonly ClassTest[] => [...way, test]));
  }
  return ways.map((tests) => ({ answer, tests, leaf }));
}

class TreeTooLarge extends Error {}

class TreeBuilder {
  longestLeaf = 0;
  readonly #variants: readonly Variant[];
  /** Dimensions in the order in which they are looked at. */
  readonly #order: readonly string[];
  /** Of each variant its tests by place in the order. */
  readonly #tests: readonly (readonly (readonly ClassTest[] | undefined)[])[];
  /** The last place at which a variant has a test, -1 for none. */
  readonly #lastTest: readonly number[];
  readonly #known = new Map<string, TreeNode>();
  readonly #nodes = new Map<string, TreeNode>();
  readonly #numbers = new Map<TreeNode, number>();
  readonly #steps = new Map<TreeNode, number>();
  readonly #budget: ForestBudget;
  /** Of this list alone. */
  #work: number;

  constructor(variants: readonly Variant[], budget: ForestBudget) {
    this.#variants = variants;
    this.#budget = budget;
    this.#work = LEAST_WORK + WORK_EACH * variants.length;
    const forms = new Map<string, Set<string>>();
    for (const { tests } of variants) {
      for (const test of tests) {
        const key = keyOf(test);
        const known = forms.get(key) ?? new Set();
        forms.set(key, known);
        known.add(test.ranges.map(({ low, high }) => `${low}-${high}`).join());
      }
    }
    const bySize = [...forms].toSorted(([, left], [, right]) => right.size - left.size);
    this.#order = bySize.map(([key]) => key);
    const places = new Map(this.#order.map((key, index) => [key, index]));
    this.#tests = variants.map(({ tests }) => {
      const byPlace: ClassTest[][] = [];
      for (const test of tests) {
        const place = places.get(keyOf(test)) ?? 0;
        byPlace[place] = [...(byPlace[place] ?? []), test];
      }
      return byPlace;
    });
    this.#lastTest = this.#tests.map((byPlace) => byPlace.length - 1);
  }

  build(): TreeNode {
    return this.#below([...this.#variants.keys()], 0);
  }

  stepsOf(node: TreeNode): number {
    const known = this.#steps.get(node);
    if (known !== undefined) return known;
    const steps =
      node.kind === 'leaf'
        ? node.clauses.reduce((sum, { checks }) => sum + 1 + checks.length, 0)
        : Math.ceil(Math.log2(node.starts.length)) + 1 + Math.max(...node.children.map((child) => this.stepsOf(child)));
    this.#steps.set(node, steps);
    return steps;
  }

  /** @param alive  variants that may still hold, in order of their answers */
  #below(alive: readonly number[], from: number): TreeNode {
    const left = this.#untilCertain(alive, from);
    let place = from;
    while (place < this.#order.length && left.every((index) => this.#tests[index]?.[place] === undefined)) place++;
    const key = `${place} ${left.join()}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#spend(left.length + 1);
    const node = place >= this.#order.length ? this.#leaf(left) : this.#branch(left, place);
    this.#known.set(key, node);
    return node;
  }

  /** Nothing behind a clause that holds for certain can be the answer. */
  #untilCertain(alive: readonly number[], from: number): readonly number[] {
    const certain = alive.findIndex(
      (index) => (this.#lastTest[index] ?? -1) < from && this.#variants[index]?.leaf.checks.length === 0,
    );
    return certain < 0 ? alive : alive.slice(0, certain + 1);
  }

  #leaf(left: readonly number[]): TreeNode {
    // Ways of one clause that came here together are one.
    const clauses = [...new Set(left.flatMap((index) => this.#variants[index]?.leaf ?? []))];
    this.longestLeaf = Math.max(this.longestLeaf, clauses.length);
    return this.#shared({ kind: 'leaf', clauses }, `leaf ${left.join()}`);
  }

  #branch(left: readonly number[], place: number): TreeNode {
    const tests = left.flatMap((index) => this.#tests[index]?.[place] ?? []);
    const edges = new Set([0]);
    for (const { ranges } of tests) {
      for (const { high, low } of ranges) {
        edges.add(low);
        edges.add(high + 1);
      }
    }
    const sorted = [...edges].toSorted((one, other) => one - other);
    this.#spend(sorted.length * left.length);
    const starts: number[] = [];
    const children: TreeNode[] = [];
    for (const start of sorted) {
      const alive = left.filter((index) => (this.#tests[index]?.[place] ?? []).every((test) => holds(test, start)));
      const child = this.#below(alive, place + 1);
      if (child === children.at(-1)) continue;
      starts.push(start);
      children.push(child);
    }
    const [only] = children;
    if (children.length === 1 && only !== undefined) return only;
    const first = tests[0];
    if (first === undefined) throw new Error('a branch without a test');
    const { dimension, slot } = first;
    const numbers = children.map((child) => this.#numbers.get(child) ?? 0);
    return this.#shared({ kind: 'branch', slot, dimension, starts, children }, `${place} ${starts.join()} ${numbers.join()}`);
  }

  #shared(node: TreeNode, key: string): TreeNode {
    const known = this.#nodes.get(key);
    if (known !== undefined) return known;
    this.#numbers.set(node, this.#nodes.size);
    this.#nodes.set(key, node);
    return node;
  }

  #spend(work: number): void {
    this.#work -= work;
    this.#budget.work -= work;
    if (this.#work < 0 || this.#budget.work < 0) throw new TreeTooLarge();
  }
}

function keyOf({ dimension, slot }: ClassTest): string {
  return `${slot} ${dimension}`;
}

function holds({ isNegated, ranges }: ClassTest, classNumber: number): boolean {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ranges[middle]?.high ?? 0) < classNumber) low = middle + 1;
    else high = middle;
  }
  const isInside = (ranges[low]?.low ?? Infinity) <= classNumber;
  return isInside !== isNegated;
}

/** Ways in which one clause can hold, on average. */
const MAX_VARIANTS = 8;
/** Steps of some ten nanoseconds, for one list and for all of them. */
const LEAST_WORK = 50_000;
const WORK_EACH = 300;
const MAX_WORK = 10_000_000;
