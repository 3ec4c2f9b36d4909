/**
 * Writes values into a module's memory and has them classified. Hot path: no promise, closure, spread or RegExp. Throws a
 * RangeError for a value that is longer than the scratch area; who calls it turns that into a denial.
 */
import { parseIp } from '#base/cidr.ts';

import type { CompiledSlot, ModuleLayout } from '../plan/compiled.ts';
import { OVERFLOW } from '../wasm/memory-map.ts';
import type { Evaluator, ScratchBuffer } from './evaluator.ts';

export class ValueWriter {
  /** Words of the module's memory. */
  readonly cells: Int32Array;
  readonly #module: Evaluator;
  readonly #scratch: ScratchBuffer;

  constructor(module: Evaluator, { scratchBytes, scratchStart }: ModuleLayout) {
    this.#module = module;
    this.cells = new Int32Array(module.memory.buffer);
    // Every Buffer of Node has these writers.
    this.#scratch = Buffer.from(module.memory.buffer, scratchStart, scratchBytes) as ScratchBuffer;
  }

  /** Whether a list had more classes than a cell holds since the last `reset`. */
  get hasOverflown(): boolean {
    return this.cells[OVERFLOW >> 2] !== 0;
  }

  reset(): void {
    this.cells[OVERFLOW >> 2] = 0;
  }

  /** One character a byte. */
  binary(slot: CompiledSlot, value: string): void {
    if (value.length > this.#scratch.length) throw new RangeError('a value is longer than the scratch area');
    this.#module.classify(slot.descriptor, this.#scratch.latin1Write(value, 0));
  }

  text(slot: CompiledSlot, value: string): void {
    if (value.length * 3 > this.#scratch.length) throw new RangeError('a value is longer than the scratch area');
    this.#module.classify(slot.descriptor, this.#scratch.utf8Write(value, 0));
  }

  /** Its family and its bytes; of what is no address a byte that no block begins with. */
  ip(slot: CompiledSlot, text: string): void {
    if (text === '') return;
    const address = parseIp(text);
    if (address === null) {
      this.#scratch[0] = 0;
      this.#module.classify(slot.descriptor, 1);
      return;
    }
    this.#scratch[0] = address.length === 4 ? 4 : 6;
    this.#scratch.set(address, 1);
    this.#module.classify(slot.descriptor, 1 + address.length);
  }

  port(slot: CompiledSlot, port: number): void {
    this.#scratch[0] = port >> 8;
    this.#scratch[1] = port & 0xff;
    this.#module.classify(slot.descriptor, 2);
  }

  /** Issuer, 0xff, subject: the separator is no byte of UTF-8. */
  requestPrincipal(slot: CompiledSlot, issuer: string, subject: string): void {
    if ((issuer.length + subject.length) * 3 + 1 > this.#scratch.length) throw new RangeError('a token names too much');
    const issuerBytes = this.#scratch.utf8Write(issuer, 0);
    this.#scratch[issuerBytes] = 0xff;
    const subjectBytes = this.#scratch.utf8Write(subject, issuerBytes + 1);
    this.#module.classify(slot.descriptor, issuerBytes + 1 + subjectBytes);
  }

  /** Makes a slot absent. */
  clear(slot: CompiledSlot): void {
    const { cellEnd, cellStart, listCells } = slot;
    if (listCells.length === 0) for (let index = cellStart; index < cellEnd; index++) this.cells[index] = 0;
    for (let index = 0; index < listCells.length; index++) this.cells[listCells[index] ?? 0] = 0;
  }
}
