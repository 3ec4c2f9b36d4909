/**
 * WebAssembly binary format (Core Specification 1.0, section 5), as much of it as the evaluator needs: functions over i32, one
 * memory of fixed size, data segments, exports. No imports, no tables, no growing.
 */
import type { Instruction } from './instructions.ts';

export interface FunctionSource {
  readonly name: string;
  readonly isExported: boolean;
  readonly parameters: readonly string[];
  readonly hasResult: boolean;
  readonly locals: readonly string[];
  readonly body: readonly Instruction[];
}

export interface ModuleSource {
  readonly functions: readonly FunctionSource[];
  /** Pages of 64 KiB; the memory has exactly as many for ever. */
  readonly memoryPages: number;
  /** What the memory holds at the start, from address 0. */
  readonly image: Uint8Array;
}

export function encodeModule(module: ModuleSource): Uint8Array {
  const numbers = new Map(module.functions.map(({ name }, index) => [name, index]));
  const out = new Bytes();
  out.raw([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
  // One type for each function: the few bytes are not worth a table.
  out.section(1, (section) => {
    section.unsigned(module.functions.length);
    for (const { parameters, hasResult } of module.functions) {
      section.byte(0x60);
      section.unsigned(parameters.length);
      for (const _ of parameters) section.byte(I32);
      section.raw(hasResult ? [1, I32] : [0]);
    }
  });
  out.section(3, (section) => {
    section.unsigned(module.functions.length);
    for (const index of module.functions.keys()) section.unsigned(index);
  });
  out.section(5, (section) => {
    section.raw([1, 1]);
    section.unsigned(module.memoryPages);
    section.unsigned(module.memoryPages);
  });
  out.section(7, (section) => encodeExports(section, module.functions));
  out.section(10, (section) => {
    section.unsigned(module.functions.length);
    for (const source of module.functions) encodeFunction(section, source, numbers);
  });
  out.section(11, (section) => encodeData(section, module.image));
  return out.done();
}

function encodeExports(section: Bytes, functions: readonly FunctionSource[]): void {
  const exported = [...functions.entries()].filter(([, { isExported }]) => isExported);
  section.unsigned(exported.length + 1);
  section.text('memory');
  section.raw([2, 0]);
  for (const [index, { name }] of exported) {
    section.text(name);
    section.byte(0);
    section.unsigned(index);
  }
}

/** Runs of zeros are left out: memory starts as zeros. */
function encodeData(section: Bytes, image: Uint8Array): void {
  const runs = dataRuns(image);
  section.unsigned(runs.length);
  for (const { start, end } of runs) {
    section.raw([0, OP_CONST]);
    section.signed(start);
    section.byte(OP_END);
    section.unsigned(end - start);
    section.bytes(image.subarray(start, end));
  }
}

interface Run {
  readonly start: number;
  readonly end: number;
}

/** Only the longer runs of zeros are left out where there would be more segments than engines take. */
function dataRuns(image: Uint8Array): readonly Run[] {
  for (let minZeros = MIN_ZERO_RUN; ; minZeros *= 4) {
    const runs = runsBetweenZeros(image, minZeros);
    if (runs.length <= MAX_SEGMENTS) return runs;
  }
}

function runsBetweenZeros(image: Uint8Array, minZeros: number): readonly Run[] {
  const runs: Run[] = [];
  let at = 0;
  while (at < image.length) {
    while (at < image.length && image[at] === 0) at++;
    if (at === image.length) break;
    const start = at;
    let zeros = 0;
    while (at < image.length && zeros < minZeros) {
      zeros = image[at] === 0 ? zeros + 1 : 0;
      at++;
    }
    runs.push({ start, end: at - zeros });
  }
  return runs;
}

function encodeFunction(section: Bytes, source: FunctionSource, numbers: ReadonlyMap<string, number>): void {
  const body = new Bytes();
  body.raw(source.locals.length === 0 ? [0] : [1]);
  if (source.locals.length > 0) {
    body.unsigned(source.locals.length);
    body.byte(I32);
  }
  new BodyEncoder(body, source, numbers).encode();
  section.unsigned(body.length);
  section.bytes(body.done());
}

class BodyEncoder {
  readonly #out: Bytes;
  readonly #source: FunctionSource;
  readonly #functions: ReadonlyMap<string, number>;
  readonly #locals: ReadonlyMap<string, number>;
  /** Open blocks, outermost first; null is an `if`, which no branch names. */
  readonly #labels: (string | null)[] = [];

  constructor(out: Bytes, source: FunctionSource, functions: ReadonlyMap<string, number>) {
    this.#out = out;
    this.#source = source;
    this.#functions = functions;
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
      case 'operator':
        this.#all(instruction.operands);
        out.byte(instruction.code);
        return;
      case 'load':
        this.#one(instruction.address);
        out.raw([instruction.code, 0]);
        out.unsigned(instruction.offset);
        return;
      case 'store':
        this.#one(instruction.address);
        this.#one(instruction.value);
        out.raw([0x36, 0]);
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

  #function(name: string): number {
    const index = this.#functions.get(name);
    if (index === undefined) throw new Error(`${this.#source.name} calls ${name}, which is not there`);
    return index;
  }

  #depth(label: string): number {
    const index = this.#labels.lastIndexOf(label);
    if (index < 0) throw new Error(`${this.#source.name} has no block ${label} around a branch to it`);
    return this.#labels.length - 1 - index;
  }
}

/** A growing byte string with the integers of the format (LEB128). */
class Bytes {
  #buffer = new Uint8Array(4096);
  length = 0;

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.length++] = value;
  }

  raw(values: readonly number[]): void {
    for (const value of values) this.byte(value);
  }

  bytes(values: Uint8Array): void {
    this.#reserve(values.length);
    this.#buffer.set(values, this.length);
    this.length += values.length;
  }

  text(value: string): void {
    this.unsigned(value.length);
    this.bytes(Buffer.from(value, 'latin1'));
  }

  unsigned(value: number): void {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.byte(rest);
  }

  signed(value: number): void {
    let rest = value | 0;
    for (;;) {
      const low = rest & 0x7f;
      rest >>= 7;
      const isLast = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0);
      this.byte(isLast ? low : low | 0x80);
      if (isLast) return;
    }
  }

  section(id: number, fill: (section: Bytes) => void): void {
    const section = new Bytes();
    fill(section);
    this.byte(id);
    this.unsigned(section.length);
    this.bytes(section.done());
  }

  done(): Uint8Array {
    return this.#buffer.subarray(0, this.length);
  }

  #reserve(count: number): void {
    if (this.length + count <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#buffer.length, this.length + count));
    larger.set(this.#buffer.subarray(0, this.length));
    this.#buffer = larger;
  }
}

const I32 = 0x7f;
const OP_CONST = 0x41;
const OP_END = 0x0b;
// A data segment costs about this many bytes of its own.
const MIN_ZERO_RUN = 12;
// Engines take at most 100,000.
const MAX_SEGMENTS = 20_000;
