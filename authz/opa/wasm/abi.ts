/**
 * A metered module under OPA's WebAssembly ABI 1.2 and 1.3: its exports as functions, texts in and out of its memory, one
 * evaluation. Written here, and not by the loader of OPA's SDK for npm, because that one takes an input that is no JSON for none at
 * all, prefers its own builtins (one of which backtracks) to those given, and cannot share what an evaluation may spend.
 */
import { callBuiltin } from '../builtins/table.ts';
import type { Builtin } from '../builtins/builtin.ts';
import { Meter, OpaAbort } from '../meter.ts';
import { parseValueText, valueText } from '../value-text.ts';
import { instantiate, isGlobal } from './engine.ts';
import type { WasmGlobal, WasmMemory, WasmModule } from './engine.ts';
import { FUEL_EXPORT } from './fuel.ts';
import { moduleFault } from './reader.ts';

/** What a module may import from `env`, beside its memory. */
export const HOST_IMPORTS: ReadonlySet<string> = new Set([
  'opa_abort',
  'opa_println',
  'opa_builtin0',
  'opa_builtin1',
  'opa_builtin2',
  'opa_builtin3',
  'opa_builtin4',
]);

export const PAGE_BYTES = 65_536;

type Call = (...args: number[]) => number;

/** One instance. After anything was thrown out of it, it is to be let go: what it was about is half done. */
export class OpaInstance {
  readonly #memory: WasmMemory;
  readonly #fuel: WasmGlobal;
  readonly #call: ReadonlyMap<string, Call>;
  readonly #builtins: Map<number, Builtin>;
  #nowNs = 0n;
  /** What the evaluation under way may still make, on the host's side. */
  #meter = new Meter(0, 0);
  #dataAddress = 0;
  #heapStart = 0;

  constructor(module: WasmModule, memory: WasmMemory) {
    this.#memory = memory;
    this.#builtins = new Map();
    const host = (id: number, _context: number, ...args: number[]): number => this.#host(id, args);
    const exports = instantiate(module, {
      memory,
      opa_abort: (address: number) => this.#abort(address),
      opa_println: () => undefined,
      ...Object.fromEntries([0, 1, 2, 3, 4].map((count) => [`opa_builtin${count}`, host])),
    });
    const fuel = exports[FUEL_EXPORT];
    if (!isGlobal(fuel)) throw moduleFault('found no meter');
    this.#fuel = fuel;
    const calls = new Map<string, Call>();
    for (const name of FUNCTIONS) {
      const exported = exports[name];
      if (typeof exported !== 'function') throw moduleFault(`found no exported function "${name}"`);
      // Functions of the ABI take and give 32-bit integers; the engine converts what is none.
      calls.set(name, exported as Call);
    }
    this.#call = calls;
    const version = [exports['opa_wasm_abi_version'], exports['opa_wasm_abi_minor_version']].map((global) =>
      isGlobal(global) ? Number(global.value) : -1,
    );
    if (version[0] !== 1 || !(version[1] === 2 || version[1] === 3)) {
      throw moduleFault(`found ABI ${version.join('.')}, wanted 1.2 or 1.3`);
    }
  }

  get pages(): number {
    return this.#memory.buffer.byteLength / PAGE_BYTES;
  }

  /** Fuel for what comes next, loading included. */
  refuel(fuel: number): void {
    this.#fuel.value = fuel;
  }

  get fuelLeft(): number {
    return Number(this.#fuel.value);
  }

  /** Ids by name, as JSON. */
  builtinIds(): string {
    return this.#text(this.#run('opa_json_dump', this.#run('builtins')));
  }

  entrypointIds(): string {
    return this.#text(this.#run('opa_json_dump', this.#run('entrypoints')));
  }

  useBuiltin(id: number, builtin: Builtin): void {
    this.#builtins.set(id, builtin);
  }

  /** Puts the data document in place; evaluations start their heap behind it. */
  loadData(json: Uint8Array): void {
    const address = this.#run('opa_malloc', json.length);
    this.#write(json, address);
    this.#dataAddress = this.#run('opa_json_parse', address, json.length);
    if (this.#dataAddress === 0) throw moduleFault('found that it cannot read the data document');
    this.#heapStart = this.#run('opa_heap_ptr_get');
  }

  /** @returns the result set in Rego's notation, in which a set is not just a list in no order */
  evaluate(entrypoint: number, input: Uint8Array, meter: Meter, nowNs: bigint): string {
    this.#meter = meter;
    this.#nowNs = nowNs;
    this.refuel(meter.fuel);
    const end = this.#heapStart + input.length;
    this.#reserve(end);
    this.#write(input, this.#heapStart);
    const heap = (end + 7) & ~7;
    return this.#text(
      this.#run('opa_eval', 0, entrypoint, this.#dataAddress, this.#heapStart, input.length, heap, REGO_NOTATION),
    );
  }

  #run(name: string, ...args: number[]): number {
    const call = this.#call.get(name);
    if (call === undefined) throw moduleFault(`found no exported function "${name}"`);
    return call(...args);
  }

  #reserve(end: number): void {
    const missing = end - this.#memory.buffer.byteLength;
    if (missing <= 0) return;
    try {
      this.#memory.grow(Math.ceil(missing / PAGE_BYTES));
    } catch {
      throw new OpaAbort('opa_memory', 'the input does not fit into what memory is left');
    }
  }

  #write(bytes: Uint8Array, address: number): void {
    new Uint8Array(this.#memory.buffer).set(bytes, address);
  }

  /** A text that ends with a zero byte. */
  #text(address: number): string {
    const bytes = new Uint8Array(this.#memory.buffer);
    const start = address >>> 0;
    const end = bytes.indexOf(0, start);
    if (start === 0 || start >= bytes.length || end < 0) throw new OpaAbort('opa_abort', 'the module answered with no text');
    return Buffer.from(bytes.buffer, start, end - start).toString('utf8');
  }

  #abort(address: number): never {
    const message = this.#text(address);
    if (message.includes('opa_malloc')) throw new OpaAbort('opa_memory', message);
    throw new OpaAbort(message.includes('conflict') ? 'opa_conflict' : 'opa_abort', message);
  }

  /** A builtin that the module leaves to its host; 0 is "undefined". */
  #host(id: number, addresses: readonly number[]): number {
    const builtin = this.#builtins.get(id);
    if (builtin === undefined) throw new OpaAbort('opa_abort', `the module calls builtin ${id}, which it did not name`);
    const args = addresses.map((address) => {
      if (address === 0) return undefined;
      return parseValueText(this.#text(this.#run('opa_value_dump', address)));
    });
    const given = args.filter((arg) => arg !== undefined);
    if (given.length < args.length) return 0;
    this.#meter.refuel(this.fuelLeft);
    const result = callBuiltin(builtin, given, { meter: this.#meter, nowNs: this.#nowNs });
    this.refuel(this.#meter.fuel);
    if (result === undefined) return 0;
    const bytes = Buffer.from(valueText(result));
    const address = this.#run('opa_malloc', bytes.length);
    this.#write(bytes, address);
    const value = this.#run('opa_value_parse', address, bytes.length);
    if (value === 0) throw new OpaAbort('opa_abort', 'the module cannot read what a builtin gave');
    return value;
  }
}

const REGO_NOTATION = 1;
const FUNCTIONS = [
  'opa_eval',
  'opa_malloc',
  'opa_json_parse',
  'opa_json_dump',
  'opa_value_parse',
  'opa_value_dump',
  'opa_heap_ptr_get',
  'builtins',
  'entrypoints',
];
