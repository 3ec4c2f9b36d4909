/**
 * Puts a meter into a module: a counter that every function's entry and every loop's head lowers by the instructions that may run
 * until the next payment, and that ends the module below zero. INVARIANT: between two payments no more instructions run than were
 * paid for, so that fuel bounds the time of any module whatsoever, calls of host functions apart.
 */
import { chargesOf } from './instructions.ts';
import { ByteReader, SECTION, moduleFault, readSections } from './reader.ts';
import type { Section } from './reader.ts';

/** Pages that the module wants at the start, and at most; null when it sets no bound. */
interface MemoryLimits {
  readonly minPages: number;
  readonly maxPages: number | null;
}

export interface MeteredModule extends MemoryLimits {
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Name under which the counter is exported. */
export const FUEL_EXPORT = 'postern_fuel';

/**
 * @param imports  what the module may import from `env`, beside its memory
 * @throws {PosternError} `opa_module_invalid`
 */
export function meterModule(bytes: Uint8Array, imports: ReadonlySet<string>): MeteredModule {
  const sections = readSections(bytes);
  if (sections.some(({ id }) => id === SECTION.memory)) throw moduleFault('found a memory of its own, wanted an imported one');
  const { maxPages, minPages } = readImports(find(sections, SECTION.import), imports);
  const globalSection = find(sections, SECTION.global);
  // No global can be imported, so that the counter comes right behind the module's own.
  const fuel = globalSection === null ? 0 : new ByteReader(globalSection).unsigned();

  const out: Uint8Array[] = [Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)];
  const put = (id: number, body: Uint8Array): void => {
    out.push(Uint8Array.of(id), unsigned(body.length), body);
  };
  let isGlobalOut = false;
  const putGlobal = (): void => {
    // A mutable i32. It starts with what the module's start function may spend, before anybody can set it.
    put(SECTION.global, appended(globalSection, [0x7f, 0x01, 0x41, ...signed(START_FUEL), 0x0b]));
    isGlobalOut = true;
  };
  for (const { body, id } of sections) {
    if (id >= SECTION.global && !isGlobalOut) putGlobal();
    if (id === SECTION.global) continue;
    if (id === SECTION.export) put(id, appended(body, [...name(FUEL_EXPORT), 0x03, ...unsigned(fuel)]));
    else put(id, id === SECTION.code ? meterCode(body, fuel) : body);
  }
  if (find(sections, SECTION.export) === null) throw moduleFault('found no exports');
  // OPA's modules ask for two pages however much data they bring.
  const dataPages = Math.ceil(dataEnd(find(sections, SECTION.data)) / PAGE_BYTES);
  return { bytes: joined(out), minPages: Math.max(minPages, dataPages), maxPages };
}

function find(sections: readonly Section[], wanted: number): Uint8Array | null {
  return sections.find(({ id }) => id === wanted)?.body ?? null;
}

function readImports(body: Uint8Array | null, allowed: ReadonlySet<string>): MemoryLimits {
  if (body === null) throw moduleFault('found no imported memory');
  const reader = new ByteReader(body);
  let memory: MemoryLimits | null = null;
  for (let left = reader.unsigned(); left > 0; left--) {
    const [module, field, kind] = [reader.name(), reader.name(), reader.byte()];
    if (module === 'env' && kind === 0 && allowed.has(field)) reader.unsigned();
    else if (module === 'env' && field === 'memory' && kind === 2 && memory === null) memory = readLimits(reader);
    else throw moduleFault(`found that it imports "${module}.${field}"`);
  }
  if (!reader.isAtEnd) throw moduleFault('found more imports than it says');
  if (memory === null) throw moduleFault('found no imported memory');
  return memory;
}

/** Where in memory the module's data ends. */
function dataEnd(body: Uint8Array | null): number {
  if (body === null) return 0;
  const reader = new ByteReader(body);
  let end = 0;
  for (let left = reader.unsigned(); left > 0; left--) {
    // Segments that are put in place by an address written out; OPA has no others.
    if (reader.unsigned() !== 0 || reader.byte() !== I32_CONST) throw moduleFault('found data that is placed in another way');
    const start = reader.address();
    if (reader.byte() !== END) throw moduleFault('found data that is placed in another way');
    const { length } = reader.bytes(reader.unsigned());
    end = Math.max(end, start + length);
  }
  return end;
}

function readLimits(reader: ByteReader): MemoryLimits {
  const flags = reader.byte();
  if (flags > 1) throw moduleFault('found a memory that is shared or of 64 bits');
  const minPages = reader.unsigned();
  return { minPages, maxPages: flags === 1 ? reader.unsigned() : null };
}

function meterCode(body: Uint8Array, fuel: number): Uint8Array {
  const reader = new ByteReader(body);
  const count = reader.unsigned();
  const out: Uint8Array[] = [unsigned(count)];
  for (let index = 0; index < count; index++) {
    const metered = meterFunction(reader.bytes(reader.unsigned()), fuel);
    out.push(unsigned(metered.length), metered);
  }
  if (!reader.isAtEnd) throw moduleFault('found more code than it says');
  return joined(out);
}

function meterFunction(code: Uint8Array, fuel: number): Uint8Array {
  const reader = new ByteReader(code);
  for (let groups = reader.unsigned(); groups > 0; groups--) {
    if (reader.unsigned() > MAX_LOCALS) throw moduleFault('found too many locals');
    reader.byte();
  }
  const out: Uint8Array[] = [];
  let from = 0;
  for (const { at, cost } of chargesOf(code, reader.at)) {
    out.push(code.subarray(from, at), payment(fuel, cost));
    from = at;
  }
  out.push(code.subarray(from));
  return joined(out);
}

/** `fuel -= cost; if (fuel < 0) unreachable` */
function payment(fuel: number, cost: number): Uint8Array {
  const global = unsigned(fuel);
  return Uint8Array.from([
    ...[0x23, ...global, 0x41, ...signed(cost), 0x6b, 0x24, ...global],
    ...[0x23, ...global, 0x41, 0x00, 0x48, 0x04, 0x40, 0x00, 0x0b],
  ]);
}

/** A vector with one element more at its end. */
function appended(body: Uint8Array | null, element: readonly number[]): Uint8Array {
  if (body === null) return Uint8Array.from([1, ...element]);
  const reader = new ByteReader(body);
  const count = reader.unsigned();
  return joined([unsigned(count + 1), body.subarray(reader.at), Uint8Array.from(element)]);
}

function unsigned(value: number): Uint8Array {
  const bytes: number[] = [];
  let left = value;
  do {
    bytes.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    left = Math.floor(left / 128);
  } while (left > 0);
  return Uint8Array.from(bytes);
}

/** LEB128 of a number that is not negative, with room for its sign. */
function signed(value: number): readonly number[] {
  const bytes: number[] = [];
  let left = value;
  while (left >= 0x40) {
    bytes.push((left & 0x7f) | 0x80);
    left = Math.floor(left / 128);
  }
  return [...bytes, left];
}

function name(text: string): readonly number[] {
  const bytes = Buffer.from(text);
  return [...unsigned(bytes.length), ...bytes];
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const PAGE_BYTES = 65_536;
const I32_CONST = 0x41;
const END = 0x0b;
const START_FUEL = 100_000_000;
/** Locals are made, and cleared, at every call. */
const MAX_LOCALS = 10_000;
