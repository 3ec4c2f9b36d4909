/** Writes the lists and checks that a decision walks. What stands where: authz/wasm/memory-map.ts. */
import type { PlannedSlot, Range } from '../plan/dimensions.ts';
import type { ActionIndex, Check, PlannedClause, ProgramPlan } from '../plan/plan.ts';
import type { Cells } from './cells.ts';
import { ALTERNATIVE, CLAUSE, EFFECT, ENTRY, INDEX, LIST_PAIR, PROGRAM } from './memory-map.ts';
import type { Memory } from './memory.ts';

export class ProgramWriter {
  readonly #memory: Memory;
  readonly #cells: Cells;
  readonly #lists = new Map<string, number>();
  readonly #bitSets = new Map<string, number>();
  readonly #checks = new Map<Check, readonly number[]>();

  constructor(memory: Memory, cells: Cells) {
    this.#memory = memory;
    this.#cells = cells;
  }

  write(program: ProgramPlan, slots: readonly PlannedSlot[]): number {
    const tables = new Map<number, number>();
    const deny = this.#index(program.deny, slots, EFFECT.deny, LIST_PAIR.deny, tables);
    const allow = this.#index(program.allow, slots, EFFECT.allow, LIST_PAIR.allow, tables);
    const at = this.#memory.reserve(PROGRAM.bytes, 4);
    this.#memory.setWord(at + PROGRAM.deny, deny);
    this.#memory.setWord(at + PROGRAM.allow, allow);
    this.#memory.setWord(at + PROGRAM.hasAllow, program.hasAllow ? 1 : 0);
    return at;
  }

  /** @param tables  by cell, shared by both actions */
  #index(index: ActionIndex, slots: readonly PlannedSlot[], effect: number, half: number, tables: Map<number, number>): number {
    const always = index.always.length === 0 ? 0 : this.#list(index.always, effect);
    const used = new Set<number>();
    for (const { slot, dimension, classNumber, clauses } of index.lists) {
      const cell = this.#cells.of(slot, dimension);
      const classCount = slots[slot]?.dimensions[dimension]?.classCount ?? 0;
      const table = tables.get(cell) ?? this.#memory.reserve(classCount << LIST_PAIR.shift, 4);
      tables.set(cell, table);
      used.add(cell);
      this.#memory.setWord(table + half + (classNumber << LIST_PAIR.shift), this.#list(clauses, effect));
    }
    const words = [always, used.size];
    for (const cell of used) words.push(cell, (tables.get(cell) ?? 0) + half);
    if (words.length * 4 !== INDEX.entries + used.size * ENTRY.bytes)
      throw new Error('an index has another shape than the code reads');
    return this.#memory.addWords(words);
  }

  /** Clauses one after the other, ended by a 0; equal lists are written once. */
  #list(clauses: readonly PlannedClause[], effect: number): number {
    const records = clauses.map(({ rule, checks }) => ({
      answer: ((rule + 1) << 2) | effect,
      checks: checks.flatMap((check) => this.#check(check)),
    }));
    const key = records.map(({ answer, checks }) => `${answer} ${checks.join(' ')}`).join('\n');
    const known = this.#lists.get(key);
    if (known !== undefined) return known;
    const words = records.reduce((sum, { checks }) => sum + CLAUSE.checks / 4 + checks.length, 1);
    const at = this.#memory.reserve(4 * words, 4);
    let next = at;
    for (const { answer, checks } of records) {
      const clause = next;
      next += CLAUSE.checks + 4 * checks.length;
      this.#memory.setWord(clause + CLAUSE.answer, answer);
      this.#memory.setWord(clause + CLAUSE.end, next);
      for (const [index, word] of checks.entries()) this.#memory.setWord(clause + CLAUSE.checks + 4 * index, word);
    }
    this.#lists.set(key, at);
    return at;
  }

  #check(check: Check): readonly number[] {
    const known = this.#checks.get(check);
    if (known !== undefined) return known;
    const alternatives: number[] = [];
    for (const { dimension, ranges } of check.alternatives) {
      const cell = this.#cells.of(check.slot, dimension);
      if (ranges.length > MAX_RANGES) {
        const classCount = (ranges.at(-1)?.high ?? 0) + 1;
        alternatives.push(cell | 2, this.#bitSet(ranges, classCount), classCount);
      } else {
        for (const { low, high } of ranges) alternatives.push(cell, low, high - low);
      }
    }
    const count = (alternatives.length * 4) / ALTERNATIVE.bytes;
    const words = [(count << 1) | (check.isNegated ? 1 : 0), ...alternatives];
    this.#checks.set(check, words);
    return words;
  }

  #bitSet(ranges: readonly Range[], classCount: number): number {
    const key = ranges.map(({ low, high }) => `${low}-${high}`).join(' ');
    const known = this.#bitSets.get(key);
    if (known !== undefined) return known;
    const at = this.#memory.reserve((classCount >> 3) + 1, 1);
    for (const { low, high } of ranges) for (let number = low; number <= high; number++) this.#memory.setBit(at, number);
    this.#bitSets.set(key, at);
    return at;
  }
}

/** With more ranges a bit set is quicker and smaller. */
const MAX_RANGES = 6;
