/**
 * Values for a variable of which several predicates hold and others do not, or the proof that there are none: first by trying the
 * values that the patterns suggest, then by the product of their automata, whose shortest word is the answer. Complete, within its budget.
 */
import { CompileBudget } from '../plan/budget.ts';
import { buildJointAutomaton } from '../plan/byte-automaton.ts';
import type { ByteAutomaton } from '../plan/byte-automaton.ts';
import { asBytePattern } from '../plan/patterns.ts';
import type { Pattern } from '../plan/patterns.ts';
import { PosternError } from '#base/error.ts';

import { BudgetSpent } from './analysis-budget.ts';
import type { AnalysisBudget } from './analysis-budget.ts';
import { textOf } from './pattern-text.ts';
import type { Predicate, Predicates } from './predicates.ts';
import type { Variable } from './variables.ts';

/** Values of a variable; none is its absence. */
export type Values = readonly string[];

export class ValueFinder {
  readonly #predicates: Predicates;
  readonly #budget: AnalysisBudget;
  readonly #known = new Map<string, Values | null>();
  readonly #automata = new Map<string, ByteAutomaton>();

  constructor(predicates: Predicates, budget: AnalysisBudget) {
    this.#predicates = predicates;
    this.#budget = budget;
  }

  /** Values for which all literals hold, or null. @param literals  of one variable, in ascending order */
  values(variable: Variable, literals: readonly number[]): Values | null {
    if (literals.length === 0) return variable.canBeAbsent ? [] : [variable.samples[0] ?? ''];
    const key = literals.length === 1 ? String(literals[0]) : literals.join();
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#budget.spend(1);
    const found = this.#find(variable, literals);
    this.#known.set(key, found);
    return found;
  }

  /** One value, which is there. */
  presentValue(variable: Variable, literals: readonly number[]): string | null {
    return this.#one(variable, this.#split(literals, true), this.#split(literals, false));
  }

  #find(variable: Variable, literals: readonly number[]): Values | null {
    const wanted = this.#split(literals, true);
    const unwanted = this.#split(literals, false);
    if (wanted.length === 0 && variable.canBeAbsent) return [];
    if (wanted.some((predicate) => unwanted.includes(predicate))) return null;
    if (!variable.isList) {
      const value = this.#one(variable, wanted, unwanted);
      return value === null ? null : [value];
    }
    const values = new Set<string>();
    for (const predicate of wanted) {
      if ([...values].some((value) => this.#holds(predicate, value))) continue;
      const value = this.#one(variable, [predicate], unwanted);
      if (value === null) return null;
      values.add(value);
    }
    return [...values];
  }

  #split(literals: readonly number[], isWanted: boolean): readonly Predicate[] {
    return literals.flatMap((literal) => {
      const predicate = this.#predicates.list[literal >> 1];
      return predicate !== undefined && ((literal & 1) === 0) === isWanted ? [predicate] : [];
    });
  }

  #one(variable: Variable, wanted: readonly Predicate[], unwanted: readonly Predicate[]): string | null {
    const fits = (value: string): boolean =>
      wanted.every((predicate) => this.#holds(predicate, value)) &&
      !unwanted.some((predicate) => this.#holds(predicate, value)) &&
      this.#inDomain(variable, value);
    let fewest: ReadonlySet<string> | null = null;
    for (const { values } of wanted) if (values !== null && (fewest === null || values.size < fewest.size)) fewest = values;
    if (fewest !== null) {
      for (const value of fewest) if (fits(value)) return value;
      return null;
    }
    if (areApart(wanted)) return null;
    this.#budget.spend(10);
    for (const value of candidates(variable, wanted)) if (fits(value)) return value;
    return this.#shortest(variable, wanted, unwanted);
  }

  #holds(predicate: Predicate, value: string): boolean {
    if (predicate.values !== null) return predicate.values.has(value);
    return predicate.patterns.some((pattern) => this.#matches(pattern, value)) !== predicate.isComplement;
  }

  #matches(pattern: Pattern, value: string): boolean {
    switch (pattern.form) {
      case 'exact':
        return value === pattern.text;
      case 'prefix':
        return value.startsWith(pattern.text);
      case 'suffix':
        return value.endsWith(pattern.text);
      case 'present':
        return true;
      case 'filled':
        return value !== '';
      default:
        return runsTo(this.#automaton([pattern]), value).length > 0;
    }
  }

  #inDomain(variable: Variable, value: string): boolean {
    if (variable.samples.includes(value)) return true;
    return runsTo(this.#automaton([domainPattern(variable)]), value).length > 0;
  }

  /** One automaton of all patterns; accepted ids are their places in the list. */
  #automaton(patterns: readonly Pattern[]): ByteAutomaton {
    const key = patterns.map(textOf).join('\n');
    const known = this.#automata.get(key);
    if (known !== undefined) return known;
    const numbered = patterns.map((pattern, id) => ({ id, pattern: asBytePattern(pattern) }));
    const work = new CompileBudget(MAX_AUTOMATON_STEPS);
    const made = builtOrNull(() => buildJointAutomaton(numbered, work));
    this.#budget.spend(Math.ceil(work.spent / STEPS_OF_ONE));
    if (made === null) throw new BudgetSpent();
    if (this.#automata.size >= MAX_AUTOMATA) this.#automata.clear();
    this.#automata.set(key, made);
    return made;
  }

  #shortest(variable: Variable, wanted: readonly Predicate[], unwanted: readonly Predicate[]): string | null {
    const all = [...wanted, ...unwanted];
    const patterns = [domainPattern(variable), ...new Set(all.flatMap((predicate) => predicate.patterns))];
    const places = new Map(patterns.map((pattern, place) => [pattern, place]));
    const asked = all.map(({ isComplement, patterns: own }, index) => ({
      places: new Set(own.map((pattern) => places.get(pattern) ?? 0)),
      // What is to come out: that some of its patterns accept, or that none does.
      isSome: index < wanted.length !== isComplement,
    }));
    const automaton = this.#automaton(patterns);
    return shortestWord(automaton, (accepts) => {
      if (!accepts.includes(0)) return false;
      return asked.every(({ isSome, places: own }) => accepts.some((id) => own.has(id)) === isSome);
    });
  }
}

function domainPattern({ domain, domainKey }: Variable): Pattern {
  return { form: 'bytes', key: domainKey, pattern: domain };
}

/** Two of them are plainly about different values. */
function areApart(wanted: readonly Predicate[]): boolean {
  for (const [index, left] of wanted.entries()) {
    for (const right of wanted.slice(index + 1)) {
      if (left.kind !== null && left.kind === right.kind && left.texts.isDisjointFrom(right.texts)) return true;
      if (prefixesOf(left) !== null && !couldMeet(left, right)) return true;
    }
  }
  return false;
}

/** Whether a value can begin as both ask. */
function couldMeet(left: Predicate, right: Predicate): boolean {
  const [ofLeft, ofRight] = [prefixesOf(left), prefixesOf(right)];
  if (ofLeft === null || ofRight === null) return true;
  return ofLeft.some((one) => ofRight.some((other) => one.startsWith(other) || other.startsWith(one)));
}

/** What every value that fits begins with, one of them; null where that is not known. */
function prefixesOf({ isComplement, patterns }: Predicate): readonly string[] | null {
  if (isComplement) return null;
  const found: string[] = [];
  for (const pattern of patterns) {
    if (pattern.form === 'exact' || pattern.form === 'prefix') found.push(pattern.text);
    else if (pattern.form === 'template') {
      const end = pattern.segments.findIndex((segment) => segment === '{*}' || segment === '{**}');
      found.push(`/${pattern.segments.slice(0, Math.max(0, end)).join('/')}`);
    } else return null;
  }
  return found;
}

function* candidates({ samples }: Variable, wanted: readonly Predicate[]): Generator<string> {
  yield* samples;
  const patterns = wanted.flatMap(({ isComplement, patterns: own }) => (isComplement ? [] : own.slice(0, MAX_TRIED)));
  const prefixes = patterns.flatMap((pattern) => (pattern.form === 'prefix' ? [pattern.text] : []));
  const suffixes = patterns.flatMap((pattern) => (pattern.form === 'suffix' ? [pattern.text] : []));
  for (const pattern of patterns) {
    if (pattern.form === 'exact') yield pattern.text;
    else if (pattern.form === 'prefix') for (const end of ['', 'x', 'x/y', 'other']) yield pattern.text + end;
    else if (pattern.form === 'suffix') for (const start of ['', 'x', '/x', 'other']) yield start + pattern.text;
    else if (pattern.form === 'template')
      for (const rest of ['x', 'other/x', ''])
        yield `/${pattern.segments.join('/').replaceAll('{**}', rest).replaceAll('{*}', 'x')}`;
  }
  for (const prefix of prefixes)
    for (const suffix of suffixes) for (const between of ['', 'x', '/']) yield prefix + between + suffix;
}

function runsTo({ accepts, byteClass, classCount, next, start }: ByteAutomaton, value: string): readonly number[] {
  let state = start;
  for (let at = 0; at < value.length && state !== 0; at++) {
    state = next[state * classCount + (byteClass[value.charCodeAt(at)] ?? 0)] ?? 0;
  }
  return accepts[state] ?? [];
}

/** Breadth first, by the most readable byte of each class. */
function shortestWord(automaton: ByteAutomaton, isWanted: (accepts: readonly number[]) => boolean): string | null {
  const { accepts, classCount, next, start } = automaton;
  const readable = readableBytes(automaton);
  const cameFrom = new Map<number, { readonly from: number; readonly byte: number }>([[start, { from: -1, byte: 0 }]]);
  const queue = [start];
  for (let at = 0; at < queue.length; at++) {
    const state = queue[at] ?? 0;
    if (isWanted(accepts[state] ?? [])) return wordTo(state, cameFrom);
    for (const { byte, number } of readable) {
      const reached = next[state * classCount + number] ?? 0;
      if (reached === 0 || cameFrom.has(reached)) continue;
      cameFrom.set(reached, { from: state, byte });
      queue.push(reached);
    }
  }
  return null;
}

function wordTo(state: number, cameFrom: ReadonlyMap<number, { readonly from: number; readonly byte: number }>): string {
  const bytes: number[] = [];
  for (let step = cameFrom.get(state); step !== undefined && step.from >= 0; step = cameFrom.get(step.from))
    bytes.push(step.byte);
  return String.fromCharCode(...bytes.toReversed());
}

/** Of each class one byte, classes that hold a letter first. */
function readableBytes({ byteClass }: ByteAutomaton): readonly { readonly byte: number; readonly number: number }[] {
  const found = new Map<number, number>();
  for (const byte of BYTES) {
    const number = byteClass[byte] ?? 0;
    if (!found.has(number)) found.set(number, byte);
  }
  return [...found].map(([number, byte]) => ({ byte, number }));
}

function builtOrNull(build: () => ByteAutomaton | null): ByteAutomaton | null {
  try {
    return build();
  } catch (error) {
    if (error instanceof PosternError) return null;
    throw error;
  }
}

const BYTES: readonly number[] = [
  ...Buffer.from('xabcdefghijklmnopqrstuvwyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-._/', 'latin1'),
  ...Array.from({ length: 256 }, (_, byte) => byte),
];
const MAX_TRIED = 8;
const MAX_AUTOMATA = 4096;
const MAX_AUTOMATON_STEPS = 1_000_000;
/** Steps of an automaton's construction that count as one. */
const STEPS_OF_ONE = 10;
