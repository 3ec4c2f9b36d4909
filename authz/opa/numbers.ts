/**
 * Arithmetic as Rego has it: exact on integers of any size, decimal on fractions (0.1 + 0.2 is 0.3), results rounded to a double.
 * INVARIANT: every number made here has its one form: an integer within 2^53 is a `number`, a larger one a `bigint`, and no
 * number is infinite, not a number or minus zero.
 */
import type { RegoNumber } from './value.ts';

/** Longest literal and largest power of ten that is read; more would be a way to ask for much memory in few bytes. */
const MAX_LITERAL = 1_000;
const MAX_EXPONENT = 400;

/** Reads a number of JSON's grammar (RFC 8259, section 6); null for anything else and for what is out of bounds. */
export function parseNumber(text: string): RegoNumber | null {
  if (text.length > MAX_LITERAL) return null;
  const parts = LITERAL.exec(text);
  if (parts === null) return null;
  const [, sign = '', whole = '', fraction = '', power = '0'] = parts;
  if (fraction === '' && parts[4] === undefined) {
    return text.length <= 15 ? Number(text) + 0 : normal(BigInt(text));
  }
  const exponent = Number(power);
  if (Math.abs(exponent) > MAX_EXPONENT) return null;
  return fromDecimal({ digits: BigInt(`${sign}${whole}${fraction}`), exponent: exponent - fraction.length });
}

/** The shortest text of a number that JSON has. */
export function numberText(value: RegoNumber): string {
  return String(value);
}

/** An integer in its one form. */
export function normal(value: bigint): RegoNumber {
  return value >= -SAFE && value <= SAFE ? Number(value) : value;
}

/** A double in its one form; null for infinities and what is no number. */
export function fromDouble(value: number): RegoNumber | null {
  if (!Number.isFinite(value)) return null;
  if (!Number.isInteger(value) || Math.abs(value) <= Number.MAX_SAFE_INTEGER) return value + 0;
  return BigInt(value);
}

/** The integer, or null for a fraction. */
export function toBigInt(value: RegoNumber): bigint | null {
  if (typeof value === 'bigint') return value;
  return Number.isInteger(value) ? BigInt(value) : null;
}

export function add(left: RegoNumber, right: RegoNumber): RegoNumber | null {
  if (isSmall(left) && isSmall(right)) return left + right + 0;
  const [a, b] = [decimalOf(left), decimalOf(right)];
  const exponent = Math.min(a.exponent, b.exponent);
  return fromDecimal({ digits: scaled(a, exponent) + scaled(b, exponent), exponent });
}

export function subtract(left: RegoNumber, right: RegoNumber): RegoNumber | null {
  return add(left, negate(right));
}

export function multiply(left: RegoNumber, right: RegoNumber): RegoNumber | null {
  if (isSmall(left) && isSmall(right)) return normal(BigInt(left) * BigInt(right));
  const [a, b] = [decimalOf(left), decimalOf(right)];
  if (bitsOf(a.digits) + bitsOf(b.digits) > MAX_BITS) return null;
  return fromDecimal({ digits: a.digits * b.digits, exponent: a.exponent + b.exponent });
}

/** Null for a division by zero. */
export function divide(left: RegoNumber, right: RegoNumber): RegoNumber | null {
  if (Number(right) === 0) return null;
  const [a, b] = [toBigInt(left), toBigInt(right)];
  if (a !== null && b !== null && a % b === 0n) return normal(a / b);
  return fromDouble(Number(left) / Number(right));
}

/** Null for fractions and for a zero divisor. */
export function remainder(left: RegoNumber, right: RegoNumber): RegoNumber | null {
  const [a, b] = [toBigInt(left), toBigInt(right)];
  return a === null || b === null || b === 0n ? null : normal(a % b);
}

/** Half away from zero. */
export function roundNumber(value: RegoNumber): RegoNumber | null {
  if (typeof value === 'bigint' || Number.isInteger(value)) return value;
  return fromDouble(Math.sign(value) * Math.floor(Math.abs(value) + 0.5));
}

export function negate(value: RegoNumber): RegoNumber {
  return typeof value === 'bigint' ? normal(-value) : 0 - value;
}

interface Decimal {
  readonly digits: bigint;
  readonly exponent: number;
}

function fromDecimal({ digits, exponent }: Decimal): RegoNumber | null {
  if (digits === 0n) return 0;
  if (exponent >= 0) return bitsOf(digits) > MAX_BITS ? null : normal(digits * 10n ** BigInt(exponent));
  const power = 10n ** BigInt(-exponent);
  if (digits % power === 0n) return normal(digits / power);
  const value = Number(`${digits}e${exponent}`);
  // Too small or too large for a double: the former is as good as zero, the latter has lost its value.
  return fromDouble(value);
}

function decimalOf(value: RegoNumber): Decimal {
  if (typeof value === 'bigint') return { digits: value, exponent: 0 };
  if (Number.isInteger(value)) return { digits: BigInt(value), exponent: 0 };
  const [mantissa = '', power = '0'] = String(value).split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  return { digits: BigInt(`${whole}${fraction}`), exponent: Number(power) - fraction.length };
}

function scaled(value: Decimal, exponent: number): bigint {
  return value.digits * 10n ** BigInt(value.exponent - exponent);
}

function isSmall(value: RegoNumber): value is number {
  return typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= HALF_SAFE;
}

function bitsOf(value: bigint): number {
  return value.toString(16).length * 4;
}

const LITERAL = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,4}))?$/u;
const SAFE = BigInt(Number.MAX_SAFE_INTEGER);
const HALF_SAFE = 2 ** 52;
/** Products of products grow without end otherwise. */
const MAX_BITS = 16_384;
