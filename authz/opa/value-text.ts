/**
 * Rego's own notation of values: JSON's, with sets (`{1, 2}`, `set()`) and keys of any kind. Modules under the OPA ABI hand values
 * to the host in it, and `sprintf` prints it.
 */
import { numberText, parseNumber } from './numbers.ts';
import { RegoObject, RegoSet, isArray, isNumber } from './value.ts';
import type { RegoValue } from './value.ts';

/** As OPA prints a term. */
export function valueText(value: RegoValue): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (isNumber(value)) return numberText(value);
  if (isArray(value)) return `[${value.map(valueText).join(', ')}]`;
  if (value instanceof RegoSet) return value.size === 0 ? 'set()' : `{${value.elements().map(valueText).join(', ')}}`;
  if (value instanceof RegoObject) {
    return `{${value
      .entries()
      .map(([key, element]) => `${valueText(key)}: ${valueText(element)}`)
      .join(', ')}}`;
  }
  return String(value);
}

/** Undefined for what is no value in this notation. */
export function parseValueText(text: string): RegoValue | undefined {
  const reader = new Reader(text);
  const value = reader.value();
  return reader.isAtEnd ? value : undefined;
}

class Reader {
  readonly #text: string;
  #at = 0;
  #depthLeft = MAX_DEPTH;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    this.#blanks();
    return this.#at === this.#text.length;
  }

  value(): RegoValue | undefined {
    this.#blanks();
    const sign = this.#text[this.#at];
    if (sign === '"') return this.#string();
    if (sign === '[' || sign === '{') {
      if (this.#depthLeft === 0) return undefined;
      this.#depthLeft--;
      this.#at++;
      const value = sign === '[' ? this.#array() : this.#braces();
      this.#depthLeft++;
      return value;
    }
    WORD.lastIndex = this.#at;
    const word = WORD.exec(this.#text)?.[0] ?? '';
    this.#at += word.length;
    if (word === 'set()') return new RegoSet();
    if (word === 'true') return true;
    if (word === 'false') return false;
    if (word === 'null') return null;
    return parseNumber(word) ?? undefined;
  }

  #array(): RegoValue | undefined {
    const made: RegoValue[] = [];
    if (this.#take(']')) return made;
    for (;;) {
      const value = this.value();
      if (value === undefined) return undefined;
      made.push(value);
      if (this.#take(']')) return made;
      if (!this.#take(',')) return undefined;
    }
  }

  /** An object or a set: what follows the first element tells. */
  #braces(): RegoValue | undefined {
    if (this.#take('}')) return new RegoObject();
    const first = this.value();
    if (first === undefined) return undefined;
    return this.#take(':') ? this.#object(first) : this.#set(first);
  }

  #object(firstKey: RegoValue): RegoValue | undefined {
    const made = new RegoObject();
    for (let key: RegoValue | undefined = firstKey; key !== undefined; key = this.#key()) {
      const value = this.value();
      if (value === undefined) return undefined;
      made.insert(key, value);
      if (this.#take('}')) return made;
      if (!this.#take(',')) return undefined;
    }
    return undefined;
  }

  #key(): RegoValue | undefined {
    const key = this.value();
    return this.#take(':') ? key : undefined;
  }

  #set(first: RegoValue): RegoValue | undefined {
    const made = RegoSet.of([first]);
    for (;;) {
      if (this.#take('}')) return made;
      if (!this.#take(',')) return undefined;
      const value = this.value();
      if (value === undefined) return undefined;
      made.add(value);
    }
  }

  #string(): string | undefined {
    for (let at = this.#at + 1; at < this.#text.length; at++) {
      const sign = this.#text[at];
      if (sign === '\\') at++;
      else if (sign === '"') {
        const literal = this.#text.slice(this.#at, at + 1);
        this.#at = at + 1;
        try {
          return String(JSON.parse(literal)).toWellFormed();
        } catch {
          return undefined;
        }
      }
    }
    return undefined;
  }

  #take(sign: string): boolean {
    this.#blanks();
    if (this.#text[this.#at] !== sign) return false;
    this.#at++;
    return true;
  }

  #blanks(): void {
    while (this.#text[this.#at] === ' ') this.#at++;
  }
}

const WORD = /set\(\)|[\w.+-]*/uy;
const MAX_DEPTH = 512;
