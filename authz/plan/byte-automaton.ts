/**
 * Patterns over bytes as one deterministic automaton (Thompson's construction, then subsets), under a budget of states. Assertions
 * are judged between two bytes, so that a state of a set with assertions also knows what kind of byte it came from.
 */
import { BudgetError, sortedUnique, splitByBudget } from './automaton.ts';
import type { CompileBudget } from './budget.ts';
import type { Assertion, BytePattern, ByteRange } from './regex/byte-pattern.ts';

export interface NumberedPattern {
  readonly id: number;
  readonly pattern: BytePattern;
  /** It is compiled by itself. */
  readonly multiplies?: boolean;
}

export interface ByteAutomaton {
  /** Class of each byte; bytes of one class are never told apart. */
  readonly byteClass: Uint8Array;
  readonly classCount: number;
  /** Next state at `state * classCount + class`; state 0 is dead. */
  readonly next: readonly number[];
  readonly start: number;
  /** Ids of the patterns that match when the value ends in the state. */
  readonly accepts: readonly (readonly number[])[];
}

export function buildByteAutomata(patterns: readonly NumberedPattern[], budget: CompileBudget): readonly ByteAutomaton[] {
  const automata: ByteAutomaton[] = [];
  const [alone = [], together = []] = [true, false].map((is) => patterns.filter(({ multiplies = false }) => multiplies === is));
  for (const one of alone) automata.push(...splitByBudget([one], (items) => new Construction(items, budget).build()));
  for (let at = 0; at < together.length; at += MOST_TOGETHER) {
    const some = together.slice(at, at + MOST_TOGETHER);
    automata.push(...splitByBudget(some, (items) => new Construction(items, budget).build()));
  }
  return automata;
}

/** One automaton of all patterns, or null where it would be too large. */
export function buildJointAutomaton(patterns: readonly NumberedPattern[], budget: CompileBudget): ByteAutomaton | null {
  try {
    return new Construction(patterns, budget).build();
  } catch (error) {
    if (error instanceof BudgetError) return null;
    throw error;
  }
}

type Node =
  | { readonly kind: 'bytes'; readonly ranges: readonly ByteRange[]; readonly next: number }
  | { readonly kind: 'ways'; readonly next: number[] }
  | { readonly kind: 'assertion'; readonly assertion: Assertion; readonly next: number }
  | { readonly kind: 'accept'; readonly id: number };

/** What stands on one side of a place: an end of the text, or a byte of some kind. */
const SIDE = { end: 0, newline: 1, word: 2, other: 3 } as const;
type Side = (typeof SIDE)[keyof typeof SIDE];

class Construction {
  readonly #budget: CompileBudget;
  readonly #maxStates: number;
  readonly #nodes: Node[] = [];
  readonly #starts: number[] = [];
  #hasAssertions = false;
  readonly #numbers = new Map<string, number>();
  /** Nodes of each state before anything is followed, and the side that it came from. */
  readonly #states: { readonly nodes: readonly number[]; readonly before: Side }[] = [];

  constructor(patterns: readonly NumberedPattern[], budget: CompileBudget) {
    this.#budget = budget;
    for (const { id, pattern } of patterns) this.#starts.push(this.#add(pattern, this.#node({ kind: 'accept', id })));
    // Patterns that do not multiply need about a state for each node.
    this.#maxStates = patterns.length === 1 ? MAX_STATES_ALONE : Math.min(MAX_STATES_ALONE, LEAST_STATES + this.#nodes.length);
  }

  build(): ByteAutomaton {
    const { byteClass, samples } = this.#classBytes();
    this.#state([], SIDE.end);
    const start = this.#state(this.#hasAssertions ? this.#starts : this.#follow(this.#starts, SIDE.end, SIDE.end), SIDE.end);
    const next: number[] = [];
    const accepts: (readonly number[])[] = [];
    for (let state = 0; state < this.#states.length; state++) {
      const { before, nodes } = this.#states[state] ?? { nodes: [], before: SIDE.end };
      this.#budget.spend(samples.length + nodes.length);
      for (const byte of samples) next.push(this.#step(nodes, before, byte));
      const last = this.#hasAssertions ? this.#follow(nodes, before, SIDE.end) : nodes;
      accepts.push(sortedUnique(last.flatMap((index) => this.#acceptedAt(index))));
    }
    return { byteClass, classCount: samples.length, next, start, accepts };
  }

  #step(nodes: readonly number[], before: Side, byte: number): number {
    const side = this.#hasAssertions ? sideOf(byte) : SIDE.end;
    const from = this.#hasAssertions ? this.#follow(nodes, before, side) : nodes;
    const reached: number[] = [];
    for (const index of from) {
      const node = this.#nodes[index];
      if (node?.kind === 'bytes' && covers(node.ranges, byte)) reached.push(node.next);
    }
    if (reached.length === 0) return 0;
    this.#budget.spend(reached.length);
    return this.#hasAssertions
      ? this.#state(sortedUnique(reached), side)
      : this.#state(this.#follow(reached, SIDE.end, SIDE.end), SIDE.end);
  }

  #state(nodes: readonly number[], before: Side): number {
    const key = `${before} ${nodes.join(',')}`;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    if (this.#states.length >= this.#maxStates) throw new BudgetError();
    const number = this.#states.push({ nodes, before }) - 1;
    this.#numbers.set(key, number);
    return number;
  }

  /** Nodes that wait for a byte, or accept, reached without reading one. */
  #follow(nodes: readonly number[], before: Side, after: Side): number[] {
    const seen = new Set<number>();
    const waiting: number[] = [];
    const pending = [...nodes];
    for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
      if (seen.has(index)) continue;
      seen.add(index);
      const node = this.#nodes[index];
      if (node?.kind === 'ways') pending.push(...node.next);
      else if (node?.kind === 'assertion') {
        if (holdsBetween(node.assertion, before, after)) pending.push(node.next);
      } else waiting.push(index);
    }
    this.#budget.spend(seen.size);
    return waiting.sort((left, right) => left - right);
  }

  #acceptedAt(index: number): readonly number[] {
    const node = this.#nodes[index];
    return node?.kind === 'accept' ? [node.id] : [];
  }

  /** First node of a pattern after which `next` follows. */
  #add(pattern: BytePattern, next: number): number {
    switch (pattern.kind) {
      case 'bytes':
        return this.#node({ kind: 'bytes', ranges: pattern.ranges, next });
      case 'sequence':
        return pattern.of.reduceRight((after, part) => this.#add(part, after), next);
      case 'choice':
        return this.#node({ kind: 'ways', next: pattern.of.map((part) => this.#add(part, next)) });
      case 'assertion':
        this.#hasAssertions = true;
        return this.#node({ kind: 'assertion', assertion: pattern.assertion, next });
      case 'repeat':
        return this.#repeat(pattern.of, pattern.least, pattern.most, next);
    }
  }

  #repeat(of: BytePattern, least: number, most: number | null, next: number): number {
    let at = next;
    if (most === null) {
      const ways: number[] = [next];
      at = this.#node({ kind: 'ways', next: ways });
      ways.push(this.#add(of, at));
    } else {
      for (let count = least; count < most; count++) at = this.#node({ kind: 'ways', next: [next, this.#add(of, at)] });
    }
    for (let count = 0; count < least; count++) at = this.#add(of, at);
    return at;
  }

  #node(node: Node): number {
    if (this.#nodes.length >= MAX_NODES) throw new BudgetError();
    return this.#nodes.push(node) - 1;
  }

  /** Bytes that no node tells apart. */
  #classBytes(): { byteClass: Uint8Array; samples: readonly number[] } {
    const sets = new Map<string, readonly ByteRange[]>();
    const all = new Set(this.#nodes.flatMap((node) => (node.kind === 'bytes' ? [node.ranges] : [])));
    for (const ranges of all) sets.set(keyOf(ranges), ranges);
    if (this.#hasAssertions) for (const ranges of [WORD, NEWLINE]) sets.set(keyOf(ranges), ranges);
    const signatures: string[] = Array.from({ length: 256 }, () => '');
    let number = 0;
    for (const ranges of sets.values()) {
      number++;
      for (const { low, high } of ranges) for (let byte = low; byte <= high; byte++) signatures[byte] += `${number},`;
    }
    const classes = new Map<string, number>();
    const byteClass = new Uint8Array(256);
    const samples: number[] = [];
    for (const [byte, signature] of signatures.entries()) {
      const known = classes.get(signature);
      if (known === undefined) {
        byteClass[byte] = classes.size;
        classes.set(signature, classes.size);
        samples.push(byte);
      } else byteClass[byte] = known;
    }
    return { byteClass, samples };
  }
}

function covers(ranges: readonly ByteRange[], byte: number): boolean {
  for (const { low, high } of ranges) if (byte >= low && byte <= high) return true;
  return false;
}

function sideOf(byte: number): Side {
  if (byte === 0x0a) return SIDE.newline;
  return covers(WORD, byte) ? SIDE.word : SIDE.other;
}

function holdsBetween(assertion: Assertion, before: Side, after: Side): boolean {
  switch (assertion) {
    case 'textStart':
      return before === SIDE.end;
    case 'textEnd':
      return after === SIDE.end;
    case 'lineStart':
      return before === SIDE.end || before === SIDE.newline;
    case 'lineEnd':
      return after === SIDE.end || after === SIDE.newline;
    case 'wordBoundary':
      return (before === SIDE.word) !== (after === SIDE.word);
    case 'noWordBoundary':
      return (before === SIDE.word) === (after === SIDE.word);
  }
}

function keyOf(ranges: readonly ByteRange[]): string {
  return ranges.map(({ low, high }) => `${low}-${high}`).join(',');
}

const WORD: readonly ByteRange[] = [
  { low: 0x30, high: 0x39 },
  { low: 0x41, high: 0x5a },
  { low: 0x5f, high: 0x5f },
  { low: 0x61, high: 0x7a },
];
const NEWLINE: readonly ByteRange[] = [{ low: 0x0a, high: 0x0a }];
const MAX_NODES = 60_000;
const MAX_STATES_ALONE = 8192;
const LEAST_STATES = 256;
/** More are not even tried: patterns that multiply would take long to be found out. */
const MOST_TOGETHER = 16;
