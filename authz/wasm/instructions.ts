/** WebAssembly as a tree of instructions over i32, and short words to write it with. */

export type Instruction =
  | { readonly kind: 'const'; readonly value: number }
  | { readonly kind: 'get'; readonly local: string }
  | { readonly kind: 'set'; readonly local: string; readonly value: Instruction }
  | { readonly kind: 'operator'; readonly code: number; readonly operands: readonly Instruction[] }
  | { readonly kind: 'load'; readonly code: number; readonly address: Instruction; readonly offset: number }
  | { readonly kind: 'global'; readonly name: string }
  | { readonly kind: 'setGlobal'; readonly name: string; readonly value: Instruction }
  /** An operation on the whole memory, or on ranges of it. */
  | { readonly kind: 'memory'; readonly code: readonly number[]; readonly operands: readonly Instruction[] }
  | { readonly kind: 'drop'; readonly value: Instruction }
  | {
      readonly kind: 'store';
      readonly code: number;
      readonly address: Instruction;
      readonly offset: number;
      readonly value: Instruction;
    }
  | { readonly kind: 'block'; readonly isLoop: boolean; readonly label: string; readonly body: readonly Instruction[] }
  | {
      readonly kind: 'if';
      readonly test: Instruction;
      readonly then: readonly Instruction[];
      readonly otherwise: readonly Instruction[];
    }
  | { readonly kind: 'branch'; readonly label: string; readonly test: Instruction | null }
  | { readonly kind: 'call'; readonly name: string; readonly operands: readonly Instruction[] }
  | { readonly kind: 'return'; readonly value: Instruction }
  /** Return from a function without a result. */
  | { readonly kind: 'leave' }
  | { readonly kind: 'unreachable' };

/** A number stands for a constant, a string for a local. */
export type Operand = Instruction | number | string;

export const set = (local: string, value: Operand): Instruction => ({ kind: 'set', local, value: read(value) });
export const load = (address: Operand, offset = 0): Instruction => ({ kind: 'load', code: 0x28, address: read(address), offset });
export const loadByte = (address: Operand, offset = 0): Instruction => ({
  kind: 'load',
  code: 0x2d,
  address: read(address),
  offset,
});
export const store = (address: Operand, value: Operand, offset = 0): Instruction => ({
  kind: 'store',
  code: 0x36,
  address: read(address),
  offset,
  value: read(value),
});

export const storeByte = (address: Operand, value: Operand, offset = 0): Instruction => ({
  kind: 'store',
  code: 0x3a,
  address: read(address),
  offset,
  value: read(value),
});
export const global = (name: string): Instruction => ({ kind: 'global', name });
export const setGlobal = (name: string, value: Operand): Instruction => ({ kind: 'setGlobal', name, value: read(value) });
/** Evaluates for its effect alone. */
export const drop = (value: Operand): Instruction => ({ kind: 'drop', value: read(value) });

/** Pages of 64 KiB. */
export const sizeOfMemory: Instruction = { kind: 'memory', code: [0x3f, 0], operands: [] };
/** Former size, or -1. */
export const growMemory = (pages: Operand): Instruction => ({ kind: 'memory', code: [0x40, 0], operands: [read(pages)] });
export const copyMemory = (to: Operand, from: Operand, length: Operand): Instruction => ({
  kind: 'memory',
  code: [0xfc, 0x0a, 0, 0],
  operands: [read(to), read(from), read(length)],
});
export const fillMemory = (at: Operand, byte: Operand, length: Operand): Instruction => ({
  kind: 'memory',
  code: [0xfc, 0x0b, 0],
  operands: [read(at), read(byte), read(length)],
});
/** Copies a passive data segment. */
export const initMemory = (segment: number, to: Operand, length: Operand): Instruction => ({
  kind: 'memory',
  code: [0xfc, 0x08, ...leb(segment), 0],
  operands: [read(to), read(0), read(length)],
});

export const isZero = (value: Operand): Instruction => operator(0x45, value);
export const equal = (left: Operand, right: Operand): Instruction => operator(0x46, left, right);
export const differ = (left: Operand, right: Operand): Instruction => operator(0x47, left, right);
export const below = (left: Operand, right: Operand): Instruction => operator(0x49, left, right);
export const above = (left: Operand, right: Operand): Instruction => operator(0x4b, left, right);
export const atMost = (left: Operand, right: Operand): Instruction => operator(0x4d, left, right);
export const atLeast = (left: Operand, right: Operand): Instruction => operator(0x4f, left, right);
export const add = (left: Operand, right: Operand): Instruction => operator(0x6a, left, right);
export const subtract = (left: Operand, right: Operand): Instruction => operator(0x6b, left, right);
export const multiply = (left: Operand, right: Operand): Instruction => operator(0x6c, left, right);
export const and = (left: Operand, right: Operand): Instruction => operator(0x71, left, right);
export const or = (left: Operand, right: Operand): Instruction => operator(0x72, left, right);
export const xor = (left: Operand, right: Operand): Instruction => operator(0x73, left, right);
export const shiftLeft = (left: Operand, right: Operand): Instruction => operator(0x74, left, right);
export const shiftRight = (left: Operand, right: Operand): Instruction => operator(0x76, left, right);

export const block = (label: string, ...body: readonly Instruction[]): Instruction => ({
  kind: 'block',
  isLoop: false,
  label,
  body,
});
export const loop = (label: string, ...body: readonly Instruction[]): Instruction => ({
  kind: 'block',
  isLoop: true,
  label,
  body,
});
/** Runs `body` as long as the test is not 0. */
export const loopWhile = (label: string, test: Operand, ...body: readonly Instruction[]): Instruction =>
  block(`no ${label}`, loop(label, branchIf(`no ${label}`, isZero(test)), ...body, branch(label)));
export const when = (test: Operand, then: readonly Instruction[], otherwise: readonly Instruction[] = []): Instruction => ({
  kind: 'if',
  test: read(test),
  then,
  otherwise,
});
export const branch = (label: string): Instruction => ({ kind: 'branch', label, test: null });
export const branchIf = (label: string, test: Operand): Instruction => ({ kind: 'branch', label, test: read(test) });
export const call = (name: string, ...operands: readonly Operand[]): Instruction => ({
  kind: 'call',
  name,
  operands: operands.map(read),
});
export const giveBack = (value: Operand): Instruction => ({ kind: 'return', value: read(value) });
export const leave: Instruction = { kind: 'leave' };
export const unreachable: Instruction = { kind: 'unreachable' };

/** Address of word `index` after `base`. */
export const word = (base: Operand, index: Operand): Instruction => add(base, shiftLeft(index, 2));
/** Adds to a local. */
export const bump = (local: string, by: Operand): Instruction => set(local, add(local, by));
/** Bit `index` of the bit set at `bits`. */
export const bit = (bits: Operand, index: Operand): Instruction =>
  and(shiftRight(loadByte(add(bits, shiftRight(index, 3))), and(index, 7)), 1);

/** `left` when the test is not 0, else `right`; both are evaluated. */
export const choose = (test: Operand, left: Operand, right: Operand): Instruction => operator(0x1b, left, right, test);

function leb(value: number): readonly number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  return [...bytes, rest];
}

function operator(code: number, ...operands: readonly Operand[]): Instruction {
  return { kind: 'operator', code, operands: operands.map(read) };
}

function read(operand: Operand): Instruction {
  if (typeof operand === 'number') return { kind: 'const', value: operand };
  return typeof operand === 'string' ? { kind: 'get', local: operand } : operand;
}
