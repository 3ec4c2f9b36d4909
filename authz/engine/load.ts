/**
 * Loads a compiled policy set. What a connection says is classified once and kept; methods and hosts that were seen before are
 * looked up; so that of most requests only the path and the headers that the policies read are written into the module.
 *
 * Hot path: no promise, closure, spread or RegExp; decisions are made beforehand. INVARIANT: nothing here throws once an engine
 * is loaded; an internal fault is the denial `engine_error`.
 */
import { parseIp } from '#base/cidr.ts';

import type { CompiledPolicy, CompiledSlot, SlotSource } from '../plan/compiled.ts';
import { EFFECT, OVERFLOW } from '../wasm/memory-map.ts';
import { claimValues } from './claims.ts';
import { constantEngine, decision, noneSelected } from './decisions.ts';
import type { WhenNoneSelects } from './decisions.ts';
import type { ClassifiedConnection, Engine } from './engine.ts';
import { instantiate } from './evaluator.ts';
import type { Evaluator, ScratchBuffer } from './evaluator.ts';
import { isExcessive, readIdentity } from './identity.ts';
import type { ConnectionAttributes, Decision, RequestAttributes, Token } from './input.ts';

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
  if (compiled.selected === 0) return constantEngine(noneSelected(options.whenNoneSelects, compiled.revision));
  return new WasmEngine(compiled, instantiate(compiled.wasm));
}

class WasmConnection implements ClassifiedConnection {
  readonly engine: Engine;
  /** Index and value of each word to set. With up to eight pairs V8 keeps the array in the heap, next to its owner. */
  readonly cells: Int32Array;
  /** It says more than a cell can hold, or nothing that could be believed: every decision on it is an error. */
  readonly isRefused: boolean;

  constructor(engine: Engine, cells: Int32Array, isRefused: boolean) {
    this.engine = engine;
    this.cells = cells;
    this.isRefused = isRefused;
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
  readonly #module: Evaluator;
  readonly #cells: Int32Array;
  readonly #scratch: ScratchBuffer;
  readonly #trustDomains: readonly string[];
  readonly #connectionSlots: readonly CompiledSlot[];
  readonly #methods: InternTable | null;
  readonly #authorities: InternTable | null;
  readonly #path: CompiledSlot | null;
  readonly #headers: readonly { readonly name: string; readonly slot: CompiledSlot }[];
  readonly #tokenSlots: readonly CompiledSlot[];
  readonly #allowed: readonly Decision[];
  readonly #denied: readonly Decision[];
  readonly #allowedOtherwise: Decision;
  readonly #deniedOtherwise: Decision;
  readonly #failed: Decision;
  /** The connection whose classes are in the module's memory. */
  #current: WasmConnection | null = null;
  #hits = 0;
  #misses = 0;
  #full = 0;

  constructor(compiled: CompiledPolicy, module: Evaluator) {
    const { slots, scratchStart, scratchBytes } = compiled.layout;
    this.revision = compiled.revision;
    this.headerNames = compiled.headerNames;
    this.#module = module;
    this.#cells = new Int32Array(module.memory.buffer);
    // Every Buffer of Node has these writers.
    this.#scratch = Buffer.from(module.memory.buffer, scratchStart, scratchBytes) as ScratchBuffer;
    this.#trustDomains = compiled.trustDomains;
    this.#connectionSlots = slots.filter(({ source }) => !REQUEST_KINDS.has(source.kind));
    const only = (kind: SlotSource['kind']): CompiledSlot | null => slots.find(({ source }) => source.kind === kind) ?? null;
    const method = only('method');
    const authority = only('authority');
    this.#methods = method === null ? null : new InternTable(method, MAX_METHODS);
    this.#authorities = authority === null ? null : new InternTable(authority, MAX_AUTHORITIES);
    this.#path = only('path');
    this.#headers = slots.flatMap((slot) => (slot.source.kind === 'header' ? [{ name: slot.source.name, slot }] : []));
    this.#tokenSlots = slots.filter(({ source }) => TOKEN_KINDS.has(source.kind));
    const { revision, rules } = compiled;
    this.#allowed = rules.map(({ policy, rule }) => decision('allow', 'allowed_by_rule', revision, policy, rule));
    this.#denied = rules.map(({ policy, rule }) => decision('deny', 'denied_by_rule', revision, policy, rule));
    this.#allowedOtherwise = decision('allow', 'allowed_no_policy', revision);
    this.#deniedOtherwise = decision('deny', 'denied_no_match', revision);
    this.#failed = decision('deny', 'engine_error', revision);
  }

  internCounts(): InternCounts {
    return { hits: this.#hits, misses: this.#misses, full: this.#full };
  }

  classify(connection: ConnectionAttributes): WasmConnection {
    this.#current = null;
    try {
      const isRefused = !this.#classifyConnection(connection);
      return new WasmConnection(this, isRefused ? NO_CELLS : this.#connectionCells(), isRefused);
    } catch {
      return new WasmConnection(this, NO_CELLS, true);
    }
  }

  decide(connection: ClassifiedConnection, request: RequestAttributes): Decision {
    try {
      if (!this.#enter(connection)) return this.#failed;
      if (this.#methods !== null) this.#intern(this.#methods, request.method);
      if (this.#authorities !== null) this.#intern(this.#authorities, request.authority);
      if (this.#path !== null) this.#write(this.#path, request.path);
      for (let index = 0; index < this.#headers.length; index++) this.#writeHeader(index, request);
      if (this.#tokenSlots.length > 0) return this.#decideWithTokens(request.tokens);
      return this.#decision(this.#module.decide());
    } catch {
      return this.#failed;
    }
  }

  decideConnection(connection: ClassifiedConnection): Decision {
    try {
      return this.#enter(connection) ? this.#decision(this.#module.decideConnection()) : this.#failed;
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
    this.#cells[OVERFLOW >> 2] = 0;
    return true;
  }

  /** A rule is judged on one token at a time: a DENY that matches any of them denies, an ALLOW that matches one allows. */
  #decideWithTokens(tokens: readonly Token[]): Decision {
    if (tokens.length === 0) {
      for (let index = 0; index < this.#tokenSlots.length; index++) clear(this.#cells, this.#tokenSlots[index]);
      return this.#decision(this.#module.decide());
    }
    if (tokens.length > MAX_TOKENS) return this.#failed;
    let best = 0;
    for (let index = 0; index < tokens.length; index++) {
      const token = tokens[index];
      if (token === undefined) return this.#failed;
      this.#classifyToken(token);
      const answer = this.#module.decide();
      const effect = answer & 3;
      if (effect === EFFECT.error) return this.#failed;
      if (isStronger(answer, best)) best = answer;
    }
    return this.#decision(best);
  }

  #decision(answer: number): Decision {
    const rule = (answer >>> 2) - 1;
    const effect = answer & 3;
    if (effect === EFFECT.allow) return rule < 0 ? this.#allowedOtherwise : (this.#allowed[rule] ?? this.#failed);
    if (effect === EFFECT.deny) return rule < 0 ? this.#deniedOtherwise : (this.#denied[rule] ?? this.#failed);
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
    this.#write(slot, value);
    if (table.known.size >= table.capacity || value.length > MAX_INTERNED_LENGTH) {
      this.#full++;
      return;
    }
    this.#misses++;
    table.known.set(value, this.#cells.slice(slot.cellStart, slot.cellEnd));
  }

  #writeHeader(index: number, request: RequestAttributes): void {
    const header = this.#headers[index];
    if (header === undefined) return;
    clear(this.#cells, header.slot);
    const values = request.fields.values(header.name);
    for (let at = 0; at < values.length; at++) this.#write(header.slot, values[at] ?? '');
  }

  /** One character a byte. */
  #write(slot: CompiledSlot, value: string): void {
    if (value.length > this.#scratch.length) throw new RangeError('a value is longer than the scratch area');
    this.#module.classify(slot.descriptor, this.#scratch.latin1Write(value, 0));
  }

  #writeUtf8(slot: CompiledSlot, value: string): void {
    if (value.length * 3 > this.#scratch.length) throw new RangeError('a value is longer than the scratch area');
    this.#module.classify(slot.descriptor, this.#scratch.utf8Write(value, 0));
  }

  #writeIp(slot: CompiledSlot, text: string): void {
    const address = parseIp(text);
    if (address === null) return;
    this.#scratch[0] = address.length === 4 ? 4 : 6;
    this.#scratch.set(address, 1);
    this.#module.classify(slot.descriptor, 1 + address.length);
  }

  #writePort(slot: CompiledSlot, port: number): void {
    this.#scratch[0] = port >> 8;
    this.#scratch[1] = port & 0xff;
    this.#module.classify(slot.descriptor, 2);
  }

  /** The words of the connection's slots that count: of a list its length and as many values. */
  #connectionCells(): Int32Array {
    const pairs: number[] = [];
    for (const { cellEnd, cellStart, listCells } of this.#connectionSlots) {
      for (const start of listCells) {
        const length = this.#cells[start] ?? 0;
        for (let index = start; index <= start + length; index++) pairs.push(index, this.#cells[index] ?? 0);
      }
      if (listCells.length === 0)
        for (let index = cellStart; index < cellEnd; index++) pairs.push(index, this.#cells[index] ?? 0);
    }
    return Int32Array.from(pairs);
  }

  #classifyConnection(connection: ConnectionAttributes): boolean {
    this.#cells[OVERFLOW >> 2] = 0;
    const { principal } = connection;
    if (principal !== null && isExcessive(principal)) return false;
    const identity = principal === null ? null : readIdentity(principal, this.#trustDomains);
    for (const slot of this.#connectionSlots) {
      clear(this.#cells, slot);
      switch (slot.source.kind) {
        case 'principal':
          if (identity !== null) this.#writeUtf8(slot, identity.principal);
          break;
        case 'trustDomain':
          if (identity !== null && identity.trustDomain !== null) this.#writeUtf8(slot, identity.trustDomain);
          break;
        case 'namespace':
          if (identity !== null && identity.namespace !== null) this.#writeUtf8(slot, identity.namespace);
          break;
        case 'account':
          if (identity !== null && identity.account !== null) this.#writeUtf8(slot, identity.account);
          break;
        case 'anyNamespace':
          for (const namespace of identity?.anyNamespaces ?? []) this.#writeUtf8(slot, namespace);
          break;
        case 'anyAccount':
          for (const account of identity?.anyAccounts ?? []) this.#writeUtf8(slot, account);
          break;
        case 'sourceIp':
          this.#writeIp(slot, connection.sourceIp);
          break;
        case 'remoteIp':
          this.#writeIp(slot, connection.remoteIp);
          break;
        case 'destinationIp':
          this.#writeIp(slot, connection.destinationIp);
          break;
        case 'destinationPort':
          this.#writePort(slot, connection.destinationPort);
          break;
        case 'sni':
          if (connection.sni !== null) this.#writeUtf8(slot, connection.sni.toLowerCase());
          break;
        default:
          return false;
      }
    }
    return this.#cells[OVERFLOW >> 2] === 0;
  }

  #classifyToken(token: Token): void {
    for (let index = 0; index < this.#tokenSlots.length; index++) {
      const slot = this.#tokenSlots[index];
      if (slot === undefined) continue;
      clear(this.#cells, slot);
      const { source } = slot;
      if (source.kind === 'requestPrincipal') this.#writeRequestPrincipal(slot, token);
      else {
        const values = claimValues(token, source.kind === 'claim' ? source.path : source.kind === 'audiences' ? AUD : AZP);
        for (let at = 0; at < values.length; at++) this.#writeUtf8(slot, values[at] ?? '');
      }
    }
  }

  /** Issuer, 0xff, subject: the separator is no byte of UTF-8. */
  #writeRequestPrincipal(slot: CompiledSlot, token: Token): void {
    if ((token.issuer.length + token.subject.length) * 3 + 1 > this.#scratch.length)
      throw new RangeError('a token names too much');
    const issuerBytes = this.#scratch.utf8Write(token.issuer, 0);
    this.#scratch[issuerBytes] = 0xff;
    const subjectBytes = this.#scratch.utf8Write(token.subject, issuerBytes + 1);
    this.#module.classify(slot.descriptor, issuerBytes + 1 + subjectBytes);
  }
}

/** Makes a slot absent. */
function clear(cells: Int32Array, slot: CompiledSlot | undefined): void {
  if (slot === undefined) return;
  if (slot.listCells.length === 0) for (let index = slot.cellStart; index < slot.cellEnd; index++) cells[index] = 0;
  for (let index = 0; index < slot.listCells.length; index++) cells[slot.listCells[index] ?? 0] = 0;
}

/** Denied by a rule over allowed over denied for want of a match; among equals the first rule. */
function isStronger(answer: number, best: number): boolean {
  const left = strength(answer);
  const right = strength(best);
  return left > right || (left === right && answer >>> 0 < best >>> 0);
}

function strength(answer: number): number {
  if (answer === 0) return 0;
  if ((answer & 3) === EFFECT.deny) return answer >>> 2 > 0 ? 3 : 1;
  return 2;
}

const REQUEST_KINDS: ReadonlySet<SlotSource['kind']> = new Set([
  'method',
  'authority',
  'path',
  'header',
  'requestPrincipal',
  'audiences',
  'presenter',
  'claim',
]);
const TOKEN_KINDS: ReadonlySet<SlotSource['kind']> = new Set(['requestPrincipal', 'audiences', 'presenter', 'claim']);
const AUD = ['aud'];
const AZP = ['azp'];
const NO_CELLS = new Int32Array(0);
// Bounds of what is remembered of what peers send.
const MAX_METHODS = 64;
const MAX_AUTHORITIES = 2048;
const MAX_INTERNED_LENGTH = 256;
const MAX_TOKENS = 16;
