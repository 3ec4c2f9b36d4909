/**
 * What rules ask of the parts of a SPIFFE ID, as patterns on the whole of it (without its scheme). Strict readings want exactly
 * TD/ns/NS/sa/SA of an own trust domain; wide ones find a namespace or an account anywhere, as Istio's patterns do.
 */
import { asBytePattern } from '../plan/patterns.ts';
import type { Pattern } from '../plan/patterns.ts';
import { literalBytes } from '../plan/regex/byte-pattern.ts';
import type { BytePattern } from '../plan/regex/byte-pattern.ts';
import { textOf } from './pattern-text.ts';

export type IdentityPart = 'trustDomain' | 'namespace' | 'account' | 'anyNamespace' | 'anyAccount';

/** @param inexact  called when a pattern could not be said exactly */
export function onIdentity(
  part: IdentityPart,
  patterns: readonly Pattern[],
  trustDomains: readonly string[],
  inexact: () => void,
): readonly Pattern[] {
  return patterns.flatMap((pattern) => {
    switch (part) {
      case 'trustDomain':
        return trustDomain(pattern, inexact);
      case 'namespace':
        return trustDomains.map((own) => namespace(own, pattern, inexact));
      case 'account':
        return trustDomains.flatMap((own) => account(own, pattern, inexact));
      case 'anyNamespace':
        return [bytes(`any namespace ${textOf(pattern)}`, [ANY, lit('/ns/'), asBytePattern(pattern), lit('/'), ANY])];
      case 'anyAccount':
        return anyAccount(pattern, inexact);
    }
  });
}

/** A pattern over texts that hold no such byte. */
export function without(pattern: BytePattern, byte: number, inexact: () => void): BytePattern {
  switch (pattern.kind) {
    case 'bytes': {
      const ranges = pattern.ranges.flatMap(({ high, low }) =>
        low <= byte && byte <= high
          ? [...(low < byte ? [{ low, high: byte - 1 }] : []), ...(byte < high ? [{ low: byte + 1, high }] : [])]
          : [{ low, high }],
      );
      return { kind: 'bytes', ranges };
    }
    case 'sequence':
    case 'choice':
      return { kind: pattern.kind, of: pattern.of.map((inner) => without(inner, byte, inexact)) };
    case 'repeat':
      return { ...pattern, of: without(pattern.of, byte, inexact) };
    case 'assertion':
      // What stands beside it is not what stood beside it when the text was the whole.
      inexact();
      return pattern;
  }
}

function trustDomain(pattern: Pattern, inexact: () => void): readonly Pattern[] {
  if (pattern.form === 'present') return [pattern];
  if (pattern.form === 'exact') return [{ form: 'prefix', text: `${pattern.text}/` }];
  return [bytes(`trust domain ${textOf(pattern)}`, [segment(pattern, inexact), lit('/'), ANY])];
}

function namespace(own: string, pattern: Pattern, inexact: () => void): Pattern {
  const of = [lit(`${own}/ns/`), segment(pattern, inexact), lit('/sa/'), FILLED_SEGMENT];
  return bytes(`namespace ${own} ${textOf(pattern)}`, of);
}

function account(own: string, pattern: Pattern, inexact: () => void): readonly Pattern[] {
  const key = `account ${own} ${textOf(pattern)}`;
  const slash =
    pattern.form === 'exact' || pattern.form === 'prefix' || pattern.form === 'suffix' ? pattern.text.indexOf('/') : -1;
  switch (pattern.form) {
    case 'exact': {
      const [ns = '', sa = ''] = pattern.text.split('/');
      return [{ form: 'exact', text: `${own}/ns/${ns}/sa/${sa}` }];
    }
    case 'prefix': {
      if (slash < 0) return [bytes(key, [lit(`${own}/ns/${pattern.text}`), SEGMENT, lit('/sa/'), FILLED_SEGMENT])];
      const [ns, sa] = [pattern.text.slice(0, slash), pattern.text.slice(slash + 1)];
      return [bytes(key, [lit(`${own}/ns/${ns}/sa/${sa}`), sa === '' ? FILLED_SEGMENT : SEGMENT])];
    }
    case 'suffix': {
      if (slash < 0) return [bytes(key, [lit(`${own}/ns/`), FILLED_SEGMENT, lit('/sa/'), SEGMENT, lit(pattern.text)])];
      const [ns, sa] = [pattern.text.slice(0, slash), pattern.text.slice(slash + 1)];
      return [bytes(key, [lit(`${own}/ns/`), SEGMENT, lit(`${ns}/sa/${sa}`)])];
    }
    default:
      if (pattern.form !== 'present' && pattern.form !== 'filled') inexact();
      return [bytes(`account ${own} any`, [lit(`${own}/ns/`), FILLED_SEGMENT, lit('/sa/'), FILLED_SEGMENT])];
  }
}

function anyAccount(pattern: Pattern, inexact: () => void): readonly Pattern[] {
  if (pattern.form !== 'exact') inexact();
  const [ns = '', sa = ''] = pattern.form === 'exact' ? pattern.text.split('/') : [];
  const between: BytePattern = { kind: 'choice', of: [lit('/sa/'), { kind: 'sequence', of: [lit('/'), SOME, lit('/sa/')] }] };
  const rest: BytePattern = { kind: 'choice', of: [lit(''), { kind: 'sequence', of: [lit('/'), SOME] }] };
  return [bytes(`any account ${textOf(pattern)}`, [SOME, lit(`/ns/${ns}`), between, lit(sa), rest])];
}

function segment(pattern: Pattern, inexact: () => void): BytePattern {
  return without(asBytePattern(pattern), SLASH, inexact);
}

function bytes(key: string, of: readonly BytePattern[]): Pattern {
  return { form: 'bytes', key, pattern: { kind: 'sequence', of } };
}

function lit(text: string): BytePattern {
  return literalBytes(text);
}

const SLASH = 0x2f;
const BYTE: BytePattern = { kind: 'bytes', ranges: [{ low: 0, high: 0xff }] };
const NO_SLASH: BytePattern = {
  kind: 'bytes',
  ranges: [
    { low: 0, high: SLASH - 1 },
    { low: SLASH + 1, high: 0xff },
  ],
};
const ANY: BytePattern = { kind: 'repeat', of: BYTE, least: 0, most: null };
const SOME: BytePattern = { kind: 'repeat', of: BYTE, least: 1, most: null };
const SEGMENT: BytePattern = { kind: 'repeat', of: NO_SLASH, least: 0, most: null };
const FILLED_SEGMENT: BytePattern = { kind: 'repeat', of: NO_SLASH, least: 1, most: null };
