/**
 * What the values of an AuthorizationPolicy mean, as patterns over bytes. The forms are Istio's (`*`, `x*`, `*x`, exact); what `*`
 * alone means differs by attribute: for header fields, methods and hosts it is "there", elsewhere "there and not empty".
 * Strings here are binary: one character a byte, text encoded as UTF-8.
 */
import type { CidrBlock } from '#base/cidr.ts';

import { literalBytes, oneByte, runOfBytes } from './regex/byte-pattern.ts';
import type { BytePattern, ByteRange } from './regex/byte-pattern.ts';
import { parseRegex } from './regex/parse.ts';
import { isWildcardByte } from './templates.ts';

/** Part of a glob: text as it stands, or any run of bytes (`RUN`: possibly empty, `SOME`: not empty). 0xff is in no run. */
type GlobPart = string | typeof RUN | typeof SOME;

export type Pattern =
  | { readonly form: 'exact'; readonly text: string }
  | { readonly form: 'prefix'; readonly text: string }
  | { readonly form: 'suffix'; readonly text: string }
  /** The attribute is there. */
  | { readonly form: 'present' }
  /** It is there and not empty. */
  | { readonly form: 'filled' }
  /**
   * Whatever needs an automaton; equal keys are equal patterns. One that `multiplies` says something of values that others like it say
   * nothing of: an automaton of several would have a state for each combination of what was seen.
   */
  | { readonly form: 'bytes'; readonly key: string; readonly pattern: BytePattern; readonly multiplies?: true }
  /** Segments of a path: a literal, `{*}` or `{**}`. */
  | { readonly form: 'template'; readonly segments: readonly string[] };

/** UTF-8 bytes as one character each. */
export function toBinary(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** @param star  what `*` alone means */
export function stringPattern(value: string, star: 'present' | 'filled'): Pattern {
  if (value === '*') return { form: star };
  if (value.startsWith('*')) return { form: 'suffix', text: toBinary(value.slice(1)) };
  if (value.endsWith('*')) return { form: 'prefix', text: toBinary(value.slice(0, -1)) };
  return { form: 'exact', text: toBinary(value) };
}

/** Compared without case, against a host that has lost one trailing dot. */
export function hostPattern(value: string): Pattern {
  const pattern = stringPattern(value.toLowerCase(), 'present');
  if ((pattern.form !== 'exact' && pattern.form !== 'suffix') || pattern.text === '.') return pattern;
  return { ...pattern, text: pattern.text.replace(/\.(?=$|:[0-9]*$)/, '') };
}

export function pathPattern(value: string): Pattern {
  if (!value.includes('{*}') && !value.includes('{**}')) return stringPattern(value, 'filled');
  return { form: 'template', segments: toBinary(value).slice(1).split('/') };
}

/** Every `*` stands for any run, as in Istio's namespaces. */
export function namespacePattern(value: string): Pattern {
  if (!value.slice(1, -1).includes('*') && !(value.length > 1 && value.startsWith('*') && value.endsWith('*'))) {
    return stringPattern(value, 'present');
  }
  return glob(value.split('*').flatMap((literal, index) => (index > 0 ? [RUN, toBinary(literal)] : [toBinary(literal)])));
}

/** `iss/sub`, told apart at the last slash; the slot holds issuer, 0xff, subject. */
export function requestPrincipalPattern(value: string): Pattern {
  const slash = value.lastIndexOf('/');
  const issuer = slash < 0 ? value : value.slice(0, slash);
  const subject = slash < 0 ? '' : value.slice(slash + 1);
  if (value === '*') return glob([SOME, SEPARATOR, SOME]);
  if (value.startsWith('*')) {
    if (slash < 0) return glob([SOME, SEPARATOR, RUN, toBinary(value.slice(1))]);
    if (issuer === '*') return glob([SOME, SEPARATOR, toBinary(subject)]);
    return { form: 'suffix', text: `${toBinary(issuer.slice(1))}${SEPARATOR}${toBinary(subject)}` };
  }
  if (value.endsWith('*')) {
    if (slash < 0) return glob([toBinary(value.slice(0, -1)), RUN, SEPARATOR, SOME]);
    if (subject === '*') return glob([toBinary(issuer), SEPARATOR, SOME]);
    return { form: 'prefix', text: `${toBinary(issuer)}${SEPARATOR}${toBinary(subject.slice(0, -1))}` };
  }
  return { form: 'exact', text: `${toBinary(issuer)}${SEPARATOR}${toBinary(subject)}` };
}

/** RE2 syntax over the whole value. */
export function regexPattern(text: string): Pattern {
  return { form: 'bytes', key: `regex ${text}`, pattern: parseRegex(text) };
}

/** Ports of two bytes from `low` to `high`. */
export function portRangePatterns(low: number, high: number): readonly Pattern[] {
  const patterns: Pattern[] = [];
  for (let port = low; port <= high;) {
    const isWholeBlock = (port & 0xff) === 0 && port + 0xff <= high;
    if (isWholeBlock) patterns.push({ form: 'prefix', text: String.fromCharCode(port >> 8) });
    else patterns.push({ form: 'exact', text: String.fromCharCode(port >> 8, port & 0xff) });
    port += isWholeBlock ? 0x100 : 1;
  }
  return patterns;
}

/** Two bytes, big-endian. */
export function portPattern(value: string): Pattern {
  const port = Number(value);
  return { form: 'exact', text: String.fromCharCode(port >> 8, port & 0xff) };
}

/**
 * A block as prefixes of the slot's bytes: the family (4 or 6), then the address. A prefix length that is no multiple of 8 becomes
 * up to 128 prefixes of whole bytes.
 */
export function cidrPatterns(block: CidrBlock): readonly Pattern[] {
  const family = block.address.length === 4 ? '\x04' : '\x06';
  const whole = family + Buffer.from(block.address).toString('latin1');
  if (block.prefixLength === block.address.length * 8) return [{ form: 'exact', text: whole }];
  const wholeBytes = block.prefixLength >> 3;
  const head = whole.slice(0, 1 + wholeBytes);
  const rest = block.prefixLength & 7;
  if (rest === 0) return [{ form: 'prefix', text: head }];
  const first = block.address[wholeBytes] ?? 0;
  const patterns: Pattern[] = [];
  for (let byte = first; byte < first + (1 << (8 - rest)); byte++) {
    patterns.push({ form: 'prefix', text: head + String.fromCharCode(byte) });
  }
  return patterns;
}

function glob(parts: readonly GlobPart[]): Pattern {
  const of = parts.map((part) => (typeof part === 'string' ? literalBytes(part) : runOfBytes(part === SOME ? 1 : 0)));
  const key = parts.map((part) => (typeof part === 'string' ? part : `\0${part.description}\0`)).join('');
  return { form: 'bytes', key: `glob ${key}`, pattern: { kind: 'sequence', of } };
}

/** A pattern of any form as one over bytes, for automata that hold all of an attribute's patterns. */
export function asBytePattern(pattern: Pattern): BytePattern {
  switch (pattern.form) {
    case 'exact':
      return literalBytes(pattern.text);
    case 'prefix':
      return { kind: 'sequence', of: [literalBytes(pattern.text), anyBytes(0)] };
    case 'suffix':
      return { kind: 'sequence', of: [anyBytes(0), literalBytes(pattern.text)] };
    case 'present':
      return anyBytes(0);
    case 'filled':
      return anyBytes(1);
    case 'bytes':
      return pattern.pattern;
    case 'template':
      return templateBytes(pattern.segments);
  }
}

function anyBytes(least: 0 | 1): BytePattern {
  return { kind: 'repeat', of: { kind: 'bytes', ranges: [{ low: 0, high: 0xff }] }, least, most: null };
}

function wildcardRanges(): readonly ByteRange[] {
  const ranges: ByteRange[] = [];
  for (let byte = 0; byte < 256; byte++) {
    if (!isWildcardByte(byte)) continue;
    const last = ranges.at(-1);
    if (last?.high === byte - 1) ranges[ranges.length - 1] = { low: last.low, high: byte };
    else ranges.push({ low: byte, high: byte });
  }
  return ranges;
}

function templateBytes(segments: readonly string[]): BytePattern {
  const slash = oneByte(0x2f);
  const rest: BytePattern = { kind: 'repeat', of: { kind: 'choice', of: [WILDCARD_BYTE, slash] }, least: 0, most: null };
  const one: BytePattern = { kind: 'repeat', of: WILDCARD_BYTE, least: 1, most: null };
  const of = segments.flatMap((segment) => [slash, segment === '{*}' ? one : segment === '{**}' ? rest : literalBytes(segment)]);
  return { kind: 'sequence', of };
}

const WILDCARD_BYTE: BytePattern = { kind: 'bytes', ranges: wildcardRanges() };
const RUN = Symbol('run');
const SOME = Symbol('some');
/** Between issuer and subject; no byte of UTF-8. */
const SEPARATOR = '\xff';
