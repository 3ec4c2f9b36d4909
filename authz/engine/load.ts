/**
 * Loads a compiled policy set. What a connection says is classified once and kept; methods and hosts that were seen before are
 * looked up; so that of most requests only the path and the headers that the policies read are written into the module.
 *
 * Hot path: no promise, closure, spread or RegExp; decisions are made beforehand. INVARIANT: nothing here throws once an engine
 * is loaded; an internal fault is the denial `engine_error`.
 */
import type { CompiledOutcome, CompiledPolicy, CompiledProgram, CompiledSlot, SlotSource } from '../plan/compiled.ts';
import { EFFECT, ERROR, NO_ANSWER } from '../wasm/memory-map.ts';
import { ConnectionClassifier } from './connection-classes.ts';
import { constantEngine, decision, noneSelected } from './decisions.ts';
import type { WhenNoneSelects } from './decisions.ts';
import type { ClassifiedConnection, Engine } from './engine.ts';
import { instantiate } from './evaluator.ts';
import type { Evaluator } from './evaluator.ts';
import type { ConnectionAttributes, Decision, Providers, RequestAttributes, Token } from './input.ts';
import { Reports } from './reports.ts';
import { TokenClassifier } from './token-classes.ts';
import { ValueWriter } from './value-writer.ts';

export interface EngineOptions {
  readonly whenNoneSelects: WhenNoneSelects;
}

/** How often values were found among those seen before; for metrics. */
export interface InternCounts {
  readonly hits: number;
  readonly misses: number;
  /** Values that were classified anew because the table was full. */
  readonly full: number;
}

/** @throws {PosternError} `policy_module_invalid` when the module is not one that the compiler made */
export function loadEngine(compiled: CompiledPolicy, options: EngineOptions): Engine & { internCounts?(): InternCounts } {
  if (compiled.isEmpty) return constantEngine(noneSelected(options.whenNoneSelects, compiled.revision));
  return new WasmEngine(compiled, instantiate(compiled.wasm), options.whenNoneSelects);
}

class WasmConnection implements ClassifiedConnection {
  readonly engine: Engine;
  /** Index and value of each word to set. With up to eight pairs V8 keeps the array in the heap, next to its owner. */
  readonly cells: Int32Array;
  /** It says more than a cell can hold, or nothing that could be believed: every decision on it is an error. */
  readonly isRefused: boolean;

  constructor(engine: Engine, cells: Int32Array | null) {
    this.engine = engine;
    this.cells = cells ?? NO_CELLS;
    this.isRefused = cells === null;
  }
}

/** Classes of values of one slot that were seen before. Bounded; once full it stays as it is. */
class InternTable {
  readonly slot: CompiledSlot;
  readonly known = new Map<string, Int32Array>();
  readonly capacity: number;

  constructor(slot: CompiledSlot, capacity: number) {
    this.slot = slot;
    this.capacity = capacity;
  }
}

class WasmEngine implements Engine {
  readonly revision: string;
  readonly headerNames: readonly string[];
  readonly readsQuery: boolean;
  readonly providers: readonly string[];
  readonly #readsHttp: boolean;
  readonly #module: Evaluator;
  readonly #writer: ValueWriter;
  readonly #cells: Int32Array;
  readonly #connections: ConnectionClassifier;
  readonly #tokens: TokenClassifier;
  readonly #methods: InternTable | null;
  readonly #authorities: InternTable | null;
  readonly #path: CompiledSlot | null;
  readonly #query: CompiledSlot | null;
  readonly #headers: readonly NamedSlot[];
  readonly #providerSlots: readonly NamedSlot[];
  readonly #http: CompiledProgram;
  readonly #tcp: CompiledProgram;
  readonly #reports: Reports;
  /** By number; index 0 is no outcome. */
  readonly #outcomes: readonly (Decision | null)[];
  readonly #failed: Decision;
  /** The connection whose classes are in the module's memory. */
  #current: WasmConnection | null = null;
  #hits = 0;
  #misses = 0;
  #full = 0;

  constructor(compiled: CompiledPolicy, module: Evaluator, whenNoneSelects: WhenNoneSelects) {
    const { http, slots, tcp } = compiled.layout;
    this.revision = compiled.revision;
    this.headerNames = compiled.headerNames;
    this.#readsHttp = slots.some(({ source }) => REQUEST_SLOTS.has(source.kind));
    this.#module = module;
    this.#writer = new ValueWriter(module, compiled.layout);
    this.#cells = this.#writer.cells;
    this.#connections = new ConnectionClassifier(this.#writer, slots, compiled.trustDomains);
    this.#tokens = new TokenClassifier(this.#writer, slots, compiled.spaceDelimitedClaims);
    const only = (kind: SlotSource['kind']): CompiledSlot | null => slots.find(({ source }) => source.kind === kind) ?? null;
    const method = only('method');
    const authority = only('authority');
    this.#methods = method === null ? null : new InternTable(method, MAX_METHODS);
    this.#authorities = authority === null ? null : new InternTable(authority, MAX_AUTHORITIES);
    this.#path = only('path');
    this.#query = only('query');
    this.readsQuery = this.#query !== null;
    this.#headers = namedSlots(slots, 'header');
    this.#providerSlots = namedSlots(slots, 'provider');
    this.providers = this.#providerSlots.map(({ name }) => name);
    this.#http = http;
    this.#tcp = tcp;
    this.#reports = new Reports(compiled);
    this.#outcomes = [null, ...compiled.outcomes.map((outcome) => decisionOf(outcome, compiled.revision, whenNoneSelects))];
    this.#failed = decision('deny', 'engine_error', compiled.revision);
  }

  internCounts(): InternCounts {
    return { hits: this.#hits, misses: this.#misses, full: this.#full };
  }

  /** The same for every port: that a rule is about one port only does not count yet. */
  readsHttp(_port: number): boolean {
    return this.#readsHttp;
  }

  classify(connection: ConnectionAttributes): WasmConnection {
    this.#current = null;
    try {
      return new WasmConnection(this, this.#connections.classify(connection));
    } catch {
      return new WasmConnection(this, null);
    }
  }

  decide(connection: ClassifiedConnection, request: RequestAttributes, providers: Providers | null = null): Decision {
    try {
      if (!this.#enter(connection)) return this.#failed;
      if (this.#methods !== null) this.#intern(this.#methods, request.method);
      if (this.#authorities !== null) this.#intern(this.#authorities, request.authority);
      if (this.#path !== null) this.#writer.binary(this.#path, request.path);
      if (this.#query !== null) this.#writer.binary(this.#query, request.query ?? '');
      for (let index = 0; index < this.#headers.length; index++) this.#writeHeader(this.#headers[index], request);
      if (this.#providerSlots.length > 0) this.#writeProviders(providers);
      if (this.#tokens.slots.length > 0) return this.#decideWithTokens(request.tokens, providers);
      return this.#told(this.#module.decide(), this.#http, providers);
    } catch {
      return this.#failed;
    }
  }

  decideConnection(connection: ClassifiedConnection, providers: Providers | null = null): Decision {
    try {
      if (!this.#enter(connection)) return this.#failed;
      if (this.#providerSlots.length > 0) this.#writeProviders(providers);
      return this.#told(this.#module.decideConnection(), this.#tcp, providers);
    } catch {
      return this.#failed;
    }
  }

  /** Puts the connection's classes in place. False when it is another engine's or cannot be judged. */
  #enter(connection: ClassifiedConnection): boolean {
    if (connection !== this.#current) {
      if (connection.engine !== this || !(connection instanceof WasmConnection) || connection.isRefused) return false;
      const { cells } = connection;
      for (let at = 0; at < cells.length; at += 2) this.#cells[cells[at] ?? 0] = cells[at + 1] ?? 0;
      this.#current = connection;
    }
    this.#writer.reset();
    return true;
  }

  /** The decision that an answer names, with what is reported beside it. */
  #told(answer: number, program: CompiledProgram, providers: Providers | null): Decision {
    const made = answer === ERROR ? this.#failed : (this.#outcomes[answer >>> 2] ?? this.#failed);
    if (this.#reports.isEmpty || UNREPORTED.has(made.code)) return made;
    this.#reports.clear(this.#cells);
    if (program.reports !== 0) this.#module.report?.(program.reports);
    return this.#reports.with(made, this.#cells, providers);
  }

  #decideWithTokens(tokens: readonly Token[], providers: Providers | null): Decision {
    if (tokens.length <= 1) {
      this.#tokens.classify(tokens[0] ?? null);
      return this.#told(this.#module.decide(), this.#http, providers);
    }
    return tokens.length > MAX_TOKENS ? this.#failed : this.#decideWithSeveral(tokens, providers);
  }

  /**
   * A rule is judged on one token at a time, and matches if it does with any: of each stage the smallest answer over all tokens
   * counts. Rare, and so not in the module.
   */
  #decideWithSeveral(tokens: readonly Token[], providers: Providers | null): Decision {
    const { reports, stages } = this.#http;
    const best = new Uint32Array(stages.length).fill(NO_ANSWER);
    this.#reports.clear(this.#cells);
    for (const token of tokens) {
      this.#tokens.classify(token);
      if (this.#writer.hasOverflown) return this.#failed;
      for (const [number, { index }] of stages.entries()) {
        best[number] = Math.min(best[number] ?? 0, this.#module.scanIndex(index) >>> 0);
      }
      if (reports !== 0) this.#module.report?.(reports);
    }
    for (let number = 0; number < stages.length;) {
      const stage = stages[number];
      if (stage === undefined) break;
      const found = best[number] ?? 0;
      const answer = found === NO_ANSWER >>> 0 ? stage.otherwise : found;
      const effect = answer & 3;
      if (effect === EFFECT.allow || effect === EFFECT.deny) {
        const made = this.#outcomes[answer >>> 2] ?? this.#failed;
        const isReported = !this.#reports.isEmpty && !UNREPORTED.has(made.code);
        return isReported ? this.#reports.with(made, this.#cells, providers) : made;
      }
      number = effect === EFFECT.jump ? stage.jump : number + 1;
    }
    return this.#failed;
  }

  #intern(table: InternTable, value: string): void {
    const { slot } = table;
    const known = table.known.get(value);
    if (known !== undefined) {
      this.#hits++;
      for (let index = 0; index < known.length; index++) this.#cells[slot.cellStart + index] = known[index] ?? 0;
      return;
    }
    this.#writer.binary(slot, value);
    if (table.known.size >= table.capacity || value.length > MAX_INTERNED_LENGTH) {
      this.#full++;
      return;
    }
    this.#misses++;
    table.known.set(value, this.#cells.slice(slot.cellStart, slot.cellEnd));
  }

  #writeHeader(header: NamedSlot | undefined, request: RequestAttributes): void {
    if (header === undefined) return;
    this.#writer.clear(header.slot);
    const values = request.fields.values(header.name);
    for (let at = 0; at < values.length; at++) this.#writer.binary(header.slot, values[at] ?? '');
  }

  #writeProviders(providers: Providers | null): void {
    for (let index = 0; index < this.#providerSlots.length; index++) {
      const provider = this.#providerSlots[index];
      if (provider === undefined) continue;
      this.#writer.clear(provider.slot);
      const answer = providers !== null && Object.hasOwn(providers, provider.name) ? providers[provider.name] : undefined;
      if (answer !== undefined) this.#writer.binary(provider.slot, answer);
    }
  }
}

interface NamedSlot {
  readonly name: string;
  readonly slot: CompiledSlot;
}

function namedSlots(slots: readonly CompiledSlot[], kind: 'header' | 'provider'): readonly NamedSlot[] {
  return slots.flatMap((slot) => (slot.source.kind === kind ? [{ name: slot.source.name, slot }] : []));
}

function decisionOf(outcome: CompiledOutcome | null, revision: string, whenNoneSelects: WhenNoneSelects): Decision | null {
  if (outcome === null) return null;
  const { code, effect, policy, rule } = outcome;
  return code === 'none_selected' ? noneSelected(whenNoneSelects, revision) : decision(effect, code, revision, policy, rule);
}

/** Decisions that come before anything is reported. */
const UNREPORTED: ReadonlySet<Decision['code']> = new Set(['engine_error', 'mtls_required', 'denied_by_network_policy']);
const NO_CELLS = new Int32Array(0);
// Bounds of what is remembered of what peers send.
const MAX_METHODS = 64;
/** Sources that raw TCP has none of. */
const REQUEST_SLOTS: ReadonlySet<string> = new Set([
  'method',
  'authority',
  'path',
  'query',
  'header',
  'requestPrincipal',
  'issuer',
  'subject',
  'audiences',
  'presenter',
  'claim',
]);
const MAX_AUTHORITIES = 2048;
const MAX_INTERNED_LENGTH = 256;
const MAX_TOKENS = 16;
