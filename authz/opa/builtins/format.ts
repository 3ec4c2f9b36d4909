/**
 * `sprintf`: the verbs of Go's package fmt over the values that Rego hands to it. Integers are integers there, other numbers
 * doubles, strings strings, and everything else is the text of the term.
 */
import type { Meter } from '../meter.ts';
import { numberText } from '../numbers.ts';
import { isNumber } from '../value.ts';
import type { RegoArray, RegoNumber, RegoValue } from '../value.ts';
import { valueText } from '../value-text.ts';

interface Directive {
  readonly flags: string;
  readonly width: number;
  readonly precision: number | null;
  readonly verb: string;
}

/** Undefined when a width or precision is beyond bounds. */
export function formatText(format: string, values: RegoArray, meter: Meter): string | undefined {
  let out = '';
  let next = 0;
  let from = 0;
  DIRECTIVE.lastIndex = 0;
  for (let match = DIRECTIVE.exec(format); match !== null; match = DIRECTIVE.exec(format)) {
    out += format.slice(from, match.index);
    from = DIRECTIVE.lastIndex;
    const [, flags = '', widthText = '', precisionText, verb = ''] = match;
    const directive: Directive = {
      flags,
      width: Number(widthText),
      precision: precisionText === undefined ? null : Number(precisionText),
      verb,
    };
    if (directive.width > MAX_WIDTH || (directive.precision ?? 0) > MAX_WIDTH) return undefined;
    if (verb === '') out += '%!(NOVERB)';
    else if (verb === '%') out += '%';
    else {
      const value = values[next++];
      const text = value === undefined ? `%!${verb}(MISSING)` : formatted(directive, value);
      meter.hold(2 * text.length);
      out += text;
    }
  }
  out += format.slice(from);
  if (next < values.length) out += `%!(EXTRA ${values.slice(next).map(extra).join(', ')})`;
  return out;
}

function formatted(directive: Directive, value: RegoValue): string {
  if (isNumber(value)) {
    const isWhole = typeof value === 'bigint' || Number.isInteger(value);
    return isWhole ? formattedInteger(directive, BigInt(value)) : formattedFraction(directive, Number(value));
  }
  return formattedString(directive, typeof value === 'string' ? value : valueText(value));
}

function formattedInteger(directive: Directive, value: bigint): string {
  const { flags, precision, verb } = directive;
  if (verb === 'c' || verb === 'q' || verb === 'U') {
    const point = value >= 0n && value <= 0x10ffffn ? Number(value) : 0xfffd;
    if (verb === 'U') return padded(directive, `U+${point.toString(16).toUpperCase().padStart(4, '0')}`, false);
    const sign = String.fromCodePoint(point).toWellFormed();
    return padded(directive, verb === 'c' ? sign : `'${sign === "'" || sign === '\\' ? `\\${sign}` : sign}'`, false);
  }
  const base = BASES[verb];
  // A whole number that is asked for as a fraction is not one to Go.
  if (base === undefined) return `%!${verb}(${goInteger(value)}=${value})`;
  let digits = (value < 0n ? -value : value).toString(base);
  if (verb === 'X') digits = digits.toUpperCase();
  if (precision !== null) digits = precision === 0 && value === 0n ? '' : digits.padStart(precision, '0');
  if (verb === 'O') digits = `0o${digits}`;
  else if (flags.includes('#')) digits = `${PREFIXES[verb] ?? ''}${digits}`;
  return padded(directive, `${signOf(flags, value < 0n)}${digits}`, precision === null);
}

function formattedFraction(directive: Directive, value: number): string {
  const { flags, precision, verb } = directive;
  const magnitude = Math.abs(value);
  let digits: string;
  if (verb === 'f' || verb === 'F') digits = fixed(magnitude, Math.min(precision ?? 6, 100));
  else if (verb === 'e' || verb === 'E') digits = goExponent(magnitude.toExponential(Math.min(precision ?? 6, 100)));
  else if (verb === 'g' || verb === 'G' || verb === 'v') digits = general(magnitude, precision);
  else return `%!${verb}(float64=${value})`;
  if (verb === 'E' || verb === 'G') digits = digits.toUpperCase();
  return padded(directive, `${signOf(flags, value < 0)}${digits}`, true);
}

function formattedString(directive: Directive, value: string): string {
  const { precision, verb } = directive;
  const text = precision === null ? value : [...value].slice(0, precision).join('');
  if (verb === 's' || verb === 'v') return padded(directive, text, false);
  if (verb === 'q') return padded(directive, JSON.stringify(text), false);
  if (verb === 'x' || verb === 'X') {
    const hex = Buffer.from(text).toString('hex');
    return padded(directive, verb === 'X' ? hex.toUpperCase() : hex, false);
  }
  return `%!${verb}(string=${value})`;
}

/** Half to even, as Go has it; a half is exact only where a double can hold it. */
function fixed(value: number, digits: number): string {
  const scaled = value * 10 ** digits;
  const isHalf = scaled < 2 ** 51 && scaled - Math.floor(scaled) === 0.5 && scaled / 10 ** digits === value;
  return isHalf && Math.floor(scaled) % 2 === 0 ? (Math.floor(scaled) / 10 ** digits).toFixed(digits) : value.toFixed(digits);
}

/** `%g`: the shortest text that is the number, with an exponent below -4 and from 21 on. */
function general(value: number, precision: number | null): string {
  if (precision !== null) {
    const text = value.toPrecision(Math.max(1, Math.min(precision, 100)));
    if (!text.includes('e')) return text.includes('.') ? text.replace(/\.?0+$/u, '') : text;
    return goExponent(text.replace(/\.?0+e/u, 'e'));
  }
  if (value !== 0 && value < 1e-4) return goExponent(value.toExponential());
  return value >= 1e21 ? goExponent(value.toExponential()) : numberText(value);
}

/** Go writes at least two digits of an exponent. */
function goExponent(text: string): string {
  return text.replace(/e([+-])(\d)$/u, 'e$10$2');
}

function padded({ flags, width }: Directive, text: string, mayZero: boolean): string {
  const missing = width - [...text].length;
  if (missing <= 0) return text;
  if (flags.includes('-')) return text + ' '.repeat(missing);
  if (!flags.includes('0')) return ' '.repeat(missing) + text;
  const sign = mayZero && /^[+ -]/u.test(text) ? text.slice(0, 1) : '';
  return sign + '0'.repeat(missing) + text.slice(sign.length);
}

function signOf(flags: string, isNegative: boolean): string {
  if (isNegative) return '-';
  return flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
}

function goInteger(value: bigint): string {
  return value >= -(1n << 63n) && value < 1n << 63n ? 'int64' : '*big.Int';
}

function extra(value: RegoValue): string {
  if (isNumber(value)) return `${goNumberType(value)}=${numberText(value)}`;
  return `string=${typeof value === 'string' ? value : valueText(value)}`;
}

function goNumberType(value: RegoNumber): string {
  return typeof value === 'bigint' || Number.isInteger(value) ? 'int64' : 'float64';
}

const DIRECTIVE = /%([-+# 0]*)([0-9]*)(?:\.([0-9]*))?([a-zA-Z%]|$)?/gu;
const BASES: Readonly<Record<string, number>> = { d: 10, v: 10, b: 2, o: 8, O: 8, x: 16, X: 16 };
const PREFIXES: Readonly<Record<string, string>> = { b: '0b', o: '0', x: '0x', X: '0X' };
const MAX_WIDTH = 1_000;
