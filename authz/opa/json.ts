/**
 * JSON (RFC 8259) into Rego's values and back. Stricter than `JSON.parse`: a duplicate key, a number out of bounds, nesting beyond
 * the limit are faults, because OPA's own reader in a module would pass over them, and integers keep all their digits.
 */
import { numberText, parseNumber } from './numbers.ts';
import { RegoObject, RegoSet, isArray, isNumber } from './value.ts';
import type { RegoValue } from './value.ts';

/** Why a text is not taken as input. */
export type JsonFault = 'syntax' | 'depth' | 'duplicate_key' | 'number';

export type JsonReading = { readonly ok: true; readonly value: RegoValue } | { readonly ok: false; readonly fault: JsonFault };

export const MAX_JSON_DEPTH = 128;

/** @param text  well-formed UTF-16; its length was bounded by the caller */
export function parseJson(text: string, maxDepth = MAX_JSON_DEPTH): JsonReading {
  const reader = new Reader(text, maxDepth);
  const value = reader.read();
  return value === undefined ? { ok: false, fault: reader.fault } : { ok: true, value };
}

/** JSON's form of a value: sets are lists, keys that are no texts are their JSON. */
export function toJson(value: RegoValue): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (isNumber(value)) return numberText(value);
  if (isArray(value)) return `[${value.map(toJson).join(',')}]`;
  if (value instanceof RegoSet) return `[${value.elements().map(toJson).join(',')}]`;
  if (value instanceof RegoObject) {
    const pairs = value.entries().map(([key, element]) => `${JSON.stringify(keyText(key))}:${toJson(element)}`);
    return `{${pairs.join(',')}}`;
  }
  return String(value);
}

/** What OPA writes as an object's key in JSON. */
export function keyText(key: RegoValue): string {
  return typeof key === 'string' ? key : toJson(key);
}

class Reader {
  readonly #text: string;
  #at = 0;
  #depthLeft: number;
  fault: JsonFault = 'syntax';

  constructor(text: string, maxDepth: number) {
    this.#text = text;
    this.#depthLeft = maxDepth;
  }

  read(): RegoValue | undefined {
    const value = this.#value();
    if (value === undefined) return undefined;
    this.#blanks();
    return this.#at === this.#text.length ? value : undefined;
  }

  #value(): RegoValue | undefined {
    this.#blanks();
    const code = this.#text.charCodeAt(this.#at);
    if (code === QUOTE) return this.#string();
    if (code === 0x7b) return this.#nested(() => this.#object());
    if (code === 0x5b) return this.#nested(() => this.#array());
    if (code === 0x74) return this.#word('true', true);
    if (code === 0x66) return this.#word('false', false);
    if (code === 0x6e) return this.#word('null', null);
    return this.#number();
  }

  #nested(read: () => RegoValue | undefined): RegoValue | undefined {
    if (this.#depthLeft === 0) return this.#fail('depth');
    this.#depthLeft--;
    this.#at++;
    const value = read();
    this.#depthLeft++;
    return value;
  }

  #object(): RegoValue | undefined {
    const made = new RegoObject();
    this.#blanks();
    if (this.#take(0x7d)) return made;
    for (;;) {
      this.#blanks();
      if (this.#text.charCodeAt(this.#at) !== QUOTE) return undefined;
      const key = this.#string();
      if (key === undefined) return undefined;
      if (made.find(key) !== undefined) return this.#fail('duplicate_key');
      this.#blanks();
      if (!this.#take(0x3a)) return undefined;
      const value = this.#value();
      if (value === undefined) return undefined;
      made.insert(key, value);
      this.#blanks();
      if (this.#take(0x7d)) return made;
      if (!this.#take(COMMA)) return undefined;
    }
  }

  #array(): RegoValue | undefined {
    const made: RegoValue[] = [];
    this.#blanks();
    if (this.#take(0x5d)) return made;
    for (;;) {
      const value = this.#value();
      if (value === undefined) return undefined;
      made.push(value);
      this.#blanks();
      if (this.#take(0x5d)) return made;
      if (!this.#take(COMMA)) return undefined;
    }
  }

  #string(): string | undefined {
    const start = this.#at;
    for (let at = start + 1; at < this.#text.length; at++) {
      const code = this.#text.charCodeAt(at);
      if (code === QUOTE) {
        this.#at = at + 1;
        return this.#text.slice(start + 1, at).toWellFormed();
      }
      if (code === BACKSLASH) return this.#escapedString(start, at);
      if (code < 0x20) return undefined;
    }
    return undefined;
  }

  /** `JSON.parse` knows the escapes; it is handed this one literal. */
  #escapedString(start: number, from: number): string | undefined {
    for (let at = from; at < this.#text.length; at++) {
      const code = this.#text.charCodeAt(at);
      if (code === BACKSLASH) at++;
      else if (code === QUOTE) {
        this.#at = at + 1;
        try {
          return String(JSON.parse(this.#text.slice(start, at + 1))).toWellFormed();
        } catch {
          return undefined;
        }
      }
    }
    return undefined;
  }

  #number(): RegoValue | undefined {
    const start = this.#at;
    while (this.#at < this.#text.length && IN_NUMBER.has(this.#text.charCodeAt(this.#at))) this.#at++;
    const text = this.#text.slice(start, this.#at);
    if (text === '') return undefined;
    const value = parseNumber(text);
    if (value !== null) return value;
    return Number.isNaN(Number(text)) ? undefined : this.#fail('number');
  }

  #word<T extends RegoValue>(word: string, value: T): T | undefined {
    if (!this.#text.startsWith(word, this.#at)) return undefined;
    this.#at += word.length;
    return value;
  }

  #take(code: number): boolean {
    if (this.#text.charCodeAt(this.#at) !== code) return false;
    this.#at++;
    return true;
  }

  #blanks(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #fail(fault: JsonFault): undefined {
    this.fault = fault;
    return undefined;
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const IN_NUMBER: ReadonlySet<number> = new Set([...'0123456789+-.eE'].map((sign) => sign.charCodeAt(0)));
