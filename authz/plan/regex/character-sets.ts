/** Named sets of characters of RE2 and what letters are alike without case. */
import type { CodeRange } from './utf8-ranges.ts';
import { joinRanges, otherCodes } from './utf8-ranges.ts';

/** `\d`, `\W` and the like, by their letter; null for none. */
export function perlClass(letter: string): readonly CodeRange[] | null {
  const ranges = PERL[letter.toLowerCase()];
  if (ranges === undefined) return null;
  return letter === letter.toLowerCase() ? ranges : otherCodes(ranges);
}

/** `[:alpha:]` by its name, `^` before it for the opposite; null for none. */
export function posixClass(name: string): readonly CodeRange[] | null {
  const ranges = POSIX[name.replace('^', '')];
  if (ranges === undefined) return null;
  return name.startsWith('^') ? otherCodes(ranges) : ranges;
}

/** A general category or script as in `\p{Greek}`; null for one that is not known. */
export function unicodeClass(name: string): readonly CodeRange[] | null {
  const isNegated = name.startsWith('^');
  const plain = isNegated ? name.slice(1) : name;
  if (!/^[A-Za-z_]+$/.test(plain)) return null;
  const ranges = UNICODE.get(plain) ?? enumerate(plain);
  if (ranges === null) return null;
  if (UNICODE.size < MAX_KEPT) UNICODE.set(plain, ranges);
  return isNegated ? otherCodes(ranges) : ranges;
}

/** The ranges and all that differs from their members by case alone (simple folding). */
export function withoutCase(ranges: readonly CodeRange[]): readonly CodeRange[] {
  const added: CodeRange[] = [];
  const { keys, members } = folding();
  for (const [code, key] of keys) {
    if (!ranges.some(({ low, high }) => code >= low && code <= high)) continue;
    for (const member of members.get(key) ?? []) added.push({ low: member, high: member });
  }
  return joinRanges([...ranges, ...added]);
}

interface Folding {
  readonly keys: ReadonlyMap<number, number>;
  readonly members: ReadonlyMap<number, readonly number[]>;
}

let known: Folding | null = null;

/** Code points that have a case, and what they are alike to. Made at first use: it takes some milliseconds. */
function folding(): Folding {
  if (known !== null) return known;
  const keys = new Map<number, number>();
  const members = new Map<number, number[]>();
  for (let code = 0; code <= LAST_CASED; code++) {
    if (code === DOTLESS_I || (code >= 0xd800 && code <= 0xdfff)) continue;
    const text = String.fromCodePoint(code);
    const upper = single(text.toUpperCase()) ?? text;
    const key = (single(upper.toLowerCase()) ?? upper).codePointAt(0) ?? code;
    const alike = members.get(key);
    if (alike === undefined) members.set(key, [code]);
    else alike.push(code);
  }
  for (const [key, alike] of members) {
    if (alike.length < 2) members.delete(key);
    else for (const code of alike) keys.set(code, key);
  }
  known = { keys, members };
  return known;
}

function single(text: string): string | null {
  const length = (text.codePointAt(0) ?? 0) > 0xffff ? 2 : 1;
  return text.length === length ? text : null;
}

function enumerate(name: string): readonly CodeRange[] | null {
  let expression: RegExp;
  try {
    expression = new RegExp(`^\\p{${name}}$`, 'u');
  } catch {
    try {
      expression = new RegExp(`^\\p{Script=${name}}$`, 'u');
    } catch {
      return null;
    }
  }
  const ranges: { low: number; high: number }[] = [];
  for (let code = 0; code <= 0x10ffff; code++) {
    if (!expression.test(String.fromCodePoint(code))) continue;
    const last = ranges.at(-1);
    if (last !== undefined && last.high === code - 1) last.high = code;
    else ranges.push({ low: code, high: code });
  }
  return ranges;
}

function rangesOf(text: string): readonly CodeRange[] {
  const ranges: CodeRange[] = [];
  for (let index = 0; index < text.length; index += 2)
    ranges.push({ low: text.charCodeAt(index), high: text.charCodeAt(index + 1) });
  return ranges;
}

const PERL: Readonly<Record<string, readonly CodeRange[]>> = {
  d: rangesOf('09'),
  w: rangesOf('09AZ__az'),
  s: rangesOf('\t\n\f\r  '),
};
const POSIX: Readonly<Record<string, readonly CodeRange[]>> = {
  alnum: rangesOf('09AZaz'),
  alpha: rangesOf('AZaz'),
  ascii: rangesOf('\0\x7f'),
  blank: rangesOf('\t\t  '),
  cntrl: rangesOf('\0\x1f\x7f\x7f'),
  digit: rangesOf('09'),
  graph: rangesOf('!~'),
  lower: rangesOf('az'),
  print: rangesOf(' ~'),
  punct: rangesOf('!/:@[`{~'),
  space: rangesOf('\t\r  '),
  upper: rangesOf('AZ'),
  word: rangesOf('09AZ__az'),
  xdigit: rangesOf('09AFaf'),
};
const UNICODE = new Map<string, readonly CodeRange[]>();
const MAX_KEPT = 64;
/** No letter beyond has a case. */
const LAST_CASED = 0x1e943;
/** Its upper case is that of "i", but it folds to itself. */
const DOTLESS_I = 0x131;
