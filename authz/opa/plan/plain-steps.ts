/** The statements of a plan that neither call nor hold blocks, as closures. */
import { PosternError } from '#base/error.ts';

import { mergeObjects } from '../builtins/collections.ts';
import { OpaAbort } from '../meter.ts';
import { parseNumber } from '../numbers.ts';
import { RegoObject, RegoSet, areEqual, isArray, lookUp } from '../value.ts';
import type { RegoValue } from '../value.ts';
import type { Statement } from './plan.ts';
import { RESULT, RETURN, UNDEFINED, lengthOf, reader } from './step.ts';
import type { Locals, Step, Value } from './step.ts';

export function plainStep(
  statement: Exclude<Statement, { type: 'CallStmt' | 'CallDynamicStmt' | 'BlockStmt' | 'NotStmt' | 'ScanStmt' | 'WithStmt' }>,
): Step {
  switch (statement.type) {
    case 'AssignVarStmt': {
      const { target } = statement;
      const read = reader(statement.source);
      return (locals) => {
        locals[target] = read(locals);
        return 0;
      };
    }
    case 'AssignVarOnceStmt': {
      const { target } = statement;
      const read = reader(statement.source);
      return (locals) => {
        const [before, value] = [locals[target], read(locals)];
        if (before !== undefined && (value === undefined || !areEqual(before, value))) throw conflict('a rule has two values');
        locals[target] = value;
        return 0;
      };
    }
    case 'AssignIntStmt':
    case 'MakeNumberIntStmt':
      return making(statement.target, () => statement.value);
    case 'MakeNumberRefStmt': {
      const value = parseNumber(statement.text);
      if (value === null) throw new PosternError('opa_plan_invalid', `Cannot read the plan's number "${statement.text}"`);
      return making(statement.target, () => value);
    }
    case 'MakeNullStmt':
      return making(statement.target, () => null);
    case 'MakeArrayStmt':
      return making(statement.target, () => []);
    case 'MakeObjectStmt':
      return making(statement.target, () => new RegoObject());
    case 'MakeSetStmt':
      return making(statement.target, () => new RegoSet());
    case 'ResetLocalStmt':
      return making(statement.target, () => undefined);
    case 'BreakStmt':
      return always(statement.index + 1);
    case 'ReturnLocalStmt': {
      const { source } = statement;
      return (locals) => {
        locals[RESULT] = locals[source];
        return RETURN;
      };
    }
    case 'ResultSetAddStmt': {
      const { value } = statement;
      return (locals, run) => {
        const result = locals[value];
        if (result !== undefined) run.results.add(result);
        return 0;
      };
    }
    case 'NopStmt':
      return always(0);
    case 'DotStmt': {
      const { target } = statement;
      const [source, key] = [reader(statement.source), reader(statement.key)];
      return (locals) => {
        const [from, at] = [source(locals), key(locals)];
        const value = from === undefined || at === undefined ? undefined : lookUp(from, at);
        locals[target] = value;
        return value === undefined ? UNDEFINED : 0;
      };
    }
    case 'LenStmt': {
      const { target } = statement;
      const read = reader(statement.source);
      return (locals) => {
        locals[target] = lengthOf(read(locals));
        return 0;
      };
    }
    case 'EqualStmt':
    case 'NotEqualStmt': {
      const [a, b] = [reader(statement.a), reader(statement.b)];
      const wanted = statement.type === 'EqualStmt';
      return (locals, run) => {
        const [left, right] = [a(locals), b(locals)];
        run.builtins.meter.spend(lengthOf(left));
        const isSame = left === undefined || right === undefined ? left === right : areEqual(left, right);
        return isSame === wanted ? 0 : UNDEFINED;
      };
    }
    case 'IsArrayStmt':
      return checking(reader(statement.source), isArray);
    case 'IsObjectStmt':
      return checking(reader(statement.source), (value) => value instanceof RegoObject);
    case 'IsSetStmt':
      return checking(reader(statement.source), (value) => value instanceof RegoSet);
    case 'IsDefinedStmt':
      return checking(
        (locals) => locals[statement.source],
        (value) => value !== undefined,
      );
    case 'IsUndefinedStmt':
      return checking(
        (locals) => locals[statement.source],
        (value) => value === undefined,
      );
    case 'ArrayAppendStmt':
      return adding(statement.array, reader(statement.value), (target, value) => {
        // Made by this plan's MakeArrayStmt and not yet handed on.
        if (isArray(target)) (target as RegoValue[]).push(value);
      });
    case 'SetAddStmt':
      return adding(statement.set, reader(statement.value), (target, value) => {
        if (target instanceof RegoSet) target.add(value);
      });
    case 'ObjectInsertStmt':
    case 'ObjectInsertOnceStmt':
      return insertStep(statement);
    case 'ObjectMergeStmt': {
      const { a, b, target } = statement;
      return (locals, run) => {
        const [left, right] = [locals[a], locals[b]];
        run.builtins.meter.hold((lengthOf(left) + lengthOf(right)) * 48);
        const areObjects = left instanceof RegoObject && right instanceof RegoObject;
        locals[target] = areObjects ? mergeObjects(right, left) : (left ?? right);
        return 0;
      };
    }
  }
}

function insertStep(statement: Extract<Statement, { type: 'ObjectInsertStmt' | 'ObjectInsertOnceStmt' }>): Step {
  const { object } = statement;
  const isOnce = statement.type === 'ObjectInsertOnceStmt';
  const [readKey, readValue] = [reader(statement.key), reader(statement.value)];
  return (locals, run) => {
    const [target, key, value] = [locals[object], readKey(locals), readValue(locals)];
    if (!(target instanceof RegoObject) || key === undefined || value === undefined) return 0;
    run.builtins.meter.hold(64 + lengthOf(key) * 8);
    if (isOnce) {
      const before = target.find(key);
      if (before !== undefined && !areEqual(before, value)) throw conflict('an object has two values for a key');
    }
    target.insert(key, value);
    return 0;
  };
}

function making(target: number, make: () => Value): Step {
  return (locals, run) => {
    run.builtins.meter.hold(16);
    locals[target] = make();
    return 0;
  };
}

function adding(target: number, read: (locals: Locals) => Value, add: (target: Value, value: RegoValue) => void): Step {
  return (locals, run) => {
    const value = read(locals);
    if (value === undefined) return 0;
    run.builtins.meter.hold(48 + lengthOf(value) * 8);
    add(locals[target], value);
    return 0;
  };
}

function checking(read: (locals: Locals) => Value, holds: (value: Value) => boolean): Step {
  return (locals) => (holds(read(locals)) ? 0 : UNDEFINED);
}

function always(signal: number): Step {
  return () => signal;
}

function conflict(what: string): OpaAbort {
  return new OpaAbort('opa_conflict', what);
}
