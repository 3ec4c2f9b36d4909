/** `semver.*` (Semantic Versioning 2.0.0) and `units.*`. */
import { fromDouble, multiply, normal, parseNumber } from '../numbers.ts';
import type { RegoNumber, RegoValue } from '../value.ts';
import { ofText, ofTwoTexts } from './builtin.ts';
import type { BuiltinTable } from './builtin.ts';

export const VERSION_BUILTINS: BuiltinTable = {
  'semver.is_valid': ([text]) => typeof text === 'string' && readVersion(text) !== null,
  'semver.compare': ofTwoTexts((left, right) => {
    const [a, b] = [readVersion(left), readVersion(right)];
    return a === null || b === null ? undefined : compareVersions(a, b);
  }),
  'units.parse': ofText((text) => readUnits(text, (unit) => (unit === 'm' ? MILLI : SCALES.get(lowered(unit))))),
  'units.parse_bytes': ofText((text) => {
    const value = readUnits(text.toLowerCase(), (unit) => BYTE_SCALES.get(unit));
    return value === undefined ? undefined : (fromDouble(Math.trunc(Number(value))) ?? undefined);
  }),
};

interface Version {
  readonly numbers: readonly bigint[];
  readonly before: readonly string[];
}

function readVersion(text: string): Version | null {
  const parts = text.length > MAX_LENGTH ? null : VERSION.exec(text);
  if (parts === null) return null;
  const [, major = '', minor = '', patch = '', before = ''] = parts;
  return { numbers: [BigInt(major), BigInt(minor), BigInt(patch)], before: before === '' ? [] : before.split('.') };
}

function compareVersions(left: Version, right: Version): number {
  for (const [index, number] of left.numbers.entries()) {
    const other = right.numbers[index] ?? 0n;
    if (number !== other) return number < other ? -1 : 1;
  }
  if (left.before.length === 0 || right.before.length === 0) {
    return Math.sign(right.before.length - left.before.length) * (left.before.length === right.before.length ? 0 : 1);
  }
  for (let index = 0; index < Math.max(left.before.length, right.before.length); index++) {
    const [a, b] = [left.before[index], right.before[index]];
    if (a === undefined || b === undefined) return a === undefined ? -1 : 1;
    const order = compareIdentifiers(a, b);
    if (order !== 0) return order;
  }
  return 0;
}

/** Numbers come before words, and count as numbers. */
function compareIdentifiers(left: string, right: string): number {
  const [isNumberA, isNumberB] = [/^[0-9]+$/u.test(left), /^[0-9]+$/u.test(right)];
  if (isNumberA && isNumberB) return BigInt(left) === BigInt(right) ? 0 : BigInt(left) < BigInt(right) ? -1 : 1;
  if (isNumberA !== isNumberB) return isNumberA ? -1 : 1;
  return left === right ? 0 : left < right ? -1 : 1;
}

function readUnits(given: string, scaleOf: (unit: string) => RegoNumber | undefined): RegoValue | undefined {
  const parts = given.length > MAX_LENGTH ? null : AMOUNT.exec(given.replaceAll('"', ''));
  if (parts === null) return undefined;
  const [, amount = '', unit = ''] = parts;
  const value = parseNumber(amount.replace(/^(-?)\+?0*(?=[0-9])/u, '$1').replace(/\.$/u, ''));
  const scale = scaleOf(unit);
  return value === null || scale === undefined ? undefined : (multiply(value, scale) ?? undefined);
}

/** `m` is milli and `M` mega; other units mean the same in both cases. */
function lowered(unit: string): string {
  return unit.toLowerCase();
}

function scales(suffix: string): [string, RegoNumber][] {
  return ['k', 'm', 'g', 't', 'p', 'e'].flatMap((letter, index): [string, RegoNumber][] => [
    [`${letter}${suffix}`, normal(1000n ** BigInt(index + 1))],
    [`${letter}i${suffix}`, normal(1024n ** BigInt(index + 1))],
  ]);
}

const VERSION =
  /^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/u;
const AMOUNT = /^([+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)\s*([A-Za-z]*)$/u;
const MAX_LENGTH = 256;
const MILLI = 0.001;
const SCALES: ReadonlyMap<string, RegoNumber> = new Map([['', 1], ...scales('')]);
const BYTE_SCALES: ReadonlyMap<string, RegoNumber> = new Map([['', 1], ['b', 1], ...scales(''), ...scales('b')]);
