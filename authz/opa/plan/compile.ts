/**
 * A plan as closures: one for each statement, bound to its locals once, when the policy is loaded. No code is generated from text.
 * Each statement pays one step, so that fuel bounds the time whatever the plan says.
 */
import { PosternError } from '#base/error.ts';

import { callBuiltin, findBuiltin, refusalOf } from '../builtins/table.ts';
import type { Builtin } from '../builtins/builtin.ts';
import { OpaAbort } from '../meter.ts';
import { RegoObject, RegoSet, isArray } from '../value.ts';
import type { RegoValue } from '../value.ts';
import { plainStep } from './plain-steps.ts';
import type { Block, EntryPlan, PlanDocument, PlanFunction, Statement } from './plan.ts';
import { RESULT, RETURN, UNDEFINED, makeLocals, reader } from './step.ts';
import type { Locals, Run, Step, Value } from './step.ts';

/** Evaluates one entry point; results are in `run.results`. */
export type CompiledPlan = (input: Value, data: RegoValue, run: Run) => void;

/** @throws {PosternError} `opa_builtin_refused`, `opa_plan_invalid` */
export function compilePlan(document: PlanDocument): ReadonlyMap<string, CompiledPlan> {
  const compiler = new Compiler(document);
  return new Map(document.plans.map((plan) => [plan.name, compiler.entry(plan)]));
}

interface CompiledFunction {
  readonly source: PlanFunction;
  body: Step | null;
}

class Compiler {
  readonly #functions: ReadonlyMap<string, CompiledFunction>;
  readonly #byPath: ReadonlyMap<string, CompiledFunction>;

  constructor(document: PlanDocument) {
    for (const name of document.builtins) requireBuiltin(name);
    const functions = document.functions.map((source): CompiledFunction => ({ source, body: null }));
    this.#functions = new Map(functions.map((compiled) => [compiled.source.name, compiled]));
    this.#byPath = new Map(functions.map((compiled) => [JSON.stringify(compiled.source.path), compiled]));
    for (const compiled of functions) compiled.body = this.#inOrder(compiled.source.blocks);
  }

  entry({ blocks, locals: count }: EntryPlan): CompiledPlan {
    const body = this.#inOrder(blocks);
    return (input, data, run) => {
      const locals = makeLocals(count);
      locals[0] = input;
      locals[1] = data;
      body(locals, run);
    };
  }

  /** Blocks one after the other; each ends by itself when a statement of it is undefined. */
  #inOrder(blocks: readonly Block[]): Step {
    const steps = blocks.map((block) => this.#block(block));
    return (locals, run) => {
      for (const step of steps) {
        const signal = step(locals, run);
        if (signal !== 0) return signal;
      }
      return 0;
    };
  }

  /** A block takes one level from a signal that leaves it. */
  #block(block: Block): Step {
    const body = this.#sequence(block);
    return (locals, run) => {
      const signal = body(locals, run);
      return signal > 0 ? signal - 1 : signal;
    };
  }

  #sequence({ statements }: Block): Step {
    const steps = statements.map((statement) => this.#statement(statement));
    return (locals, run) => {
      for (const step of steps) {
        run.builtins.meter.spend(STATEMENT_COST);
        const signal = step(locals, run);
        if (signal !== 0) return signal;
      }
      return 0;
    };
  }

  #statement(statement: Statement): Step {
    switch (statement.type) {
      case 'CallStmt':
        return this.#call(statement);
      case 'CallDynamicStmt':
        return this.#callDynamic(statement);
      case 'BlockStmt':
        return this.#inOrder(statement.blocks);
      case 'NotStmt': {
        const body = this.#sequence(statement.block);
        return (locals, run) => {
          const signal = body(locals, run);
          if (signal === 0) return UNDEFINED;
          return signal === UNDEFINED ? 0 : signal > 0 ? signal - 1 : signal;
        };
      }
      case 'ScanStmt':
        return scanStep(statement, this.#sequence(statement.block));
      case 'WithStmt':
        return withStep(statement, this.#sequence(statement.block));
      default:
        return plainStep(statement);
    }
  }

  #call({ args, func, result }: Extract<Statement, { type: 'CallStmt' }>): Step {
    const reads = args.map(reader);
    const called = this.#functions.get(func);
    if (called === undefined) return builtinStep(requireBuiltin(func), reads, result);
    return (locals, run) => {
      const given = reads.map((read) => read(locals));
      const value = callFunction(called, given, run);
      locals[result] = value;
      return value === undefined ? UNDEFINED : 0;
    };
  }

  /** A rule by its path. What is found and has no value ends the two blocks around it, in which `data` would be asked instead. */
  #callDynamic({ args, path, result }: Extract<Statement, { type: 'CallDynamicStmt' }>): Step {
    const reads = path.map(reader);
    return (locals, run) => {
      const called = this.#byPath.get(JSON.stringify(reads.map((read) => read(locals) ?? null)));
      if (called === undefined) return UNDEFINED;
      const value = callFunction(
        called,
        args.map((arg) => locals[arg]),
        run,
      );
      locals[result] = value;
      return value === undefined ? UNDEFINED + 2 : 0;
    };
  }
}

function callFunction({ body, source }: CompiledFunction, args: readonly Value[], run: Run): Value {
  const isRule = source.params.length === 2;
  if (isRule && run.memo.has(source)) return run.memo.get(source);
  if (body === null || run.depth >= MAX_CALLS) throw new OpaAbort('opa_abort', 'functions call one another too deeply');
  const { meter } = run.builtins;
  meter.spend(4 + (source.locals >> 2));
  const locals = makeLocals(source.locals);
  for (const [index, param] of source.params.entries()) locals[param] = args[index];
  run.depth++;
  const signal = body(locals, run);
  run.depth--;
  const value = signal === RETURN ? locals[RESULT] : undefined;
  if (isRule) run.memo.set(source, value);
  return value;
}

function builtinStep(builtin: Builtin, reads: readonly ((locals: Locals) => Value)[], result: number): Step {
  return (locals, run) => {
    const args: RegoValue[] = [];
    for (const read of reads) {
      const value = read(locals);
      if (value === undefined) return UNDEFINED;
      args.push(value);
    }
    const value = callBuiltin(builtin, args, run.builtins);
    locals[result] = value;
    return value === undefined ? UNDEFINED : 0;
  };
}

function scanStep({ key, source, value }: Extract<Statement, { type: 'ScanStmt' }>, body: Step): Step {
  const visit = (locals: Locals, run: Run, at: RegoValue, element: RegoValue): number => {
    run.builtins.meter.spend(2);
    locals[key] = at;
    locals[value] = element;
    return body(locals, run);
  };
  return (locals, run) => {
    const scanned = locals[source];
    let signal = 0;
    if (isArray(scanned)) {
      for (const [index, element] of scanned.entries()) {
        signal = visit(locals, run, index, element);
        if (signal < 0 || signal > 1) break;
      }
    } else if (scanned instanceof RegoObject) {
      for (const [at, element] of scanned.entries()) {
        signal = visit(locals, run, at, element);
        if (signal < 0 || signal > 1) break;
      }
    } else if (scanned instanceof RegoSet) {
      for (const element of scanned.elements()) {
        signal = visit(locals, run, element, element);
        if (signal < 0 || signal > 1) break;
      }
    }
    return signal > 1 ? signal - 1 : signal < 0 ? signal : 0;
  };
}

function withStep({ local, path, value }: Extract<Statement, { type: 'WithStmt' }>, body: Step): Step {
  const read = reader(value);
  return (locals, run) => {
    const given = read(locals);
    const before = locals[local];
    const memo = run.memo;
    run.memo = new Map();
    locals[local] = path.length === 0 ? given : given === undefined ? before : upsert(before, path, given, run);
    const signal = body(locals, run);
    locals[local] = before;
    run.memo = memo;
    return signal > 1 ? signal - 1 : signal;
  };
}

/** The document with the value at the path; what is no object on the way is replaced by one. */
function upsert(document: Value, path: readonly string[], value: RegoValue, run: Run): RegoValue {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  const copy = document instanceof RegoObject ? document.copy() : new RegoObject();
  run.builtins.meter.hold(64 + copy.size * 32);
  copy.insert(step, upsert(copy.find(step), rest, value, run));
  return copy;
}

function requireBuiltin(name: string): Builtin {
  const builtin = findBuiltin(name);
  if (builtin !== null) return builtin;
  throw new PosternError('opa_builtin_refused', `Cannot load the policy: it calls "${name}", and ${refusalOf(name)}`);
}

/** In steps. */
const STATEMENT_COST = 4;
/** Rego knows no recursion; a plan that was made by hand may. */
const MAX_CALLS = 400;
