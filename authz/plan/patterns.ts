/**
 * What the values of an AuthorizationPolicy mean, as patterns over bytes. The forms are Istio's (`*`, `x*`, `*x`, exact); what `*`
 * alone means differs by attribute: for header fields, methods and hosts it is "there", elsewhere "there and not empty".
 * Strings here are binary: one character a byte, text encoded as UTF-8.
 */
import type { CidrBlock } from '#base/cidr.ts';

/** One step of a glob: a byte, or any run of bytes (`run`: possibly empty, `some`: not empty). 0xff is in no run. */
export type GlobStep = number | 'run' | 'some';

export type Pattern =
  | { readonly form: 'exact'; readonly text: string }
  | { readonly form: 'prefix'; readonly text: string }
  | { readonly form: 'suffix'; readonly text: string }
  /** The attribute is there. */
  | { readonly form: 'present' }
  /** It is there and not empty. */
  | { readonly form: 'filled' }
  | { readonly form: 'glob'; readonly steps: readonly GlobStep[] }
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
  return { form: 'glob', steps: globSteps(value) };
}

/** `iss/sub`, told apart at the last slash; the slot holds issuer, 0xff, subject. */
export function requestPrincipalPattern(value: string): Pattern {
  const slash = value.lastIndexOf('/');
  const issuer = slash < 0 ? value : value.slice(0, slash);
  const subject = slash < 0 ? '' : value.slice(slash + 1);
  if (value === '*') return { form: 'glob', steps: ['some', SEPARATOR, 'some'] };
  if (value.startsWith('*')) {
    if (slash < 0) return { form: 'glob', steps: ['some', SEPARATOR, 'run', ...bytesOf(value.slice(1))] };
    if (issuer === '*') return { form: 'glob', steps: ['some', SEPARATOR, ...bytesOf(subject)] };
    return { form: 'suffix', text: `${toBinary(issuer.slice(1))}${SEPARATOR_TEXT}${toBinary(subject)}` };
  }
  if (value.endsWith('*')) {
    if (slash < 0) return { form: 'glob', steps: [...bytesOf(value.slice(0, -1)), 'run', SEPARATOR, 'some'] };
    if (subject === '*') return { form: 'glob', steps: [...bytesOf(issuer), SEPARATOR, 'some'] };
    return { form: 'prefix', text: `${toBinary(issuer)}${SEPARATOR_TEXT}${toBinary(subject.slice(0, -1))}` };
  }
  return { form: 'exact', text: `${toBinary(issuer)}${SEPARATOR_TEXT}${toBinary(subject)}` };
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

function globSteps(value: string): GlobStep[] {
  const steps: GlobStep[] = [];
  for (const [index, literal] of value.split('*').entries()) {
    if (index > 0) steps.push('run');
    steps.push(...bytesOf(literal));
  }
  return steps;
}

function bytesOf(text: string): readonly number[] {
  return [...Buffer.from(text, 'utf8')];
}

/** Between issuer and subject; no byte of UTF-8. */
export const SEPARATOR = 0xff;
const SEPARATOR_TEXT = '\xff';
