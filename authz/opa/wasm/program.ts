/** `policy.wasm` as a program: metered when it is loaded, in an instance that is replaced whenever an evaluation broke off in it. */
import { PosternError } from '#base/error.ts';

import { findBuiltin, refusalOf } from '../builtins/table.ts';
import type { Builtin } from '../builtins/builtin.ts';
import { parseJson, toJson } from '../json.ts';
import type { OpaLimits } from '../limits.ts';
import { Meter } from '../meter.ts';
import { denied } from '../outcome.ts';
import type { OpaDenied, OpaOutcome } from '../outcome.ts';
import { denialOf, readInput, resultOf } from '../program.ts';
import type { OpaProgram } from '../program.ts';
import { RegoObject, RegoSet } from '../value.ts';
import type { RegoValue } from '../value.ts';
import { parseValueText } from '../value-text.ts';
import { HOST_IMPORTS, OpaInstance, PAGE_BYTES } from './abi.ts';
import { compileModule, isTrap, makeMemory } from './engine.ts';
import type { WasmModule } from './engine.ts';
import { meterModule } from './fuel.ts';
import type { MeteredModule } from './fuel.ts';
import { moduleFault } from './reader.ts';

/** @throws {PosternError} `opa_module_invalid`, `opa_builtin_refused`, `opa_data_too_large` */
export function loadWasmProgram(bytes: Uint8Array, data: RegoValue, limits: OpaLimits): OpaProgram {
  const metered = meterModule(bytes, HOST_IMPORTS);
  const pages = Math.floor(limits.memoryBytes / PAGE_BYTES);
  if (metered.minPages > pages)
    throw moduleFault(`found that it wants ${metered.minPages} pages of memory, wanted at most ${pages}`);
  let module: WasmModule;
  try {
    module = compileModule(metered.bytes);
  } catch (error) {
    throw moduleFault(error instanceof Error ? error.message : String(error));
  }
  return new WasmProgram(module, metered, Math.min(pages, metered.maxPages ?? pages), Buffer.from(toJson(data)), limits);
}

class WasmProgram implements OpaProgram {
  readonly kind = 'wasm';
  readonly entrypoints: readonly string[];
  readonly #module: WasmModule;
  readonly #minPages: number;
  readonly #maxPages: number;
  readonly #data: Uint8Array;
  readonly #limits: OpaLimits;
  readonly #builtins: ReadonlyMap<number, Builtin>;
  readonly #ids: ReadonlyMap<string, number>;
  #instance: OpaInstance | null;

  constructor(module: WasmModule, metered: MeteredModule, maxPages: number, data: Uint8Array, limits: OpaLimits) {
    this.#module = module;
    this.#minPages = metered.minPages;
    this.#maxPages = maxPages;
    this.#data = data;
    this.#limits = limits;
    const instance = attempt(() => this.#instantiate());
    this.#builtins = requireBuiltins(idsOf(attempt(() => instance.builtinIds())));
    this.#ids = idsOf(attempt(() => instance.entrypointIds()));
    this.entrypoints = [...this.#ids.keys()].toSorted();
    this.#instance = this.#prepare(instance);
  }

  evaluate(entrypoint: string, input: string | null, nowNs: bigint): OpaOutcome {
    const id = this.#ids.get(entrypoint);
    if (id === undefined) return denied('opa_undefined', `the policy has no entry point "${entrypoint}"`);
    const read = readInput(input, this.#limits);
    if (!read.ok) return read;
    const bytes = Buffer.from(read.value === undefined ? '' : toJson(read.value));
    let instance: OpaInstance | null = null;
    try {
      instance = this.#instance ?? this.#prepare(this.#instantiate());
      this.#instance = null;
      const meter = new Meter(this.#limits.fuel, this.#limits.memoryBytes);
      const results = parseValueText(instance.evaluate(id, bytes, meter, nowNs));
      // Memory never shrinks: an instance that has grown much is let go.
      if (instance.pages <= Math.max(this.#minPages, this.#maxPages / 2)) this.#instance = instance;
      return results instanceof RegoSet ? resultOf(results) : denied('opa_abort', 'the module answered with no result set');
    } catch (error) {
      return this.#denialOf(error, instance);
    }
  }

  /** The counter tells a trap for want of fuel from any other. */
  #denialOf(error: unknown, instance: OpaInstance | null): OpaDenied {
    const isOutOfFuel = isTrap(error) && instance !== null && instance.fuelLeft < 0;
    return isOutOfFuel ? denied('opa_fuel') : denialOf(error);
  }

  #instantiate(): OpaInstance {
    return new OpaInstance(this.#module, makeMemory(this.#minPages, this.#maxPages));
  }

  #prepare(instance: OpaInstance): OpaInstance {
    for (const [id, builtin] of this.#builtins) instance.useBuiltin(id, builtin);
    instance.refuel(LOAD_FUEL);
    try {
      instance.loadData(this.#data);
    } catch (error) {
      const why = denialOf(error).message;
      const message = `Cannot load the policy's data: found ${this.#data.length} bytes of JSON, which ${this.#maxPages} pages of memory do not hold (${why})`;
      throw new PosternError('opa_data_too_large', message, 'allow it more memory, or give it less data');
    }
    return instance;
  }
}

/** What a module does while it is loaded is the operator's fault to mend. */
function attempt<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof PosternError) throw error;
    throw moduleFault(`found that it cannot start: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function idsOf(json: string): ReadonlyMap<string, number> {
  const reading = parseJson(json);
  if (!reading.ok || !(reading.value instanceof RegoObject)) throw moduleFault('found no table of names');
  return new Map(
    reading.value.entries().map(([name, id]) => {
      if (typeof name !== 'string' || typeof id !== 'number') throw moduleFault('found no table of names');
      return [name, id];
    }),
  );
}

function requireBuiltins(ids: ReadonlyMap<string, number>): ReadonlyMap<number, Builtin> {
  const found = new Map<number, Builtin>();
  for (const [name, id] of ids) {
    const builtin = findBuiltin(name);
    if (builtin === null) {
      throw new PosternError('opa_builtin_refused', `Cannot load policy.wasm: it calls "${name}", and ${refusalOf(name)}`);
    }
    found.set(id, builtin);
  }
  return found;
}

/** Most that the counter, an i32, can hold; data is read once, and bounded by memory. */
const LOAD_FUEL = 0x7fff_ffff;
