/**
 * The intermediate representation of Rego that `opa build -t plan` writes (plan.json): its statements as types, and the strict
 * reader. What has another form, or names what is not there, is refused when it is loaded, so that nothing of that is asked later.
 */
import { PosternError } from '#base/error.ts';

export type Operand =
  | { readonly kind: 'local'; readonly local: number }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'bool'; readonly bool: boolean };

export interface Block {
  readonly statements: readonly Statement[];
}

export type Statement =
  | { readonly type: 'ArrayAppendStmt'; readonly array: number; readonly value: Operand }
  | { readonly type: 'AssignIntStmt'; readonly value: number; readonly target: number }
  | { readonly type: 'AssignVarOnceStmt' | 'AssignVarStmt'; readonly source: Operand; readonly target: number }
  | { readonly type: 'BlockStmt'; readonly blocks: readonly Block[] }
  | { readonly type: 'BreakStmt'; readonly index: number }
  | {
      readonly type: 'CallDynamicStmt';
      readonly path: readonly Operand[];
      readonly args: readonly number[];
      readonly result: number;
    }
  | { readonly type: 'CallStmt'; readonly func: string; readonly args: readonly Operand[]; readonly result: number }
  | { readonly type: 'DotStmt'; readonly source: Operand; readonly key: Operand; readonly target: number }
  | { readonly type: 'EqualStmt' | 'NotEqualStmt'; readonly a: Operand; readonly b: Operand }
  | { readonly type: 'IsArrayStmt' | 'IsObjectStmt' | 'IsSetStmt'; readonly source: Operand }
  | { readonly type: 'IsDefinedStmt' | 'IsUndefinedStmt'; readonly source: number }
  | { readonly type: 'LenStmt'; readonly source: Operand; readonly target: number }
  | {
      readonly type: 'MakeArrayStmt' | 'MakeNullStmt' | 'MakeObjectStmt' | 'MakeSetStmt' | 'ResetLocalStmt';
      readonly target: number;
    }
  | { readonly type: 'MakeNumberIntStmt'; readonly value: number; readonly target: number }
  | { readonly type: 'MakeNumberRefStmt'; readonly text: string; readonly target: number }
  | { readonly type: 'NopStmt' }
  | { readonly type: 'NotStmt'; readonly block: Block }
  | {
      readonly type: 'ObjectInsertStmt' | 'ObjectInsertOnceStmt';
      readonly object: number;
      readonly key: Operand;
      readonly value: Operand;
    }
  | { readonly type: 'ObjectMergeStmt'; readonly a: number; readonly b: number; readonly target: number }
  | { readonly type: 'ResultSetAddStmt'; readonly value: number }
  | { readonly type: 'ReturnLocalStmt'; readonly source: number }
  | { readonly type: 'ScanStmt'; readonly source: number; readonly key: number; readonly value: number; readonly block: Block }
  | { readonly type: 'SetAddStmt'; readonly set: number; readonly value: Operand }
  | {
      readonly type: 'WithStmt';
      readonly local: number;
      readonly path: readonly string[];
      readonly value: Operand;
      readonly block: Block;
    };

export interface PlanFunction {
  readonly name: string;
  readonly path: readonly string[];
  readonly params: readonly number[];
  readonly blocks: readonly Block[];
  /** How many locals it uses. */
  readonly locals: number;
}

export interface EntryPlan {
  readonly name: string;
  readonly blocks: readonly Block[];
  readonly locals: number;
}

export interface PlanDocument {
  readonly plans: readonly EntryPlan[];
  readonly functions: readonly PlanFunction[];
  /** Names of the builtins that it says it needs. */
  readonly builtins: readonly string[];
}

/** @throws {PosternError} `opa_plan_invalid` */
export function readPlan(bytes: Uint8Array): PlanDocument {
  let document: unknown;
  try {
    document = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    throw refused('plan.json', error instanceof Error ? error.message : 'no JSON');
  }
  return new Reader(document).document();
}

type Fields = Readonly<Record<string, unknown>>;

class Reader {
  readonly #root: Fields;
  readonly #strings: readonly string[];
  #highest = 1;
  #depth = 0;
  #statements = 0;

  constructor(document: unknown) {
    this.#root = fieldsOf(document, 'plan.json');
    const { strings } = fieldsOf(this.#root['static'] ?? {}, 'static');
    this.#strings = listOf(strings ?? [], 'static.strings').map((entry) =>
      textOf(fieldsOf(entry, 'string')['value'] ?? '', 'string'),
    );
  }

  document(): PlanDocument {
    const { builtin_funcs: builtins } = fieldsOf(this.#root['static'] ?? {}, 'static');
    const { plans } = fieldsOf(this.#root['plans'] ?? {}, 'plans');
    const { funcs } = fieldsOf(this.#root['funcs'] ?? {}, 'funcs');
    return {
      builtins: listOf(builtins ?? [], 'static.builtin_funcs').map((entry) => textOf(fieldsOf(entry, 'builtin')['name'], 'name')),
      functions: listOf(funcs ?? [], 'funcs.funcs').map((entry) => this.#function(fieldsOf(entry, 'func'))),
      plans: listOf(plans ?? [], 'plans.plans').map((entry) => this.#plan(fieldsOf(entry, 'plan'))),
    };
  }

  #plan({ blocks, name }: Fields): EntryPlan {
    this.#highest = 1;
    const read = this.#blocks(blocks);
    return { name: textOf(name, 'plan.name'), blocks: read, locals: this.#highest + 1 };
  }

  #function({ blocks, name, params, path, return: result }: Fields): PlanFunction {
    this.#highest = 1;
    const read = this.#blocks(blocks);
    const places = listOf(params, 'func.params').map((param) => this.#local(param));
    this.#local(result);
    return {
      name: textOf(name, 'func.name'),
      path: listOf(path ?? [], 'func.path').map((step) => textOf(step, 'func.path')),
      params: places,
      blocks: read,
      locals: this.#highest + 1,
    };
  }

  #blocks(value: unknown): readonly Block[] {
    return listOf(value ?? [], 'blocks').map((block) => this.#block(block));
  }

  #block(value: unknown): Block {
    if (++this.#depth > MAX_DEPTH) throw refused('plan.json', `blocks nest deeper than ${MAX_DEPTH}`);
    const { stmts } = fieldsOf(value, 'block');
    const statements = listOf(stmts ?? [], 'block.stmts').map((entry) => {
      if (++this.#statements > MAX_STATEMENTS) throw refused('plan.json', `more than ${MAX_STATEMENTS} statements`);
      const { stmt, type } = fieldsOf(entry, 'statement');
      return this.#statement(textOf(type, 'statement.type'), fieldsOf(stmt, 'statement'));
    });
    this.#depth--;
    return { statements };
  }

  #statement(type: string, stmt: Fields): Statement {
    const local = (name: string): number => this.#local(stmt[name]);
    const operand = (name: string): Operand => this.#operand(stmt[name]);
    switch (type) {
      case 'ArrayAppendStmt':
        return { type, array: local('array'), value: operand('value') };
      case 'AssignIntStmt':
      case 'MakeNumberIntStmt':
        return { type, value: integerOf(stmt['value'], 'value', Number.MAX_SAFE_INTEGER), target: local('target') };
      case 'AssignVarStmt':
      case 'AssignVarOnceStmt':
      case 'LenStmt':
        return { type, source: operand('source'), target: local('target') };
      case 'BlockStmt':
        return { type, blocks: this.#blocks(stmt['blocks']) };
      case 'BreakStmt':
        return { type, index: integerOf(stmt['index'], 'index', MAX_DEPTH) };
      case 'CallStmt':
        return {
          type,
          func: textOf(stmt['func'], 'func'),
          args: listOf(stmt['args'] ?? [], 'args').map((arg) => this.#operand(arg)),
          result: local('result'),
        };
      case 'CallDynamicStmt':
        return {
          type,
          path: listOf(stmt['path'], 'path').map((step) => this.#operand(step)),
          args: listOf(stmt['args'] ?? [], 'args').map((arg) => this.#local(arg)),
          result: local('result'),
        };
      case 'DotStmt':
        return { type, source: operand('source'), key: operand('key'), target: local('target') };
      case 'EqualStmt':
      case 'NotEqualStmt':
        return { type, a: operand('a'), b: operand('b') };
      case 'IsArrayStmt':
      case 'IsObjectStmt':
      case 'IsSetStmt':
        return { type, source: operand('source') };
      case 'IsDefinedStmt':
      case 'IsUndefinedStmt':
      case 'ReturnLocalStmt':
        return { type, source: local('source') };
      case 'MakeArrayStmt':
      case 'MakeNullStmt':
      case 'MakeObjectStmt':
      case 'MakeSetStmt':
      case 'ResetLocalStmt':
        return { type, target: local('target') };
      case 'MakeNumberRefStmt':
        return { type, text: this.#string(stmt['Index'] ?? stmt['index']), target: local('target') };
      case 'NopStmt':
        return { type };
      case 'NotStmt':
        return { type, block: this.#block(stmt['block']) };
      case 'ObjectInsertStmt':
      case 'ObjectInsertOnceStmt':
        return { type, object: local('object'), key: operand('key'), value: operand('value') };
      case 'ObjectMergeStmt':
        return { type, a: local('a'), b: local('b'), target: local('target') };
      case 'ResultSetAddStmt':
        return { type, value: local('value') };
      case 'ScanStmt':
        return { type, source: local('source'), key: local('key'), value: local('value'), block: this.#block(stmt['block']) };
      case 'SetAddStmt':
        return { type, set: local('set'), value: operand('value') };
      case 'WithStmt':
        return {
          type,
          local: local('local'),
          path: listOf(stmt['path'] ?? [], 'path').map((step) => this.#string(step)),
          value: operand('value'),
          block: this.#block(stmt['block']),
        };
      default:
        throw refused(type, 'no statement of a plan that is known');
    }
  }

  #operand(value: unknown): Operand {
    const { type, value: inner } = fieldsOf(value, 'operand');
    if (type === 'local') return { kind: 'local', local: this.#local(inner) };
    if (type === 'string_index') return { kind: 'text', text: this.#string(inner) };
    if (type === 'bool' && typeof inner === 'boolean') return { kind: 'bool', bool: inner };
    throw refused('operand', `found ${JSON.stringify(type)}`);
  }

  #local(value: unknown): number {
    const local = integerOf(value, 'local', MAX_LOCALS);
    if (local > this.#highest) this.#highest = local;
    return local;
  }

  #string(value: unknown): string {
    const text = this.#strings[integerOf(value, 'string index', MAX_STATEMENTS)];
    if (text === undefined) throw refused('string index', `found ${String(value)}, wanted less than ${this.#strings.length}`);
    return text;
  }
}

function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refused(what, 'wanted an object');
  // An object that is no array is a record of unknowns.
  return value as Fields;
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw refused(what, 'wanted a list');
  return value;
}

function textOf(value: unknown, what: string): string {
  if (typeof value !== 'string') throw refused(what, 'wanted a string');
  return value;
}

function integerOf(value: unknown, what: string, max: number): number {
  const isWhole = typeof value === 'number' && Number.isSafeInteger(value);
  if (!isWhole || value > max || (value < 0 && what !== 'value')) throw refused(what, `wanted an integer up to ${max}`);
  return value;
}

function refused(what: string, found: string): PosternError {
  return new PosternError('opa_plan_invalid', `Cannot read the plan's "${what}": ${found}`, 'build it with "opa build -t plan"');
}

/** Every block is a frame of the evaluator's stack. */
const MAX_DEPTH = 500;
const MAX_STATEMENTS = 2_000_000;
const MAX_LOCALS = 1_000_000;
