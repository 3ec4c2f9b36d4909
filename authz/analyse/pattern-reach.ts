/** What patterns are told apart by without an automaton: what every value that fits begins with, and segments. */
import { asBytePattern } from '../plan/patterns.ts';
import type { Pattern } from '../plan/patterns.ts';
import type { BytePattern } from '../plan/regex/byte-pattern.ts';
import { isWildcardByte } from '../plan/templates.ts';

/** Empty where nothing is known. */
export function prefixOf(pattern: Pattern): string {
  switch (pattern.form) {
    case 'exact':
    case 'prefix':
      return pattern.text;
    case 'suffix':
    case 'present':
    case 'filled':
      return '';
    case 'template':
    case 'bytes': {
      const known = PREFIXES.get(pattern);
      if (known !== undefined) return known;
      const bytes: number[] = [];
      takeLiteral(asBytePattern(pattern), bytes);
      const made = String.fromCharCode(...bytes);
      PREFIXES.set(pattern, made);
      return made;
    }
  }
}

/** Whether a value can begin with one of each. */
export function couldMeet(left: readonly string[], right: readonly string[]): boolean {
  return left.some((one) => right.some((other) => one.startsWith(other) || other.startsWith(one)));
}

/** `{**}` takes one or more segments, which may be empty; `{*}` one that is not. */
export function fitsTemplate(wanted: readonly string[], path: string): boolean {
  return path.startsWith('/') && fitsSegments(wanted, 0, path.slice(1).split('/'), 0);
}

function fitsSegments(wanted: readonly string[], at: number, segments: readonly string[], from: number): boolean {
  const [first, segment] = [wanted[at], segments[from]];
  if (first === undefined || segment === undefined) return first === segment;
  if (first === '{**}') {
    if (!isWildcard(segment)) return false;
    return fitsSegments(wanted, at + 1, segments, from + 1) || fitsSegments(wanted, at, segments, from + 1);
  }
  const isFit = first === '{*}' ? segment !== '' && isWildcard(segment) : first === segment;
  return isFit && fitsSegments(wanted, at + 1, segments, from + 1);
}

function isWildcard(segment: string): boolean {
  for (let at = 0; at < segment.length; at++) if (!isWildcardByte(segment.charCodeAt(at))) return false;
  return true;
}

/** @returns whether the pattern is nothing but these bytes */
function takeLiteral(pattern: BytePattern, bytes: number[]): boolean {
  if (bytes.length >= MAX_PREFIX) return false;
  if (pattern.kind === 'sequence') return pattern.of.every((part) => takeLiteral(part, bytes));
  const [range, ...others] = pattern.kind === 'bytes' ? pattern.ranges : [];
  if (range === undefined || others.length > 0 || range.low !== range.high) return false;
  bytes.push(range.low);
  return true;
}

const PREFIXES = new WeakMap<Pattern, string>();
const MAX_PREFIX = 1_024;
