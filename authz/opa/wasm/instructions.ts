/**
 * Walks the instructions of a function's body. Known is what version 1 of WebAssembly has, with sign extension and saturating
 * conversion; bulk memory, tables, references, vectors, exceptions and threads are refused, for their cost is not one step.
 */
import { ByteReader, moduleFault } from './reader.ts';

/** Where steps are to be paid: at the function's entry or at a loop's head. */
export interface Charge {
  /** Offset in the code at which the payment is put. */
  readonly at: number;
  /** Instructions that run, at most, until the next payment. */
  cost: number;
}

/** The places of a body at which steps are paid, in order of their offset. */
export function chargesOf(code: Uint8Array, start: number): readonly Charge[] {
  const reader = new ByteReader(code, start);
  const entry: Charge = { at: start, cost: 1 };
  const charges = [entry];
  // What each open block pays into; blocks that are no loops pay into what is around them.
  const open = [entry];
  while (open.length > 0) {
    const current = open.at(-1) ?? entry;
    current.cost++;
    const opcode = reader.byte();
    if (opcode === BLOCK || opcode === IF) {
      skipBlockType(reader);
      open.push(current);
    } else if (opcode === LOOP) {
      skipBlockType(reader);
      const loop: Charge = { at: reader.at, cost: 1 };
      charges.push(loop);
      open.push(loop);
    } else if (opcode === END) open.pop();
    else skipImmediates(opcode, reader);
    if (open.length > MAX_NESTING) throw moduleFault('found blocks nested too deeply');
  }
  if (!reader.isAtEnd) throw moduleFault('found code after the end of a function');
  return charges;
}

function skipBlockType(reader: ByteReader): void {
  reader.skipSigned(5);
}

function skipImmediates(opcode: number, reader: ByteReader): void {
  const shape = SHAPES[opcode];
  switch (shape) {
    case 'none':
      return;
    case 'index':
      reader.unsigned();
      return;
    case 'memory':
      reader.unsigned();
      reader.unsigned();
      return;
    case 'zero':
      if (reader.byte() !== 0) throw moduleFault('found a second memory');
      return;
    case 's32':
      reader.skipSigned(5);
      return;
    case 's64':
      reader.skipSigned(10);
      return;
    case 'f32':
      reader.skip(4);
      return;
    case 'f64':
      reader.skip(8);
      return;
    case 'branches':
      for (let left = reader.unsigned() + 1; left > 0; left--) reader.unsigned();
      return;
    case 'types':
      reader.skip(reader.unsigned());
      return;
    case 'saturating':
      if (reader.unsigned() <= LAST_SATURATING) return;
      throw moduleFault('found an instruction of bulk memory or tables');
    default:
      throw moduleFault(`found an unknown instruction, 0x${opcode.toString(16)}`);
  }
}

type Shape = 'none' | 'index' | 'memory' | 'zero' | 's32' | 's64' | 'f32' | 'f64' | 'branches' | 'types' | 'saturating';

function shapes(): readonly (Shape | undefined)[] {
  const table: (Shape | undefined)[] = Array.from({ length: 256 });
  const set = (from: number, to: number, shape: Shape): void => {
    for (let opcode = from; opcode <= to; opcode++) table[opcode] = shape;
  };
  set(0x00, 0x01, 'none');
  set(0x05, 0x05, 'none');
  set(0x0c, 0x0d, 'index');
  set(0x0e, 0x0e, 'branches');
  set(0x0f, 0x0f, 'none');
  set(0x10, 0x10, 'index');
  // call_indirect: a type and a table.
  set(0x11, 0x11, 'memory');
  set(0x1a, 0x1b, 'none');
  set(0x1c, 0x1c, 'types');
  set(0x20, 0x24, 'index');
  set(0x28, 0x3e, 'memory');
  set(0x3f, 0x40, 'zero');
  set(0x41, 0x41, 's32');
  set(0x42, 0x42, 's64');
  set(0x43, 0x43, 'f32');
  set(0x44, 0x44, 'f64');
  set(0x45, 0xc4, 'none');
  set(0xfc, 0xfc, 'saturating');
  return table;
}

const BLOCK = 0x02;
const LOOP = 0x03;
const IF = 0x04;
const END = 0x0b;
const LAST_SATURATING = 7;
const MAX_NESTING = 10_000;
const SHAPES = shapes();
