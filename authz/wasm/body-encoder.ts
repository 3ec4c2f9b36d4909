/** The body of one function as bytes (Core Specification 1.0, section 5.4; bulk memory operations). Names become indices here. */
import type { Bytes } from './bytes.ts';
import type { Instruction } from './instructions.ts';

/** A function over i32 values. */
export interface FunctionSource {
  readonly name: string;
  readonly isExported: boolean;
  readonly parameters: readonly string[];
  readonly hasResult: boolean;
  readonly locals: readonly string[];
  readonly body: readonly Instruction[];
}

/** What names in bodies stand for. */
export interface ModuleNames {
  readonly functions: ReadonlyMap<string, number>;
  readonly globals: ReadonlyMap<string, number>;
}

export function encodeBody(out: Bytes, source: FunctionSource, names: ModuleNames): void {
  out.raw(source.locals.length === 0 ? [0] : [1]);
  if (source.locals.length > 0) {
    out.unsigned(source.locals.length);
    out.byte(I32);
  }
  new BodyEncoder(out, source, names).encode();
}

class BodyEncoder {
  readonly #out: Bytes;
  readonly #source: FunctionSource;
  readonly #names: ModuleNames;
  readonly #locals: ReadonlyMap<string, number>;
  /** Open blocks, outermost first; null is an `if`, which no branch names. */
  readonly #labels: (string | null)[] = [];

  constructor(out: Bytes, source: FunctionSource, names: ModuleNames) {
    this.#out = out;
    this.#source = source;
    this.#names = names;
    this.#locals = new Map([...source.parameters, ...source.locals].map((name, index) => [name, index]));
  }

  encode(): void {
    this.#all(this.#source.body);
    this.#out.byte(OP_END);
  }

  #all(instructions: readonly Instruction[]): void {
    for (const instruction of instructions) this.#one(instruction);
  }

  #one(instruction: Instruction): void {
    const out = this.#out;
    switch (instruction.kind) {
      case 'const':
        out.byte(OP_CONST);
        out.signed(instruction.value);
        return;
      case 'get':
        out.byte(0x20);
        out.unsigned(this.#local(instruction.local));
        return;
      case 'set':
        this.#one(instruction.value);
        out.byte(0x21);
        out.unsigned(this.#local(instruction.local));
        return;
      case 'global':
        out.byte(0x23);
        out.unsigned(this.#global(instruction.name));
        return;
      case 'setGlobal':
        this.#one(instruction.value);
        out.byte(0x24);
        out.unsigned(this.#global(instruction.name));
        return;
      case 'operator':
        this.#all(instruction.operands);
        out.byte(instruction.code);
        return;
      case 'memory':
        this.#all(instruction.operands);
        out.raw(instruction.code);
        return;
      case 'load':
        this.#one(instruction.address);
        out.raw([instruction.code, 0]);
        out.unsigned(instruction.offset);
        return;
      case 'store':
        this.#one(instruction.address);
        this.#one(instruction.value);
        out.raw([instruction.code, 0]);
        out.unsigned(instruction.offset);
        return;
      case 'block':
        out.raw([instruction.isLoop ? 0x03 : 0x02, 0x40]);
        this.#labels.push(instruction.label);
        this.#all(instruction.body);
        this.#labels.pop();
        out.byte(OP_END);
        return;
      case 'if':
        this.#one(instruction.test);
        out.raw([0x04, 0x40]);
        this.#labels.push(null);
        this.#all(instruction.then);
        if (instruction.otherwise.length > 0) {
          out.byte(0x05);
          this.#all(instruction.otherwise);
        }
        this.#labels.pop();
        out.byte(OP_END);
        return;
      case 'branch':
        if (instruction.test !== null) this.#one(instruction.test);
        out.byte(instruction.test === null ? 0x0c : 0x0d);
        out.unsigned(this.#depth(instruction.label));
        return;
      case 'call':
        this.#all(instruction.operands);
        out.byte(0x10);
        out.unsigned(this.#function(instruction.name));
        return;
      case 'drop':
        this.#one(instruction.value);
        out.byte(0x1a);
        return;
      case 'return':
        this.#one(instruction.value);
        out.byte(0x0f);
        return;
      case 'leave':
        out.byte(0x0f);
        return;
      case 'unreachable':
        out.byte(0x00);
    }
  }

  #local(name: string): number {
    const index = this.#locals.get(name);
    if (index === undefined) throw new Error(`${this.#source.name} has no local ${name}`);
    return index;
  }

  #global(name: string): number {
    const index = this.#names.globals.get(name);
    if (index === undefined) throw new Error(`${this.#source.name} uses the global ${name}, which is not there`);
    return index;
  }

  #function(name: string): number {
    const index = this.#names.functions.get(name);
    if (index === undefined) throw new Error(`${this.#source.name} calls ${name}, which is not there`);
    return index;
  }

  #depth(label: string): number {
    const index = this.#labels.lastIndexOf(label);
    if (index < 0) throw new Error(`${this.#source.name} has no block ${label} around a branch to it`);
    return this.#labels.length - 1 - index;
  }
}

export const I32 = 0x7f;
export const OP_CONST = 0x41;
export const OP_END = 0x0b;
