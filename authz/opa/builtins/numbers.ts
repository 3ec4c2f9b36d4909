/** Builtins of numbers, bits, comparison and aggregation. */
import { add, divide, multiply, negate, normal, parseNumber, remainder, roundNumber, subtract, toBigInt } from '../numbers.ts';
import { RegoObject, RegoSet, areEqual, compareValues, isNumber } from '../value.ts';
import type { RegoNumber, RegoValue } from '../value.ts';
import { elementsOf, ofNumber, ofTwoNumbers } from './builtin.ts';
import type { Builtin, BuiltinContext, BuiltinTable } from './builtin.ts';

export const NUMBER_BUILTINS: BuiltinTable = {
  plus: ofTwoNumbers(add),
  mul: ofTwoNumbers(multiply),
  div: ofTwoNumbers(divide),
  rem: ofTwoNumbers(remainder),
  minus: ([left, right]) => {
    if (isNumber(left) && isNumber(right)) return subtract(left, right) ?? undefined;
    if (!(left instanceof RegoSet) || !(right instanceof RegoSet)) return undefined;
    return RegoSet.of(left.elements().filter((element) => !right.has(element)));
  },
  abs: ofNumber((value) => (value < 0 ? negate(value) : value)),
  ceil: ofNumber((value) => (typeof value === 'bigint' ? value : Math.ceil(value) + 0)),
  floor: ofNumber((value) => (typeof value === 'bigint' ? value : Math.floor(value) + 0)),
  round: ofNumber(roundNumber),

  eq: ([left, right]) => compared(left, right, (order) => order === 0),
  equal: ([left, right]) => compared(left, right, (order) => order === 0),
  neq: ([left, right]) => compared(left, right, (order) => order !== 0),
  lt: ([left, right]) => compared(left, right, (order) => order < 0),
  lte: ([left, right]) => compared(left, right, (order) => order <= 0),
  gt: ([left, right]) => compared(left, right, (order) => order > 0),
  gte: ([left, right]) => compared(left, right, (order) => order >= 0),

  count: ([value]) => {
    if (typeof value === 'string') return [...value].length;
    if (value instanceof RegoObject) return value.size;
    return elementsOf(value)?.length;
  },
  sum: ([value]) => folded(value, 0, add),
  product: ([value]) => folded(value, 1, multiply),
  max: ([value]) => chosen(value, (order) => order > 0),
  min: ([value]) => chosen(value, (order) => order < 0),
  sort: ([value]) => elementsOf(value)?.toSorted(compareValues),
  all: ([value]) => elementsOf(value)?.every((element) => element === true),
  any: ([value]) => elementsOf(value)?.some((element) => element === true),

  'bits.and': bits((left, right) => left & right),
  'bits.or': bits((left, right) => left | right),
  'bits.xor': bits((left, right) => left ^ right),
  'bits.lsh': bits((left, right) => (right < 0n || right > MAX_SHIFT ? null : left << right)),
  'bits.rsh': bits((left, right) => (right < 0n || right > MAX_SHIFT ? null : left >> right)),
  'bits.negate': ([value]) => {
    const number = isNumber(value) ? toBigInt(value) : null;
    return number === null ? undefined : normal(~number);
  },

  'numbers.range': ([from, to], context) => range(from, to, 1, context),
  'numbers.range_step': ([from, to, step], context) => range(from, to, step, context),
  to_number: ([value]) => {
    if (value === null || value === false) return 0;
    if (value === true) return 1;
    if (typeof value === 'string') return parseNumber(value) ?? undefined;
    return isNumber(value) ? value : undefined;
  },
  format_int: ([value, base]) => {
    if (!isNumber(value) || !isNumber(base) || ![2, 8, 10, 16].includes(Number(base))) return undefined;
    const whole = typeof value === 'bigint' ? value : BigInt(Math.trunc(value));
    return whole.toString(Number(base));
  },
};

function compared(
  left: RegoValue | undefined,
  right: RegoValue | undefined,
  holds: (order: number) => boolean,
): boolean | undefined {
  if (left === undefined || right === undefined) return undefined;
  return holds(areEqual(left, right) ? 0 : compareValues(left, right));
}

function folded(
  value: RegoValue | undefined,
  start: RegoNumber,
  step: (left: RegoNumber, right: RegoNumber) => RegoNumber | null,
): RegoNumber | undefined {
  let total: RegoNumber | null = start;
  for (const element of elementsOf(value) ?? [null]) {
    if (!isNumber(element)) return undefined;
    total = step(total, element);
    if (total === null) return undefined;
  }
  return total;
}

function chosen(value: RegoValue | undefined, isBetter: (order: number) => boolean): RegoValue | undefined {
  const elements = elementsOf(value);
  if (elements === null) return undefined;
  let best = elements[0];
  for (const element of elements) if (best !== undefined && isBetter(compareValues(element, best))) best = element;
  return best;
}

function bits(run: (left: bigint, right: bigint) => bigint | null): Builtin {
  return ([left, right]) => {
    const a = isNumber(left) ? toBigInt(left) : null;
    const b = isNumber(right) ? toBigInt(right) : null;
    const result = a === null || b === null ? null : run(a, b);
    return result === null ? undefined : normal(result);
  };
}

/** From one integer to another, both included, downwards too. */
function range(
  from: RegoValue | undefined,
  to: RegoValue | undefined,
  step: RegoValue | undefined,
  { meter }: BuiltinContext,
): RegoValue | undefined {
  const [first, last] = [integer(from), integer(to)];
  const stride = integer(step);
  if (first === null || last === null || stride === null || stride <= 0n) return undefined;
  const length = (first < last ? last - first : first - last) / stride + 1n;
  meter.hold(Number(length) * 16);
  const made: RegoNumber[] = [];
  for (let at = 0n; at < length; at++) made.push(normal(first < last ? first + at * stride : first - at * stride));
  return made;
}

function integer(value: RegoValue | undefined): bigint | null {
  return isNumber(value) ? toBigInt(value) : null;
}

const MAX_SHIFT = 4_096n;
