/** Writes a plan as the memory that a module starts with. What stands where: authz/wasm/memory-map.ts. */
import type { CompiledSlot } from '../plan/compiled.ts';
import type { Plan } from '../plan/plan.ts';
import { isWildcardByte } from '../plan/templates.ts';
import { Cells } from './cells.ts';
import { SCRATCH_BYTES, WILDCARD_TABLE } from './memory-map.ts';
import { Memory } from './memory.ts';
import { ProgramWriter } from './program-writer.ts';
import type { WrittenProgram } from './program-writer.ts';
import { writeSlot } from './slot-writer.ts';

/** What a shell adds to the image: it writes its own tables before the memory is done. */
export type ShellTables<T> = (memory: Memory, slots: readonly CompiledSlot[]) => T;

export interface Image<T> {
  /** Memory from 0 to the scratch area, which is all zeros. */
  readonly bytes: Uint8Array;
  readonly slots: readonly CompiledSlot[];
  /** The cells of all slots, from and to, in bytes. */
  readonly cellsStart: number;
  readonly cellsEnd: number;
  readonly scratchStart: number;
  readonly memoryPages: number;
  readonly http: WrittenProgram;
  readonly tcp: WrittenProgram;
  /** Words of the reports, in bytes. */
  readonly reportStart: number;
  readonly shell: T;
}

export function buildImage<T>(plan: Plan, writeShell: ShellTables<T>): Image<T> {
  const memory = new Memory();
  for (let byte = 0; byte < 256; byte++) memory.setByte(WILDCARD_TABLE + byte, isWildcardByte(byte) ? 1 : 0);
  const cellsStart = memory.reserve(0, 4);
  const cells = new Cells(plan.slots, memory);
  const cellsEnd = memory.reserve(0, 4);
  const slots = plan.slots.map((slot, index) => writeSlot(memory, slot, cells.ofSlot(index)));
  const writer = new ProgramWriter(memory, cells);
  const http = writer.write(plan.programs.http, plan.slots);
  const tcp = writer.write(plan.programs.tcp, plan.slots);
  const reportStart = memory.reserve(4 * plan.reportCount, 4);
  const shell = writeShell(memory, slots);
  const bytes = memory.done();
  const memoryPages = Math.ceil((bytes.length + SCRATCH_BYTES + 8) / PAGE_BYTES);
  return { bytes, slots, cellsStart, cellsEnd, scratchStart: bytes.length, memoryPages, http, tcp, reportStart, shell };
}

const PAGE_BYTES = 65_536;
