/**
 * An attribute's value becomes a few small numbers, its classes: one for each way of matching that the policies use. Class 0 is
 * "matches nothing", which is also what an absent attribute has. Exact values, prefixes and suffixes need only hash tables: a
 * value's class is its longest match, and because texts are numbered in order, everything that a prefix covers is one range.
 */
import { PosternError } from '#base/error.ts';

import { Remembered } from './automaton.ts';
import type { CompileBudget } from './budget.ts';
import { buildByteAutomata, buildJointAutomaton } from './byte-automaton.ts';
import type { ByteAutomaton } from './byte-automaton.ts';
import type { SlotSource } from './compiled.ts';
import { asBytePattern } from './patterns.ts';
import type { Pattern } from './patterns.ts';
import type { BytePattern } from './regex/byte-pattern.ts';
import { buildTemplates } from './templates.ts';
import type { TemplateAutomaton } from './templates.ts';

export interface Range {
  readonly low: number;
  readonly high: number;
}

export type Dimension =
  | { readonly kind: 'presence'; readonly classCount: 3 }
  /** Texts by class, from 1. For suffixes they are kept reversed. */
  | { readonly kind: 'exact' | 'prefix' | 'suffix'; readonly classCount: number; readonly texts: readonly string[] }
  | {
      readonly kind: 'bytes';
      readonly classCount: number;
      readonly automaton: ByteAutomaton;
      readonly classOfState: readonly number[];
    }
  | {
      readonly kind: 'template';
      readonly classCount: number;
      readonly automaton: TemplateAutomaton;
      readonly classOfState: readonly number[];
    };

/** One alternative of a group: the value's class in a dimension lies in one of the ranges. */
export interface Alternative {
  /** Index in `PlannedSlot.dimensions`. */
  readonly dimension: number;
  readonly ranges: readonly Range[];
}

export interface PlannedSlot {
  readonly source: SlotSource;
  /** A request can hold several values of it. */
  readonly isList: boolean;
  /** Values that match nothing are kept, too: what is asked is whether any value does not match. */
  readonly keepsMisses: boolean;
  readonly dimensions: readonly Dimension[];
}

/** Whose patterns: an attribute's, or those that each of its values is to match. */
export interface SlotUse {
  readonly source: SlotSource;
  readonly isExhaustive: boolean;
}

/** All patterns on one attribute; afterwards it tells what each of them means as classes. */
export class SlotPatterns {
  readonly use: SlotUse;
  readonly #exact = new Map<string, number>();
  readonly #prefixes = new Set<string>();
  readonly #suffixes = new Set<string>();
  readonly #bytes = new Map<string, { id: number; pattern: BytePattern; multiplies: boolean }>();
  readonly #templates = new Map<string, { id: number; pattern: Pattern & { form: 'template' } }>();
  #usesPresence = false;
  #dimensions: Dimension[] = [];
  #indexOf = new Map<Dimension['kind'], number>();
  #rangesOfBytes: readonly (readonly Alternative[])[] = [];
  #rangesOfTemplate: readonly (readonly Alternative[])[] = [];
  #sortedPrefixes: readonly string[] = [];
  #sortedSuffixes: readonly string[] = [];

  constructor(use: SlotUse) {
    this.use = use;
  }

  add(pattern: Pattern): void {
    if (this.use.isExhaustive) {
      this.#addBytes(keyOf(pattern), asBytePattern(pattern));
      return;
    }
    switch (pattern.form) {
      case 'present':
      case 'filled':
        this.#usesPresence = true;
        return;
      case 'exact':
        if (!this.#exact.has(pattern.text)) this.#exact.set(pattern.text, this.#exact.size + 1);
        return;
      case 'prefix':
        this.#prefixes.add(pattern.text);
        return;
      case 'suffix':
        this.#suffixes.add(reversed(pattern.text));
        return;
      case 'bytes':
        this.#addBytes(pattern.key, pattern.pattern, pattern.multiplies);
        return;
      case 'template': {
        const key = pattern.segments.join('/');
        if (!this.#templates.has(key)) this.#templates.set(key, { id: this.#templates.size, pattern });
      }
    }
  }

  #addBytes(key: string, pattern: BytePattern, multiplies = false): void {
    if (!this.#bytes.has(key)) this.#bytes.set(key, { id: this.#bytes.size, pattern, multiplies });
  }

  /** Numbers the classes; no pattern is added afterwards. */
  build(budget: CompileBudget): PlannedSlot {
    if (this.#usesPresence) this.#push({ kind: 'presence', classCount: 3 });
    if (this.#exact.size > 0) this.#pushTexts('exact', [...this.#exact.keys()]);
    this.#sortedPrefixes = inCodeOrder(this.#prefixes);
    this.#sortedSuffixes = inCodeOrder(this.#suffixes);
    if (this.#sortedPrefixes.length > 0) this.#pushTexts('prefix', this.#sortedPrefixes);
    if (this.#sortedSuffixes.length > 0) this.#pushTexts('suffix', this.#sortedSuffixes);
    const bytes = [...this.#bytes.values()];
    const automata = BYTE_AUTOMATA.of(`${this.use.isExhaustive} ${[...this.#bytes.keys()].join('\n')}`, () =>
      this.use.isExhaustive ? this.#joint(bytes, budget) : buildByteAutomata(bytes, budget),
    );
    this.#rangesOfBytes = this.#pushAutomata('bytes', automata, bytes.length, ({ accepts }) => accepts);
    const templates = [...this.#templates.values()].map(({ id, pattern }) => ({ id, segments: pattern.segments }));
    const ofTemplates = TEMPLATES.of([...this.#templates.keys()].join('\n'), () => buildTemplates(templates, budget));
    this.#rangesOfTemplate = this.#pushAutomata('template', ofTemplates, templates.length, ({ states }) =>
      states.map(({ accepts }) => accepts),
    );
    const { isExhaustive, source } = this.use;
    return { source, isList: LIST_SLOTS.has(source.kind), keepsMisses: isExhaustive, dimensions: this.#dimensions };
  }

  /** Each value is held against all patterns at once, so they cannot be spread over several automata. */
  #joint(bytes: readonly { id: number; pattern: BytePattern }[], budget: CompileBudget): readonly ByteAutomaton[] {
    const automaton = buildJointAutomaton(bytes, budget);
    if (automaton !== null) return [automaton];
    throw new PosternError(
      'policy_too_large',
      `Cannot compile the patterns that every value of "${slotKey(this.use)}" is to match: they need too many states`,
      'Use fewer or simpler patterns',
    );
  }

  /** What a group of patterns means; alternatives on one dimension are joined. */
  alternatives(patterns: readonly Pattern[]): readonly Alternative[] {
    const [only] = patterns;
    if (only !== undefined && patterns.length === 1) return this.#meaning(only);
    const ranges = new Map<number, Range[]>();
    for (const pattern of patterns) {
      for (const alternative of this.#meaning(pattern)) {
        const known = ranges.get(alternative.dimension);
        if (known === undefined) ranges.set(alternative.dimension, [...alternative.ranges]);
        else known.push(...alternative.ranges);
      }
    }
    return [...ranges].map(([dimension, found]) => ({ dimension, ranges: mergeRanges(found) }));
  }

  /** Classes of the values that match none of the patterns. */
  outside(patterns: readonly Pattern[]): readonly Alternative[] {
    const [inside] = this.alternatives(patterns);
    const last = (this.#dimensions[0]?.classCount ?? 1) - 1;
    const ranges: Range[] = [];
    let next = 0;
    for (const { low, high } of inside?.ranges ?? []) {
      if (low > next) ranges.push({ low: next, high: low - 1 });
      next = high + 1;
    }
    if (next <= last) ranges.push({ low: next, high: last });
    return ranges.length === 0 ? [] : [{ dimension: 0, ranges }];
  }

  #meaning(pattern: Pattern): readonly Alternative[] {
    if (this.use.isExhaustive) return this.#rangesOfBytes[this.#bytes.get(keyOf(pattern))?.id ?? -1] ?? [];
    switch (pattern.form) {
      case 'present':
        return [this.#one('presence', { low: 1, high: 2 })];
      case 'filled':
        return [this.#one('presence', { low: 2, high: 2 })];
      case 'exact': {
        const number = this.#exact.get(pattern.text);
        // INVARIANT: no pattern means class 0, which is what an absent attribute has.
        if (number === undefined) throw new Error('a pattern was not added to its slot');
        return [this.#one('exact', { low: number, high: number })];
      }
      case 'prefix':
        return [this.#one('prefix', coveredBy(pattern.text, this.#sortedPrefixes))];
      case 'suffix':
        return [this.#one('suffix', coveredBy(reversed(pattern.text), this.#sortedSuffixes))];
      case 'bytes':
        return this.#rangesOfBytes[this.#bytes.get(pattern.key)?.id ?? -1] ?? [];
      case 'template':
        return this.#rangesOfTemplate[this.#templates.get(pattern.segments.join('/'))?.id ?? -1] ?? [];
    }
  }

  #one(kind: Dimension['kind'], range: Range): Alternative {
    const dimension = this.#indexOf.get(kind);
    if (dimension === undefined || range.low < 1) throw new Error('a pattern was not added to its slot');
    return { dimension, ranges: [range] };
  }

  #push(dimension: Dimension): number {
    const index = this.#dimensions.push(dimension) - 1;
    if (!this.#indexOf.has(dimension.kind)) this.#indexOf.set(dimension.kind, index);
    return index;
  }

  #pushTexts(kind: 'exact' | 'prefix' | 'suffix', texts: readonly string[]): void {
    this.#push({ kind, classCount: texts.length + 1, texts });
  }

  /** Gives each set of matching patterns a class, and each pattern the classes that hold it. */
  #pushAutomata<A extends ByteAutomaton | TemplateAutomaton>(
    kind: 'bytes' | 'template',
    automata: readonly A[],
    patternCount: number,
    acceptsOf: (automaton: A) => readonly (readonly number[])[],
  ): readonly (readonly Alternative[])[] {
    const meanings: Alternative[][] = Array.from({ length: patternCount }, () => []);
    for (const automaton of automata) {
      const classes = new Map<string, number>([['', 0]]);
      const members = new Map<number, number[]>();
      const classOfState = acceptsOf(automaton).map((accepts) => {
        const key = accepts.join(',');
        const known = classes.get(key);
        if (known !== undefined) return known;
        const number = classes.size;
        classes.set(key, number);
        for (const id of accepts) {
          const list = members.get(id);
          if (list === undefined) members.set(id, [number]);
          else list.push(number);
        }
        return number;
      });
      // Holds because `kind` names the automaton's type at both calls.
      const dimension = this.#push({ kind, classCount: classes.size, automaton, classOfState } as Dimension);
      for (const [id, numbers] of members) {
        meanings[id]?.push({ dimension, ranges: mergeRanges(numbers.map((number) => ({ low: number, high: number }))) });
      }
    }
    return meanings;
  }
}

/** One key for each attribute. */
export function slotKey({ isExhaustive, source }: SlotUse): string {
  return isExhaustive ? `each ${sourceKey(source)}` : sourceKey(source);
}

function sourceKey(source: SlotSource): string {
  switch (source.kind) {
    case 'header':
    case 'tag':
    case 'provider':
      return `${source.kind} ${source.name}`;
    case 'claim':
      return `claim ${JSON.stringify(source.path)}`;
    default:
      return source.kind;
  }
}

function keyOf(pattern: Pattern): string {
  switch (pattern.form) {
    case 'bytes':
      return pattern.key;
    case 'template':
      return `template ${pattern.segments.join('/')}`;
    case 'present':
    case 'filled':
      return pattern.form;
    default:
      return `${pattern.form} ${pattern.text}`;
  }
}

/** Sorted, overlapping and adjacent ranges joined. */
export function mergeRanges(ranges: readonly Range[]): readonly Range[] {
  const merged: { low: number; high: number }[] = [];
  for (const { low, high } of ranges.toSorted((left, right) => left.low - right.low)) {
    const last = merged.at(-1);
    if (last !== undefined && low <= last.high + 1) last.high = Math.max(last.high, high);
    else merged.push({ low, high });
  }
  return merged;
}

export function reversed(text: string): string {
  return [...text].toReversed().join('');
}

/** Classes of the texts that begin with `prefix`; they stand together in code order. */
function coveredBy(prefix: string, sorted: readonly string[]): Range {
  const first = lowerBound(sorted, (text) => text >= prefix);
  const last = lowerBound(sorted, (text) => text >= prefix && !text.startsWith(prefix));
  return { low: first + 1, high: last };
}

/** Index of the first text for which `holds`; once it holds it must hold for all that follow. */
function lowerBound(sorted: readonly string[], holds: (text: string) => boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(sorted[middle] ?? '')) high = middle;
    else low = middle + 1;
  }
  return low;
}

function inCodeOrder(texts: ReadonlySet<string>): readonly string[] {
  // The default order compares code units, which is what `coveredBy` relies on.
  return [...texts].toSorted();
}

const LIST_SLOTS: ReadonlySet<SlotSource['kind']> = new Set([
  'header',
  'audiences',
  'presenter',
  'claim',
  'anyNamespace',
  'anyAccount',
  'tag',
]);
const BYTE_AUTOMATA = new Remembered<ByteAutomaton>();
const TEMPLATES = new Remembered<TemplateAutomaton>();
