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
import { couldMeet, fitsTemplate, prefixOf } from './pattern-reach.ts';
import { textOf } from './pattern-text.ts';
import type { Predicate, Predicates } from './predicates.ts';
import { shortestWord } from './shortest-word.ts';
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

  /** The values of a variable, where the literals leave nothing else; else null. */
  onlyValues(variable: Variable, literals: readonly number[]): Values | null {
    if (variable.isList) return null;
    const isSingle = this.#split(literals, true).some(({ values }) => values?.size === 1);
    return isSingle ? this.values(variable, literals) : null;
  }

  /** Whether the predicate of a literal plainly excludes one that holds already. */
  areApart(variable: Variable, literals: readonly number[], literal: number): boolean {
    if (variable.isList) return false;
    const predicate = this.#predicates.list[literal >> 1];
    return predicate !== undefined && this.#split(literals, true).some((other) => areApart(predicate, other));
  }

  /** Whether a literal holds of a variable that has those values. */
  holdsOf(literal: number, values: Values): boolean {
    const predicate = this.#predicates.list[literal >> 1];
    const isMet = predicate !== undefined && values.some((value) => this.#holds(predicate, value));
    return isMet !== ((literal & 1) === 1);
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
    if (wanted.some((left, index) => wanted.slice(index + 1).some((right) => areApart(left, right)))) return null;
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
      case 'template':
        return fitsTemplate(pattern.segments, value);
      default:
        // Most fail here, and need no automaton.
        return value.startsWith(prefixOf(pattern)) && runsTo(this.#automaton(pattern), value).length > 0;
    }
  }

  #inDomain(variable: Variable, value: string): boolean {
    if (variable.samples.includes(value)) return true;
    return runsTo(this.#automaton(domainPattern(variable)), value).length > 0;
  }

  #automaton(pattern: Pattern): ByteAutomaton {
    const key = textOf(pattern);
    const known = this.#automata.get(key);
    if (known !== undefined) return known;
    const work = new CompileBudget(MAX_AUTOMATON_STEPS);
    const made = builtOrNull(() => buildJointAutomaton([{ id: 0, pattern: asBytePattern(pattern) }], work));
    this.#budget.spend(Math.ceil(work.spent / STEPS_OF_ONE));
    if (made === null) throw new BudgetSpent();
    if (this.#automata.size >= MAX_AUTOMATA) this.#automata.clear();
    this.#automata.set(key, made);
    return made;
  }

  #shortest(variable: Variable, wanted: readonly Predicate[], unwanted: readonly Predicate[]): string | null {
    const all = [...wanted, ...unwanted.map((predicate) => withinReach(predicate, wanted))];
    const patterns = [...new Set([domainPattern(variable), ...all.flatMap(({ patterns: own }) => own)])];
    const places = new Map(patterns.map((pattern, place) => [pattern, place]));
    const asked = all.map(({ isComplement, patterns: own }, index) => ({
      places: own.map((pattern) => places.get(pattern) ?? 0),
      // What is to come out: that some of its patterns accept, or that none does.
      isSome: index < wanted.length !== isComplement,
    }));
    const automata = patterns.map((pattern) => this.#automaton(pattern));
    return shortestWord(automata, [{ places: [0], isSome: true }, ...asked], this.#budget);
  }
}

function domainPattern({ domain, domainKey }: Variable): Pattern {
  return { form: 'bytes', key: domainKey, pattern: domain };
}

/** They are plainly about different values. */
function areApart(left: Predicate, right: Predicate): boolean {
  if (left.kind !== null && left.kind === right.kind && left.texts.isDisjointFrom(right.texts)) return true;
  return !couldMeet(prefixesOf(left), prefixesOf(right));
}

/** Without the patterns that no value fits which is as wanted: what is left out would only make the automaton larger. */
function withinReach(unwanted: Predicate, wanted: readonly Predicate[]): Predicate {
  if (unwanted.isComplement) return unwanted;
  const patterns = unwanted.patterns.filter((pattern) =>
    wanted.every((predicate) => couldMeet([prefixOf(pattern)], prefixesOf(predicate))),
  );
  return patterns.length === unwanted.patterns.length ? unwanted : { ...unwanted, patterns };
}

/** Every value that fits begins with one of them. */
function prefixesOf(predicate: Predicate): readonly string[] {
  const known = PREFIXES.get(predicate);
  if (known !== undefined) return known;
  const made = predicate.isComplement ? [''] : predicate.patterns.map(prefixOf);
  PREFIXES.set(predicate, made);
  return made;
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

function builtOrNull(build: () => ByteAutomaton | null): ByteAutomaton | null {
  try {
    return build();
  } catch (error) {
    if (error instanceof PosternError) return null;
    throw error;
  }
}

const PREFIXES = new WeakMap<Predicate, readonly string[]>();
const MAX_TRIED = 8;
const MAX_AUTOMATA = 4096;
const MAX_AUTOMATON_STEPS = 1_000_000;
/** Steps of an automaton's construction that count as one. */
const STEPS_OF_ONE = 10;
