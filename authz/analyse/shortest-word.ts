/**
 * The shortest word that some automata accept and others do not, or the proof that there is none: breadth first through the product,
 * made as far as it is walked. What can no longer come out as asked is not followed, so that automata that share nothing cost nothing.
 */
import type { ByteAutomaton } from '../plan/byte-automaton.ts';
import type { AnalysisBudget } from './analysis-budget.ts';
import { BudgetSpent } from './analysis-budget.ts';

/** What is asked of a word. */
export interface Asked {
  /** Which of the automata, by their places. */
  readonly places: readonly number[];
  /** That one of them accepts; else that none does. */
  readonly isSome: boolean;
}

/** @throws {BudgetSpent} also where the product is too large for one question */
export function shortestWord(automata: readonly ByteAutomaton[], asked: readonly Asked[], budget: AnalysisBudget): string | null {
  return new Search(automata, asked, budget).run();
}

/** Of each automaton its state. */
type States = readonly number[];

interface Step {
  readonly states: States;
  /** The step before, -1 for none, and the byte between. */
  readonly from: number;
  readonly byte: number;
}

class Search {
  readonly #automata: readonly ByteAutomaton[];
  readonly #some: readonly (readonly number[])[];
  readonly #none: readonly number[];
  readonly #budget: AnalysisBudget;
  readonly #steps: Step[] = [];
  readonly #seen = new Set<string>();

  constructor(automata: readonly ByteAutomaton[], asked: readonly Asked[], budget: AnalysisBudget) {
    this.#automata = automata;
    this.#some = asked.flatMap(({ isSome, places }) => (isSome ? [places] : []));
    this.#none = asked.flatMap(({ isSome, places }) => (isSome ? [] : places));
    this.#budget = budget;
  }

  run(): string | null {
    const bytes = readableBytes(this.#automata);
    this.#budget.spend(this.#automata.length * STEPS_OF_CLASSES);
    this.#add({ states: this.#automata.map(({ start }) => start), from: -1, byte: 0 });
    for (let at = 0; at < this.#steps.length; at++) {
      const step = this.#steps[at];
      if (step === undefined) break;
      if (this.#isWanted(step.states)) return this.#wordTo(step);
      if (at > MOST_STATES) throw new BudgetSpent();
      this.#budget.spend(Math.ceil((bytes.length * this.#automata.length) / TRANSITIONS_OF_STEP));
      for (const byte of bytes) this.#add({ states: this.#after(step.states, byte), from: at, byte });
    }
    return null;
  }

  #add(step: Step): void {
    const { states } = step;
    if (!this.#some.every((places) => places.some((place) => states[place] !== 0))) return;
    if (this.#none.some((place) => universalStates(this.#automata[place]).has(states[place] ?? 0))) return;
    const key = states.join();
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.#steps.push(step);
  }

  #after(states: States, byte: number): States {
    return this.#automata.map(({ byteClass, classCount, next }, place) => {
      const state = states[place] ?? 0;
      return state === 0 ? 0 : (next[state * classCount + (byteClass[byte] ?? 0)] ?? 0);
    });
  }

  #isWanted(states: States): boolean {
    const accepts = (place: number): boolean => (this.#automata[place]?.accepts[states[place] ?? 0]?.length ?? 0) > 0;
    return this.#some.every((places) => places.some(accepts)) && !this.#none.some(accepts);
  }

  #wordTo(last: Step): string {
    const bytes: number[] = [];
    for (let step: Step | undefined = last; step !== undefined && step.from >= 0; step = this.#steps[step.from])
      bytes.push(step.byte);
    return String.fromCharCode(...bytes.toReversed());
  }
}

/** Of the bytes that no automaton tells apart one, letters first. */
function readableBytes(automata: readonly ByteAutomaton[]): readonly number[] {
  let classes: readonly number[] = Array.from({ length: 256 }, () => 0);
  for (const { byteClass, classCount } of automata) {
    const numbers = new Map<number, number>();
    classes = classes.map((number, byte) => {
      const joined = number * classCount + (byteClass[byte] ?? 0);
      const known = numbers.get(joined);
      if (known !== undefined) return known;
      numbers.set(joined, numbers.size);
      return numbers.size - 1;
    });
  }
  const found = new Map<number, number>();
  for (const byte of BYTES) {
    const number = classes[byte] ?? 0;
    if (!found.has(number)) found.set(number, byte);
  }
  return [...found.values()];
}

/** States from which every word is accepted. */
function universalStates(automaton: ByteAutomaton | undefined): ReadonlySet<number> {
  if (automaton === undefined) return new Set();
  const known = UNIVERSAL.get(automaton);
  if (known !== undefined) return known;
  const { accepts, classCount, next } = automaton;
  const found = new Set(accepts.flatMap((ids, state) => (ids.length > 0 ? [state] : [])));
  let hasChanged = true;
  while (hasChanged) {
    hasChanged = false;
    for (const state of found) {
      if (next.slice(state * classCount, (state + 1) * classCount).every((reached) => found.has(reached))) continue;
      found.delete(state);
      hasChanged = true;
    }
  }
  UNIVERSAL.set(automaton, found);
  return found;
}

const UNIVERSAL = new WeakMap<ByteAutomaton, ReadonlySet<number>>();
const BYTES: readonly number[] = [
  ...Buffer.from('xabcdefghijklmnopqrstuvwyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-._/', 'latin1'),
  ...Array.from({ length: 256 }, (_, byte) => byte),
];
/** What the classes of one automaton's bytes cost, in steps of the budget. */
const STEPS_OF_CLASSES = 10;
const TRANSITIONS_OF_STEP = 20;
const MOST_STATES = 20_000;
