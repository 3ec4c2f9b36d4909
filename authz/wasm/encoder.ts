/**
 * WebAssembly binary format (Core Specification 1.0, section 5; passive data segments of bulk memory), as much of it as modules of
 * policies need: functions over i32, one memory, globals, data segments, exports. No tables; imports only where a foreign host's
 * interface asks for them.
 */
import { I32, OP_CONST, OP_END, encodeBody } from './body-encoder.ts';
import type { FunctionSource, ModuleNames } from './body-encoder.ts';
import { Bytes } from './bytes.ts';
import { growMemory, initMemory, subtract, sizeOfMemory, unreachable, when, atMost, equal } from './instructions.ts';

/** A function that the host gives, in module `env`. */
export interface ImportedFunction {
  readonly name: string;
  readonly parameterCount: number;
  readonly hasResult: boolean;
}

export interface GlobalSource {
  readonly name: string;
  readonly initial: number;
  readonly isMutable: boolean;
  readonly isExported: boolean;
}

/**
 * `fixed`: exactly as many pages for ever. `growing`: at least as many, exported. `imported`: `env.memory` of any size, exported
 * again; it is grown and filled by the module's start function, so that a host need not know how much it takes.
 */
export type MemoryKind = 'fixed' | 'growing' | 'imported';

export interface ModuleSource {
  readonly functions: readonly FunctionSource[];
  readonly imports?: readonly ImportedFunction[];
  readonly globals?: readonly GlobalSource[];
  readonly memoryKind?: MemoryKind;
  /** Pages of 64 KiB. */
  readonly memoryPages: number;
  /** What the memory holds at the start, from address 0. */
  readonly image: Uint8Array;
}

export function encodeModule(module: ModuleSource): Uint8Array {
  const imports = module.imports ?? [];
  const globals = module.globals ?? [];
  const memoryKind = module.memoryKind ?? 'fixed';
  const runs = dataRuns(module.image);
  const functions = memoryKind === 'imported' ? [...module.functions, startFunction(module.memoryPages, runs)] : module.functions;
  const names: ModuleNames = {
    functions: new Map([...imports, ...functions].map(({ name }, index) => [name, index])),
    globals: new Map(globals.map(({ name }, index) => [name, index])),
  };
  const out = new Bytes();
  out.raw([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
  out.section(1, (section) => encodeTypes(section, imports, functions));
  if (imports.length > 0 || memoryKind === 'imported') {
    out.section(2, (section) => encodeImports(section, imports, memoryKind === 'imported'));
  }
  out.section(3, (section) => {
    section.unsigned(functions.length);
    for (const index of functions.keys()) section.unsigned(imports.length + index);
  });
  if (memoryKind !== 'imported') {
    out.section(5, (section) => {
      section.raw([1, memoryKind === 'fixed' ? 1 : 0]);
      section.unsigned(module.memoryPages);
      if (memoryKind === 'fixed') section.unsigned(module.memoryPages);
    });
  }
  if (globals.length > 0) out.section(6, (section) => encodeGlobals(section, globals));
  out.section(7, (section) => encodeExports(section, imports.length, functions, globals));
  if (memoryKind === 'imported') {
    out.section(8, (section) => section.unsigned(imports.length + functions.length - 1));
    // Bodies that name passive segments are read before the segments are.
    out.section(12, (section) => section.unsigned(runs.length));
  }
  out.section(10, (section) => {
    section.unsigned(functions.length);
    for (const source of functions) {
      const body = new Bytes();
      encodeBody(body, source, names);
      section.unsigned(body.length);
      section.bytes(body.done());
    }
  });
  out.section(11, (section) => encodeData(section, module.image, runs, memoryKind === 'imported'));
  return out.done();
}

/** One type for each function: the few bytes are not worth a table. */
function encodeTypes(section: Bytes, imports: readonly ImportedFunction[], functions: readonly FunctionSource[]): void {
  section.unsigned(imports.length + functions.length);
  const one = (parameterCount: number, hasResult: boolean): void => {
    section.byte(0x60);
    section.unsigned(parameterCount);
    for (let index = 0; index < parameterCount; index++) section.byte(I32);
    section.raw(hasResult ? [1, I32] : [0]);
  };
  for (const { parameterCount, hasResult } of imports) one(parameterCount, hasResult);
  for (const { parameters, hasResult } of functions) one(parameters.length, hasResult);
}

function encodeImports(section: Bytes, imports: readonly ImportedFunction[], withMemory: boolean): void {
  section.unsigned(imports.length + (withMemory ? 1 : 0));
  for (const [index, { name }] of imports.entries()) {
    section.text('env');
    section.text(name);
    section.byte(0);
    section.unsigned(index);
  }
  if (!withMemory) return;
  section.text('env');
  section.text('memory');
  section.raw([2, 0]);
  section.unsigned(LEAST_IMPORTED_PAGES);
}

function encodeGlobals(section: Bytes, globals: readonly GlobalSource[]): void {
  section.unsigned(globals.length);
  for (const { initial, isMutable } of globals) {
    section.raw([I32, isMutable ? 1 : 0, OP_CONST]);
    section.signed(initial);
    section.byte(OP_END);
  }
}

function encodeExports(
  section: Bytes,
  importCount: number,
  functions: readonly FunctionSource[],
  globals: readonly GlobalSource[],
): void {
  const exportedFunctions = [...functions.entries()].filter(([, { isExported }]) => isExported);
  const exportedGlobals = [...globals.entries()].filter(([, { isExported }]) => isExported);
  section.unsigned(exportedFunctions.length + exportedGlobals.length + 1);
  section.text('memory');
  section.raw([2, 0]);
  for (const [index, { name }] of exportedFunctions) {
    section.text(name);
    section.byte(0);
    section.unsigned(importCount + index);
  }
  for (const [index, { name }] of exportedGlobals) {
    section.text(name);
    section.byte(3);
    section.unsigned(index);
  }
}

/** Runs of zeros are left out: memory starts as zeros. */
function encodeData(section: Bytes, image: Uint8Array, runs: readonly Run[], isPassive: boolean): void {
  section.unsigned(runs.length);
  for (const { start, end } of runs) {
    if (isPassive) section.byte(1);
    else {
      section.raw([0, OP_CONST]);
      section.signed(start);
      section.byte(OP_END);
    }
    section.unsigned(end - start);
    section.bytes(image.subarray(start, end));
  }
}

/** Grows the host's memory to what the module takes and fills it. */
function startFunction(pages: number, runs: readonly Run[]): FunctionSource {
  const isSmaller = atMost(sizeOfMemory, pages - 1);
  return {
    name: START,
    isExported: false,
    parameters: [],
    hasResult: false,
    locals: [],
    body: [
      when(isSmaller, [when(equal(growMemory(subtract(pages, sizeOfMemory)), -1), [unreachable])]),
      ...runs.map(({ start, end }, segment) => initMemory(segment, start, end - start)),
    ],
  };
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

const START = 'start';
/** What OPA's own modules ask for, so that every host that loads those has it. */
const LEAST_IMPORTED_PAGES = 2;
// A data segment costs about this many bytes of its own.
const MIN_ZERO_RUN = 12;
// Engines take at most 100,000.
const MAX_SEGMENTS = 20_000;
