/**
 * A statement of a plan as a closure: what it takes, what it answers with, and what all of them need.
 *
 * A statement answers with a signal: 0 goes on, n > 0 leaves n blocks (1 is what "undefined" means), RETURN ends the function.
 */
import type { BuiltinContext } from '../builtins/builtin.ts';
import { RegoObject, RegoSet, isArray } from '../value.ts';
import type { RegoValue } from '../value.ts';
import type { Operand, PlanFunction } from './plan.ts';

export type Value = RegoValue | undefined;
export type Locals = Value[];

/** One evaluation under way. */
export interface Run {
  readonly builtins: BuiltinContext;
  readonly results: RegoSet;
  /** Results of rules so far; `with` starts a new one. */
  memo: Map<PlanFunction, Value>;
  depth: number;
}

export type Step = (locals: Locals, run: Run) => number;

export const RETURN = -1;
/** Leaves one block. */
export const UNDEFINED = 1;
/** Once a function has returned, its result is where its input was: it needs that no more. */
export const RESULT = 0;

export function makeLocals(count: number): Locals {
  const locals: Locals = [];
  for (let index = 0; index < count; index++) locals.push(undefined);
  return locals;
}

export function reader(operand: Operand): (locals: Locals) => Value {
  if (operand.kind === 'local') {
    const { local } = operand;
    return (locals) => locals[local];
  }
  const constant = operand.kind === 'text' ? operand.text : operand.bool;
  return () => constant;
}

/** What a pass over a value's top takes. */
export function lengthOf(value: Value): number {
  if (typeof value === 'string' || isArray(value)) return value.length;
  return value instanceof RegoObject || value instanceof RegoSet ? value.size : 0;
}
