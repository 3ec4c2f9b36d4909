/** Writes a slot: the tables and automata that turn a value into classes. What stands where: authz/wasm/memory-map.ts. */
import type { CompiledSlot } from '../plan/compiled.ts';
import { reversed } from '../plan/dimensions.ts';
import type { Dimension, PlannedSlot } from '../plan/dimensions.ts';
import type { ByteAutomaton } from '../plan/byte-automaton.ts';
import type { TemplateAutomaton } from '../plan/templates.ts';
import type { SlotCells } from './cells.ts';
import { BYTES, HASH_FACTOR, HASH_FOLD, HASH_SEED, MOVE, MOVE_HASH, SLOT, TEMPLATE, TEMPLATE_STATE, TEXT } from './memory-map.ts';
import type { Memory } from './memory.ts';

export function writeSlot(memory: Memory, slot: PlannedSlot, cells: SlotCells): CompiledSlot {
  const descriptor = memory.reserve(SLOT.bytes, 4);
  const automata: { cell: number; dimension: Dimension & { kind: 'bytes' } }[] = [];
  const templates: { cell: number; dimension: Dimension & { kind: 'template' } }[] = [];
  for (const [index, dimension] of slot.dimensions.entries()) {
    const cell = cells.descriptorCells[index] ?? 0;
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
      case 'bytes':
        automata.push({ cell, dimension });
        break;
      case 'template':
        templates.push({ cell, dimension });
    }
  }
  const automataAt = memory.reserve(automata.length * BYTES.bytes, 4);
  memory.setWord(descriptor + SLOT.automata, automataAt);
  memory.setWord(descriptor + SLOT.automatonCount, automata.length);
  for (const [index, { cell, dimension }] of automata.entries()) {
    writeAutomaton(memory, automataAt + index * BYTES.bytes, cell, dimension.automaton, dimension.classOfState);
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

function writeAutomaton(
  memory: Memory,
  at: number,
  cell: number,
  automaton: ByteAutomaton,
  classOfState: readonly number[],
): void {
  const byteClasses = memory.reserve(256, 1);
  for (const [byte, byteClass] of automaton.byteClass.entries()) memory.setByte(byteClasses + byte, byteClass);
  memory.setWord(at + BYTES.cell, cell);
  memory.setWord(at + BYTES.start, automaton.start);
  memory.setWord(at + BYTES.byteClasses, byteClasses);
  memory.setWord(at + BYTES.classCount, automaton.classCount);
  memory.setWord(at + BYTES.next, memory.addWords(automaton.next));
  memory.setWord(at + BYTES.classOfState, memory.addWords(classOfState));
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
