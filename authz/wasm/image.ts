/** Writes a plan as the memory that a module starts with. What stands where: authz/wasm/memory-map.ts. */
import type { CompiledSlot } from '../plan/compiled.ts';
import { reversed } from '../plan/dimensions.ts';
import type { Dimension, PlannedSlot, Range } from '../plan/dimensions.ts';
import type { GlobAutomaton } from '../plan/globs.ts';
import type { ActionIndex, Check, Plan, PlannedClause, ProgramPlan } from '../plan/plan.ts';
import { isWildcardByte } from '../plan/templates.ts';
import type { TemplateAutomaton } from '../plan/templates.ts';
import {
  ALTERNATIVE,
  CLAUSE,
  EFFECT,
  ENTRY,
  GLOB,
  HASH_FACTOR,
  HASH_FOLD,
  HASH_SEED,
  INDEX,
  LIST_CAPACITY,
  LIST_PAIR,
  MOVE,
  MOVE_HASH,
  PROGRAM,
  SCRATCH_BYTES,
  SLOT,
  TEMPLATE,
  TEMPLATE_STATE,
  TEXT,
  WILDCARD_TABLE,
} from './memory-map.ts';
import { Memory } from './memory.ts';

export interface Image {
  /** Memory from 0 to the scratch area, which is all zeros. */
  readonly bytes: Uint8Array;
  readonly slots: readonly CompiledSlot[];
  readonly scratchStart: number;
  readonly memoryPages: number;
  readonly httpProgram: number;
  readonly tcpProgram: number;
}

export function buildImage(plan: Plan): Image {
  const memory = new Memory();
  for (let byte = 0; byte < 256; byte++) memory.setByte(WILDCARD_TABLE + byte, isWildcardByte(byte) ? 1 : 0);
  const cells = new Cells(plan.slots, memory);
  const slots = plan.slots.map((slot, index) => writeSlot(memory, slot, cells.ofSlot(index)));
  const writer = new ProgramWriter(memory, cells);
  const httpProgram = writer.write(plan.programs.http, plan.slots);
  const tcpProgram = writer.write(plan.programs.tcp, plan.slots);
  const bytes = memory.done();
  const memoryPages = Math.ceil((bytes.length + SCRATCH_BYTES + 8) / PAGE_BYTES);
  return { bytes, slots, scratchStart: bytes.length, memoryPages, httpProgram, tcpProgram };
}

/** A slot's cells: address of the cell of each dimension, bit 0 set for lists. */
interface SlotCells {
  readonly cells: readonly number[];
  readonly start: number;
  readonly end: number;
  readonly listCells: readonly number[];
}

class Cells {
  readonly #slots: SlotCells[] = [];

  constructor(slots: readonly PlannedSlot[], memory: Memory) {
    for (const { dimensions, isList } of slots) {
      const start = memory.reserve(0, 4);
      const addresses = dimensions.map(() => memory.reserve(isList ? 4 * (1 + LIST_CAPACITY) : 4, 4));
      const end = memory.reserve(0, 4);
      this.#slots.push({
        cells: addresses.map((address) => (isList ? address | 1 : address)),
        start: start >> 2,
        end: end >> 2,
        listCells: isList ? addresses.map((address) => address >> 2) : [],
      });
    }
  }

  ofSlot(slot: number): SlotCells {
    const cells = this.#slots[slot];
    if (cells === undefined) throw new Error('a slot has no cells');
    return cells;
  }

  of(slot: number, dimension: number): number {
    const cell = this.ofSlot(slot).cells[dimension];
    if (cell === undefined) throw new Error('a dimension has no cell');
    return cell;
  }
}

function writeSlot(memory: Memory, slot: PlannedSlot, cells: SlotCells): CompiledSlot {
  const descriptor = memory.reserve(SLOT.bytes, 4);
  const globs: { cell: number; dimension: Dimension & { kind: 'glob' } }[] = [];
  const templates: { cell: number; dimension: Dimension & { kind: 'template' } }[] = [];
  for (const [index, dimension] of slot.dimensions.entries()) {
    const cell = cells.cells[index] ?? 0;
    switch (dimension.kind) {
      case 'presence':
        memory.setWord(descriptor + SLOT.presenceCell, cell);
        break;
      case 'exact':
        writeTexts(memory, dimension.texts, false, descriptor + SLOT.exactTable, cell, null);
        memory.setWord(descriptor + SLOT.exactLongest, longestOf(dimension.texts));
        break;
      case 'prefix':
        writeTexts(memory, dimension.texts, false, descriptor + SLOT.prefixTable, cell, descriptor + SLOT.prefixLengths);
        memory.setWord(descriptor + SLOT.prefixLongest, longestOf(dimension.texts));
        memory.setWord(descriptor + SLOT.prefixEnds, writeEnds(memory, dimension.texts));
        break;
      case 'suffix':
        writeTexts(memory, dimension.texts, true, descriptor + SLOT.suffixTable, cell, descriptor + SLOT.suffixLengths);
        memory.setWord(descriptor + SLOT.suffixLongest, longestOf(dimension.texts));
        break;
      case 'glob':
        globs.push({ cell, dimension });
        break;
      case 'template':
        templates.push({ cell, dimension });
    }
  }
  const globAt = memory.reserve(globs.length * GLOB.bytes, 4);
  memory.setWord(descriptor + SLOT.globs, globAt);
  memory.setWord(descriptor + SLOT.globCount, globs.length);
  for (const [index, { cell, dimension }] of globs.entries()) {
    writeGlob(memory, globAt + index * GLOB.bytes, cell, dimension.automaton, dimension.classOfState);
  }
  const templateAt = memory.reserve(templates.length * TEMPLATE.bytes, 4);
  memory.setWord(descriptor + SLOT.templates, templateAt);
  memory.setWord(descriptor + SLOT.templateCount, templates.length);
  for (const [index, { cell, dimension }] of templates.entries()) {
    writeTemplate(memory, templateAt + index * TEMPLATE.bytes, cell, dimension.automaton, dimension.classOfState);
  }
  return { source: slot.source, descriptor, cellStart: cells.start, cellEnd: cells.end, listCells: cells.listCells };
}

/**
 * A table of texts at `table`, its mask and its cell in the two words after it.
 *
 * @param areReversed  the texts stand reversed: their hash runs backwards, their bytes forwards
 * @param lengthsAt  where to put the address of the set of their lengths
 */
function writeTexts(
  memory: Memory,
  texts: readonly string[],
  areReversed: boolean,
  table: number,
  cell: number,
  lengthsAt: number | null,
): void {
  const entries = texts.map((text) => ({ hash: hashOf(text), text: areReversed ? reversed(text) : text }));
  const { address, mask } = writeTextTable(memory, entries);
  memory.setWord(table, address);
  memory.setWord(table + 4, mask);
  memory.setWord(table + 8, cell);
  if (lengthsAt === null) return;
  const lengths = memory.reserve((longestOf(texts) >> 3) + 1, 1);
  for (const { length } of texts) memory.setBit(lengths, length);
  memory.setWord(lengthsAt, lengths);
}

/** Most bytes end no prefix: the rest need not be looked up (measured: a third of the time at 10,000 rules). */
function writeEnds(memory: Memory, texts: readonly string[]): number {
  const ends = memory.reserve(256, 1);
  for (const text of texts) memory.setByte(ends + text.charCodeAt(text.length - 1), 1);
  return ends;
}

function writeTextTable(memory: Memory, entries: readonly { hash: number; text: string }[]): { address: number; mask: number } {
  const size = tableSize(entries.length);
  const address = memory.reserve(4 * size, 4);
  for (const [index, { hash, text }] of entries.entries()) {
    const record = memory.reserve(TEXT.text + text.length, 4);
    memory.setWord(record + TEXT.hash, hash);
    memory.setWord(record + TEXT.length, text.length);
    memory.setWord(record + TEXT.classNumber, index + 1);
    memory.setText(record + TEXT.text, text);
    enter(memory, address, size, hash, record);
  }
  return { address, mask: size - 1 };
}

/** Puts a record into the first free place from where its hash points. */
function enter(memory: Memory, table: number, size: number, hash: number, record: number): void {
  let probe = hash ^ (hash >>> HASH_FOLD);
  while (memory.word(table + 4 * (probe & (size - 1))) !== 0) probe++;
  memory.setWord(table + 4 * (probe & (size - 1)), record);
}

function writeGlob(memory: Memory, at: number, cell: number, automaton: GlobAutomaton, classOfState: readonly number[]): void {
  const byteClasses = memory.reserve(256, 1);
  for (const [byte, byteClass] of automaton.byteClass.entries()) memory.setByte(byteClasses + byte, byteClass);
  memory.setWord(at + GLOB.cell, cell);
  memory.setWord(at + GLOB.start, automaton.start);
  memory.setWord(at + GLOB.byteClasses, byteClasses);
  memory.setWord(at + GLOB.classCount, automaton.classCount);
  memory.setWord(at + GLOB.next, memory.addWords(automaton.next));
  memory.setWord(at + GLOB.classOfState, memory.addWords(classOfState));
}

function writeTemplate(
  memory: Memory,
  at: number,
  cell: number,
  automaton: TemplateAutomaton,
  classOfState: readonly number[],
): void {
  const moves = automaton.states.flatMap(({ literals }, state) => [...literals].map(([text, next]) => ({ state, text, next })));
  const size = tableSize(moves.length);
  const table = memory.reserve(4 * size, 4);
  for (const { state, text, next } of moves) {
    const hash = hashOf(text);
    const record = memory.reserve(MOVE.text + text.length, 4);
    memory.setWord(record + MOVE.hash, hash);
    memory.setWord(record + MOVE.state, state);
    memory.setWord(record + MOVE.length, text.length);
    memory.setWord(record + MOVE.next, next);
    memory.setText(record + MOVE.text, text);
    enter(memory, table, size, Math.imul(state, MOVE_HASH.factor) ^ hash, record);
  }
  const states = memory.reserve(automaton.states.length * TEMPLATE_STATE.bytes, 4);
  for (const [index, { valid, invalid, empty }] of automaton.states.entries()) {
    const state = states + index * TEMPLATE_STATE.bytes;
    memory.setWord(state + TEMPLATE_STATE.valid, valid);
    memory.setWord(state + TEMPLATE_STATE.invalid, invalid);
    memory.setWord(state + TEMPLATE_STATE.empty, empty);
    memory.setWord(state + TEMPLATE_STATE.classNumber, classOfState[index] ?? 0);
  }
  memory.setWord(at + TEMPLATE.cell, cell);
  memory.setWord(at + TEMPLATE.start, automaton.start);
  memory.setWord(at + TEMPLATE.moves, table);
  memory.setWord(at + TEMPLATE.moveMask, size - 1);
  memory.setWord(at + TEMPLATE.states, states);
}

class ProgramWriter {
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

function hashOf(text: string): number {
  let hash = HASH_SEED;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), HASH_FACTOR);
  return hash;
}

function longestOf(texts: readonly string[]): number {
  let longest = 0;
  for (const { length } of texts) longest = Math.max(longest, length);
  return longest;
}

/** A power of two, at least four times the entries: probing always ends, and mostly at once. */
function tableSize(entries: number): number {
  let size = 2;
  while (size < 4 * entries) size *= 2;
  return size;
}

const PAGE_BYTES = 65_536;
/** With more ranges a bit set is quicker and smaller. */
const MAX_RANGES = 6;
