/**
 * What a builtin function of Rego is here: pure but for the clock that it is given, and bounded: whatever grows with its arguments
 * is paid for at the meter before it is made. A wrong argument or a failure makes the result undefined, never an exception; that
 * is what `opa eval` does without --strict-builtin-errors.
 */
import type { Meter } from '../meter.ts';
import { RegoSet, isArray, isNumber } from '../value.ts';
import type { RegoArray, RegoNumber, RegoValue } from '../value.ts';

export interface BuiltinContext {
  readonly meter: Meter;
  /** The one time of this evaluation, nanoseconds since 1970. */
  readonly nowNs: bigint;
}

/** Undefined is "no result". */
export type Builtin = (args: readonly RegoValue[], context: BuiltinContext) => RegoValue | undefined;

export type BuiltinTable = Readonly<Record<string, Builtin>>;

/** A builtin of strings. */
export function ofTexts(run: (texts: readonly string[], context: BuiltinContext) => RegoValue | undefined): Builtin {
  return (args, context) => {
    for (const arg of args) if (typeof arg !== 'string') return undefined;
    // Each was just seen to be a string.
    return run(args as readonly string[], context);
  };
}

/** A builtin of one string. */
export function ofText(run: (text: string, context: BuiltinContext) => RegoValue | undefined): Builtin {
  return ([text], context) => (typeof text === 'string' ? run(text, context) : undefined);
}

/** A builtin of two strings. */
export function ofTwoTexts(run: (first: string, second: string, context: BuiltinContext) => RegoValue | undefined): Builtin {
  return ([first, second], context) =>
    typeof first === 'string' && typeof second === 'string' ? run(first, second, context) : undefined;
}

export function ofNumber(run: (value: RegoNumber) => RegoValue | null): Builtin {
  return ([value]) => (isNumber(value) ? (run(value) ?? undefined) : undefined);
}

export function ofTwoNumbers(run: (left: RegoNumber, right: RegoNumber) => RegoNumber | null): Builtin {
  return ([left, right]) => (isNumber(left) && isNumber(right) ? (run(left, right) ?? undefined) : undefined);
}

/** Elements of a list or a set, in order; null for anything else. */
export function elementsOf(value: RegoValue | undefined): RegoArray | null {
  if (isArray(value)) return value;
  return value instanceof RegoSet ? value.elements() : null;
}

/** Elements of a list or set that holds nothing but strings; null for anything else. */
export function textsOf(value: RegoValue | undefined): readonly string[] | null {
  const elements = elementsOf(value);
  if (elements === null || !elements.every((element) => typeof element === 'string')) return null;
  return elements;
}

/** Like `textsOf`; one string counts as a list of one. */
export function oneOrMoreTexts(value: RegoValue | undefined): readonly string[] | null {
  return typeof value === 'string' ? [value] : textsOf(value);
}

/** An integer that a loop may count to. */
export function smallInteger(value: RegoValue | undefined): number | null {
  return typeof value === 'number' && Number.isInteger(value) ? value : null;
}
