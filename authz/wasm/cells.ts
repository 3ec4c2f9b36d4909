/** Where the classes of a value stand while a request is judged. */
import type { PlannedSlot } from '../plan/dimensions.ts';
import { LIST_CAPACITY } from './memory-map.ts';
import type { Memory } from './memory.ts';

/** A slot's cells: address of the cell of each dimension, bit 0 set for lists. */
export interface SlotCells {
  readonly cells: readonly number[];
  /** The same as descriptors name them: bit 1 is set, too, where misses are kept. */
  readonly descriptorCells: readonly number[];
  readonly start: number;
  readonly end: number;
  readonly listCells: readonly number[];
}

export class Cells {
  readonly #slots: SlotCells[] = [];

  constructor(slots: readonly PlannedSlot[], memory: Memory) {
    for (const { dimensions, isList, keepsMisses } of slots) {
      const start = memory.reserve(0, 4);
      const addresses = dimensions.map(() => memory.reserve(isList ? 4 * (1 + LIST_CAPACITY) : 4, 4));
      const end = memory.reserve(0, 4);
      this.#slots.push({
        cells: addresses.map((address) => (isList ? address | 1 : address)),
        descriptorCells: addresses.map((address) => (isList ? address | (keepsMisses ? 3 : 1) : address)),
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
