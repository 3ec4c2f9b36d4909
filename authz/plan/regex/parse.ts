/**
 * Regular expressions in RE2's syntax as patterns over bytes of UTF-8. Everything is there but `\C`; which of several matches is
 * found does not matter for whether there is one, so that lazy quantifiers mean what greedy ones mean and groups only group.
 */
import { PosternError } from '#base/error.ts';

import type { BytePattern } from './byte-pattern.ts';
import { perlClass, posixClass, unicodeClass, withoutCase } from './character-sets.ts';
import { LAST_CODE, joinRanges, otherCodes, utf8Pattern } from './utf8-ranges.ts';
import type { CodeRange } from './utf8-ranges.ts';

/** @throws {PosternError} `policy_regex` for what RE2 does not take, either */
export function parseRegex(text: string): BytePattern {
  return new Parser(text).parse();
}

interface Flags {
  readonly ignoresCase: boolean;
  readonly dotIsAll: boolean;
  readonly isMultiline: boolean;
}

class Parser {
  readonly #text: string;
  readonly #characters: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#characters = [...text];
  }

  parse(): BytePattern {
    if (this.#characters.length > MAX_LENGTH) throw this.#fault(`found more than ${MAX_LENGTH} characters`);
    const pattern = this.#choice({ ignoresCase: false, dotIsAll: false, isMultiline: false });
    if (this.#at < this.#characters.length) throw this.#fault('found ")" without "("');
    return pattern;
  }

  /** Up to the end or a closing parenthesis. Flags set within hold to its end. */
  #choice(given: Flags): BytePattern {
    if (++this.#depth > MAX_DEPTH) throw this.#fault('found groups nested too deeply');
    let flags = given;
    const choices: BytePattern[] = [];
    let sequence: BytePattern[] = [];
    while (this.#at < this.#characters.length && this.#peek() !== ')') {
      if (this.#take('|')) {
        choices.push({ kind: 'sequence', of: sequence });
        sequence = [];
        continue;
      }
      const changed = this.#flags(flags);
      if (changed !== null) {
        flags = changed;
        continue;
      }
      sequence.push(this.#quantified(this.#atom(flags)));
    }
    this.#depth--;
    choices.push({ kind: 'sequence', of: sequence });
    const [only] = choices;
    return choices.length === 1 && only !== undefined ? only : { kind: 'choice', of: choices };
  }

  /** `(?i)` and the like, which end here; null when something else comes. */
  #flags(flags: Flags): Flags | null {
    const end = this.#flagsEnd();
    if (end === null || this.#characters[end] !== ')') return null;
    const changed = this.#changedFlags(flags, end);
    this.#at = end + 1;
    return changed;
  }

  /** Where the letters of `(?ims-U` end, or null where no such group begins. */
  #flagsEnd(): number | null {
    if (this.#peek() !== '(' || this.#characters[this.#at + 1] !== '?') return null;
    let end = this.#at + 2;
    while (/^[imsU-]$/.test(this.#characters[end] ?? '')) end++;
    return end;
  }

  #changedFlags(flags: Flags, end: number): Flags {
    const letters = this.#characters.slice(this.#at + 2, end).join('');
    if (!/^[imsU]*(?:-[imsU]+)?$/.test(letters)) throw this.#fault(`found the flags "${letters}"`);
    const [on = '', off = ''] = letters.split('-');
    const is = (letter: string, before: boolean): boolean => (on.includes(letter) || before) && !off.includes(letter);
    return {
      ignoresCase: is('i', flags.ignoresCase),
      dotIsAll: is('s', flags.dotIsAll),
      isMultiline: is('m', flags.isMultiline),
    };
  }

  #quantified(atom: BytePattern): BytePattern {
    let pattern = atom;
    let isQuantified = false;
    for (;;) {
      const bounds = this.#quantifier();
      if (bounds === null) return pattern;
      if (isQuantified) throw this.#fault('found a quantifier after a quantifier');
      isQuantified = true;
      this.#take('?');
      pattern = { kind: 'repeat', of: pattern, least: bounds.least, most: bounds.most };
    }
  }

  #quantifier(): { least: number; most: number | null } | null {
    if (this.#take('*')) return { least: 0, most: null };
    if (this.#take('+')) return { least: 1, most: null };
    if (this.#take('?')) return { least: 0, most: 1 };
    const braces = /^\{(\d{1,9})(?:(,)(\d{1,9})?)?\}/.exec(this.#characters.slice(this.#at, this.#at + 24).join(''));
    if (braces === null) return null;
    this.#at += braces[0].length;
    const least = Number(braces[1]);
    const most = braces[2] === undefined ? least : braces[3] === undefined ? null : Number(braces[3]);
    if (least > MAX_REPEAT || (most ?? 0) > MAX_REPEAT || (most !== null && most < least)) {
      throw this.#fault(`found the repetition "${braces[0]}"`);
    }
    return { least, most };
  }

  #atom(flags: Flags): BytePattern {
    const character = this.#next();
    switch (character) {
      case '(':
        return this.#group(flags);
      case '[':
        return utf8Pattern(this.#cased(this.#class(flags), flags));
      case '.':
        return utf8Pattern(flags.dotIsAll ? ALL : otherCodes([{ low: NEWLINE, high: NEWLINE }]));
      case '^':
        return { kind: 'assertion', assertion: flags.isMultiline ? 'lineStart' : 'textStart' };
      case '$':
        return { kind: 'assertion', assertion: flags.isMultiline ? 'lineEnd' : 'textEnd' };
      case '*':
      case '+':
      case '?':
        throw this.#fault(`found "${character}" with nothing before it`);
      case '\\':
        return this.#escaped(flags);
      default:
        return this.#literal(character, flags);
    }
  }

  /** After its parenthesis. */
  #group(flags: Flags): BytePattern {
    let inner = flags;
    if (this.#peek() === '?') {
      this.#at--;
      const end = this.#flagsEnd() ?? this.#at;
      const name = /^\(\?P?<([A-Za-z0-9_]+)>/.exec(this.#characters.slice(this.#at, this.#at + MAX_NAME).join(''));
      if (this.#characters[end] === ':') {
        inner = this.#changedFlags(flags, end);
        this.#at = end + 1;
      } else if (name !== null) this.#at += name[0].length;
      else throw this.#fault('found a group of unknown kind (look-around is not in RE2)');
    }
    const pattern = this.#choice(inner);
    if (!this.#take(')')) throw this.#fault('found "(" without ")"');
    return pattern;
  }

  #escaped(flags: Flags): BytePattern {
    const letter = this.#peek();
    if (letter === 'Q') return this.#quoted(flags);
    const assertion = ASSERTIONS[letter];
    if (assertion !== undefined) {
      this.#at++;
      return { kind: 'assertion', assertion };
    }
    const ranges = this.#namedClass();
    if (ranges !== null) return utf8Pattern(this.#cased(ranges, flags));
    const code = this.#escapedCode();
    return utf8Pattern(this.#cased([{ low: code, high: code }], flags));
  }

  /** `\Q…\E`, after the backslash. */
  #quoted(flags: Flags): BytePattern {
    this.#at++;
    const of: BytePattern[] = [];
    while (this.#at < this.#characters.length) {
      if (this.#peek() === '\\' && this.#characters[this.#at + 1] === 'E') {
        this.#at += 2;
        break;
      }
      of.push(this.#literal(this.#next(), flags));
    }
    return { kind: 'sequence', of };
  }

  /** `\d`, `\pL`, `\p{Greek}`, after the backslash; null for another escape. */
  #namedClass(): readonly CodeRange[] | null {
    const letter = this.#peek();
    const perl = perlClass(letter);
    if (perl !== null) {
      this.#at++;
      return perl;
    }
    if (letter !== 'p' && letter !== 'P') return null;
    const braced = /^[pP]\{(\^?[A-Za-z_]+)\}/.exec(this.#characters.slice(this.#at, this.#at + MAX_NAME).join(''));
    const name = braced?.[1] ?? this.#characters[this.#at + 1] ?? '';
    this.#at += braced === null ? 2 : braced[0].length;
    const ranges = name === 'Any' ? ALL : unicodeClass(name);
    if (ranges === null) throw this.#fault(`found the class "${name}"`);
    return letter === 'P' ? otherCodes(ranges) : ranges;
  }

  /** After the backslash. */
  #escapedCode(): number {
    const letter = this.#next();
    const control = CONTROLS[letter];
    if (control !== undefined) return control;
    if (letter === 'x') return this.#hexadecimal();
    if (/^[0-7]$/.test(letter)) return this.#octal(letter);
    if (/^[!-/:-@[-`{-~]$/.test(letter)) return letter.charCodeAt(0);
    throw this.#fault(`found the escape "\\${letter}"`);
  }

  #hexadecimal(): number {
    const match = /^(?:\{([0-9a-fA-F]{1,8})\}|([0-9a-fA-F]{2}))/.exec(this.#characters.slice(this.#at, this.#at + 10).join(''));
    const code = Number.parseInt(match?.[1] ?? match?.[2] ?? '', 16);
    if (match === null || code > LAST_CODE) throw this.#fault('found "\\x" without a code');
    this.#at += match[0].length;
    return code;
  }

  /** A single digit other than 0 would be a back-reference. */
  #octal(first: string): number {
    let digits = first;
    while (digits.length < 3 && /^[0-7]$/.test(this.#peek())) digits += this.#next();
    if (digits.length === 1 && first !== '0') throw this.#fault('found a back-reference, which is not in RE2');
    return Number.parseInt(digits, 8);
  }

  /** After its bracket. */
  #class(flags: Flags): readonly CodeRange[] {
    const isNegated = this.#take('^');
    const ranges: CodeRange[] = [];
    for (let isFirst = true; isFirst || this.#peek() !== ']'; isFirst = false) {
      if (this.#at >= this.#characters.length) throw this.#fault('found "[" without "]"');
      const named = this.#classMember();
      if (typeof named !== 'number') {
        ranges.push(...named);
        continue;
      }
      let high = named;
      if (this.#peek() === '-' && this.#characters[this.#at + 1] !== ']' && this.#characters[this.#at + 1] !== undefined) {
        this.#at++;
        const end = this.#classMember();
        if (typeof end !== 'number' || end < named) throw this.#fault('found a range that ends before it begins');
        high = end;
      }
      ranges.push({ low: named, high });
    }
    this.#at++;
    // RE2 folds before it turns the class around.
    const all = joinRanges(this.#cased(ranges, flags));
    return isNegated ? otherCodes(all) : all;
  }

  #classMember(): number | readonly CodeRange[] {
    const posix = /^\[:(\^?[a-z]+):\]/.exec(this.#characters.slice(this.#at, this.#at + MAX_NAME).join(''));
    if (posix !== null) {
      const ranges = posixClass(posix[1] ?? '');
      if (ranges === null) throw this.#fault(`found the class "${posix[0]}"`);
      this.#at += posix[0].length;
      return ranges;
    }
    const character = this.#next();
    if (character !== '\\') return character.codePointAt(0) ?? 0;
    return this.#namedClass() ?? this.#escapedCode();
  }

  #literal(character: string, flags: Flags): BytePattern {
    const code = character.codePointAt(0) ?? 0;
    return utf8Pattern(this.#cased([{ low: code, high: code }], flags));
  }

  #cased(ranges: readonly CodeRange[], { ignoresCase }: Flags): readonly CodeRange[] {
    return ignoresCase ? withoutCase(joinRanges(ranges)) : joinRanges(ranges);
  }

  #peek(): string {
    return this.#characters[this.#at] ?? '';
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #next(): string {
    const character = this.#characters[this.#at++];
    if (character === undefined) throw this.#fault('found its end too early');
    return character;
  }

  #fault(found: string): PosternError {
    return new PosternError('policy_regex', `Cannot read the regular expression "${this.#text}": ${found}`);
  }
}

const ALL: readonly CodeRange[] = [{ low: 0, high: LAST_CODE }];
const NEWLINE = 10;
const ASSERTIONS: Readonly<Record<string, 'textStart' | 'textEnd' | 'wordBoundary' | 'noWordBoundary'>> = {
  A: 'textStart',
  z: 'textEnd',
  b: 'wordBoundary',
  B: 'noWordBoundary',
};
const CONTROLS: Readonly<Record<string, number>> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 };
/** RE2's own bounds. */
const MAX_REPEAT = 1000;
const MAX_DEPTH = 200;
const MAX_LENGTH = 4096;
const MAX_NAME = 64;
