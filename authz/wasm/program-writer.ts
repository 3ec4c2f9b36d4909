/** Writes the lists and checks that a decision walks. What stands where: authz/wasm/memory-map.ts. */
import type { PlannedSlot, Range } from '../plan/dimensions.ts';
import type { ClassList, ClauseIndex } from '../plan/clause-index.ts';
import type { Check, PlannedClause } from '../plan/planned-clause.ts';
import type { CompiledProgram } from '../plan/compiled.ts';
import type { TreeNode } from '../plan/forest.ts';
import type { ProgramPlan } from '../plan/plan.ts';
import type { Cells } from './cells.ts';
import { ALTERNATIVE, CLAUSE, ENTRY, INDEX, STAGE } from './memory-map.ts';
import type { Memory } from './memory.ts';

export interface WrittenProgram {
  /** Address of the first stage. */
  readonly firstStage: number;
  readonly program: CompiledProgram;
}

/** Lists by class: a row of `stride` bytes for each, with a column for each stage. */
interface ListTable {
  readonly at: number;
  readonly stride: number;
  readonly stages: readonly number[];
}

/** A check as it stands in a clause, and a number that is its own. */
interface WrittenCheck {
  readonly number: number;
  readonly words: readonly number[];
}

export class ProgramWriter {
  readonly #memory: Memory;
  readonly #cells: Cells;
  readonly #lists = new Map<string, number>();
  readonly #trees = new Map<TreeNode, number>();
  readonly #bitSets = new Map<string, number>();
  readonly #checks = new Map<Check, WrittenCheck>();

  constructor(memory: Memory, cells: Cells) {
    this.#memory = memory;
    this.#cells = cells;
  }

  /** @returns the stages, one after the other, and the index of what is reported */
  write({ reports, stages }: ProgramPlan, slots: readonly PlannedSlot[]): WrittenProgram {
    const at = this.#memory.reserve(stages.length * STAGE.bytes, 4);
    const tables = this.#reserveTables(
      stages.map(({ index }) => index),
      slots,
    );
    const written = stages.map(({ index, jump, otherwise }, number) => {
      const stage = at + number * STAGE.bytes;
      const address = this.#index(index, number, tables);
      this.#memory.setWord(stage + STAGE.index, address);
      this.#memory.setWord(stage + STAGE.otherwise, otherwise);
      this.#memory.setWord(stage + STAGE.jump, at + jump * STAGE.bytes);
      return { index: address, otherwise, jump };
    });
    const reportIndex = reports === null ? 0 : this.#index(reports, 0, this.#reserveTables([reports], slots));
    return { firstStage: at, program: { stages: written, reports: reportIndex } };
  }

  /** A table for each cell that an index reads, with a column for each of the indices that do. */
  #reserveTables(indices: readonly ClauseIndex[], slots: readonly PlannedSlot[]): ReadonlyMap<number, ListTable> {
    const columns = new Map<number, { readonly classCount: number; readonly stages: number[] }>();
    for (const [stage, { lists }] of indices.entries()) {
      for (const { dimension, slot } of lists) {
        const cell = this.#cells.of(slot, dimension);
        const known = columns.get(cell);
        if (known === undefined) {
          columns.set(cell, { classCount: slots[slot]?.dimensions[dimension]?.classCount ?? 0, stages: [stage] });
        } else if (known.stages.at(-1) !== stage) known.stages.push(stage);
      }
    }
    return new Map(
      [...columns].map(([cell, { classCount, stages }]) => {
        const stride = 4 * stages.length;
        return [cell, { at: this.#memory.reserve(stride * classCount, 4), stride, stages }];
      }),
    );
  }

  #index({ always, lists }: ClauseIndex, stage: number, tables: ReadonlyMap<number, ListTable>): number {
    const entries = new Map<number, { readonly lists: number; readonly stride: number }>();
    for (const list of lists) {
      const { classNumber, dimension, slot } = list;
      const cell = this.#cells.of(slot, dimension);
      const table = tables.get(cell);
      if (table === undefined) throw new Error('an index reads a cell without a table');
      const column = table.at + 4 * table.stages.indexOf(stage);
      entries.set(cell, { lists: column, stride: table.stride });
      this.#memory.setWord(column + classNumber * table.stride, this.#listOrTree(list));
    }
    const words = [this.#listOrTree(always), entries.size];
    for (const [cell, entry] of entries) words.push(cell, entry.lists, entry.stride);
    if (words.length * 4 !== INDEX.entries + entries.size * ENTRY.bytes)
      throw new Error('an index has another shape than the code reads');
    return this.#memory.addWords(words);
  }

  #listOrTree({ clauses, tree }: Pick<ClassList, 'clauses' | 'tree'>): number {
    if (tree !== null) return this.#tree(tree.root);
    return clauses.length === 0 ? 0 : this.#list(clauses);
  }

  /** Children before their parents; a shared subtree is written once. */
  #tree(node: TreeNode): number {
    const known = this.#trees.get(node);
    if (known !== undefined) return known;
    const address = node.kind === 'leaf' ? this.#leaf(node.clauses) : this.#branch(node);
    this.#trees.set(node, address);
    return address;
  }

  #leaf(clauses: readonly PlannedClause[]): number {
    return clauses.length === 0 ? 0 : this.#list(clauses);
  }

  #branch({ children, dimension, slot, starts }: TreeNode & { kind: 'branch' }): number {
    const addresses = children.map((child) => this.#tree(child));
    const cell = this.#cells.of(slot, dimension);
    return this.#memory.addWords([cell, starts.length, ...starts.flatMap((start, index) => [start, addresses[index] ?? 0])]) | 1;
  }

  /** Clauses one after the other, ended by a 0; equal lists are written once. */
  #list(clauses: readonly PlannedClause[]): number {
    let key = '';
    let words = 1;
    for (const { answer, checks } of clauses) {
      key += `${answer}`;
      words += CLAUSE.checks / 4;
      for (const check of checks) {
        const { number, words: written } = this.#check(check);
        key += ` ${number}`;
        words += written.length;
      }
      key += '\n';
    }
    const known = this.#lists.get(key);
    if (known !== undefined) return known;
    const at = this.#memory.reserve(4 * words, 4);
    let next = at;
    for (const { answer, checks } of clauses) {
      const clause = next;
      next += CLAUSE.checks;
      for (const check of checks) {
        for (const word of this.#check(check).words) {
          this.#memory.setWord(next, word);
          next += 4;
        }
      }
      this.#memory.setWord(clause + CLAUSE.answer, answer);
      this.#memory.setWord(clause + CLAUSE.end, next);
    }
    this.#lists.set(key, at);
    return at;
  }

  #check(check: Check): WrittenCheck {
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
    const written = { number: this.#checks.size, words };
    this.#checks.set(check, written);
    return written;
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
