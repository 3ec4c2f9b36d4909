/**
 * The part of YAML 1.2 in which policies are mostly written, read in one pass: printable ASCII, maps and lists by indentation or in
 * brackets on one line, scalars of one line without escapes. 1,000 rules take a tenth of the CPU time that the whole language takes,
 * and that is most of a start.
 *
 * INVARIANT: what is read here has the values and places that authz/policy/yaml-documents.ts has without it. Whatever is not surely
 * so, and whatever is wrong, is not plain: it is left to the reader of the whole language, which also writes the faults.
 */
import type { Position } from './model.ts';
import { FORBIDDEN_KEYS } from './yaml-node.ts';
import type { YamlEntry, YamlNode } from './yaml-node.ts';

/** Its documents, at least one; null when it is not plain. */
export function readPlainYaml(text: string, file: string): readonly YamlNode[] | null {
  return NOT_PLAIN.test(text) ? null : new PlainReader(text, file).read();
}

class PlainReader {
  readonly #text: string;
  readonly #file: string;
  #line = 0;
  #lineStart = 0;
  #lineEnd = -1;
  /** Next character to read, within the line. */
  #at = 0;
  /** Column of the line's first character, from 0; -1 at the end and at the border of a document. */
  #indent = -1;
  #isBorder = false;
  #depth = 0;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  read(): readonly YamlNode[] | null {
    const documents: YamlNode[] = [];
    this.#nextLine();
    if (this.#isBorder) this.#nextLine();
    for (;;) {
      const root = this.#indent === 0 ? this.#block(0) : null;
      if (root === null || this.#indent !== -1) return null;
      documents.push(root);
      if (!this.#isBorder) return documents;
      this.#nextLine();
    }
  }

  /** Goes to the next line that is neither empty nor a comment. */
  #nextLine(): void {
    const text = this.#text;
    this.#isBorder = false;
    for (;;) {
      this.#lineStart = this.#lineEnd + 1;
      if (this.#lineStart >= text.length) break;
      const end = text.indexOf('\n', this.#lineStart);
      this.#lineEnd = end < 0 ? text.length : end;
      this.#line++;
      this.#at = this.#lineStart;
      this.#skipSpaces();
      const first = text.charCodeAt(this.#at);
      if (this.#at === this.#lineEnd || first === HASH) continue;
      this.#isBorder = first === DASH && text.slice(this.#lineStart, this.#lineEnd).trimEnd() === '---';
      this.#indent = this.#isBorder ? -1 : this.#at - this.#lineStart;
      return;
    }
    this.#indent = -1;
    this.#at = this.#lineEnd = text.length;
  }

  #skipSpaces(): void {
    while (this.#at < this.#lineEnd && this.#text.charCodeAt(this.#at) === SPACE) this.#at++;
  }

  /** A map or list whose entries begin in `column`. */
  #block(column: number): YamlNode | null {
    if (++this.#depth > MAX_PLAIN_DEPTH) return null;
    const node = this.#isItem() ? this.#list(column) : this.#map(column);
    this.#depth--;
    return node;
  }

  #isItem(): boolean {
    return this.#text.charCodeAt(this.#at) === DASH && this.#text.charCodeAt(this.#at + 1) === SPACE;
  }

  #list(column: number): YamlNode | null {
    const position = this.#position();
    const items: YamlNode[] = [];
    while (this.#indent === column && this.#isItem()) {
      this.#at++;
      this.#skipSpaces();
      const item = this.#isKey() ? this.#block(this.#at - this.#lineStart) : this.#inline();
      if (item === null || this.#indent > column) return null;
      items.push(item);
    }
    return { kind: 'list', items, position };
  }

  #map(column: number): YamlNode | null {
    const position = this.#position();
    const entries: YamlEntry[] = [];
    const seen = new Set<string>();
    do {
      const keyPosition = this.#position();
      const key = this.#key(KEY);
      if (key === null || seen.has(key)) return null;
      seen.add(key);
      this.#skipSpaces();
      const value = this.#isLineOver() ? this.#below(column) : this.#inline();
      if (value === null || this.#indent > column) return null;
      entries.push({ key, keyPosition, value });
      // Of this map is what begins in its column; of a list in the same column it is not.
    } while (this.#indent === column);
    return { kind: 'map', entries, position };
  }

  /** What stands in the lines below a key in `column`. */
  #below(column: number): YamlNode | null {
    this.#nextLine();
    return this.#indent > column || (this.#indent === column && this.#isItem()) ? this.#block(this.#indent) : null;
  }

  #isKey(): boolean {
    KEY.lastIndex = this.#at;
    return KEY.test(this.#text);
  }

  /** Reads a key with its colon. */
  #key(shape: RegExp): string | null {
    shape.lastIndex = this.#at;
    const found = shape.exec(this.#text);
    if (found === null) return null;
    this.#at = shape.lastIndex;
    const [, plain, double, single] = found;
    const key = plain ?? double ?? single ?? '';
    return (plain !== undefined && RESOLVED.has(plain)) || key.includes('\\') || FORBIDDEN_KEYS.has(key) ? null : key;
  }

  /** A value that ends with its line; goes to the next one. */
  #inline(): YamlNode | null {
    const first = this.#text.charCodeAt(this.#at);
    const node =
      first === OPEN_LIST || first === OPEN_MAP || first === DOUBLE || first === SINGLE ? this.#enclosed() : this.#plain();
    if (node === null || !this.#isLineOver()) return null;
    this.#nextLine();
    return node;
  }

  /** Nothing but blanks is left, or a comment behind one. */
  #isLineOver(): boolean {
    const from = this.#at;
    this.#skipSpaces();
    return this.#at === this.#lineEnd || (this.#at > from && this.#text.charCodeAt(this.#at) === HASH);
  }

  #plain(): YamlNode | null {
    const position = this.#position();
    PLAIN.lastIndex = this.#at;
    const found = PLAIN.exec(this.#text)?.[0] ?? '';
    const comment = found.indexOf(' #');
    const text = (comment < 0 ? found : found.slice(0, comment)).trimEnd();
    if (text === '' || text.endsWith(':') || text.includes(': ')) return null;
    this.#at += text.length;
    return scalar(text, position);
  }

  /** In brackets or quotes. */
  #enclosed(): YamlNode | null {
    const first = this.#text.charCodeAt(this.#at);
    if (first === DOUBLE || first === SINGLE) return this.#quoted(first);
    if (++this.#depth > MAX_PLAIN_DEPTH) return null;
    const position = this.#position();
    this.#at++;
    this.#skipSpaces();
    const node = first === OPEN_LIST ? this.#flowList(position) : this.#flowMap(position);
    this.#depth--;
    return node;
  }

  #flowList(position: Position): YamlNode | null {
    const items: YamlNode[] = [];
    if (this.#accept(CLOSE_LIST)) return { kind: 'list', items, position };
    for (;;) {
      const item = this.#flowValue();
      if (item === null) return null;
      items.push(item);
      if (this.#accept(CLOSE_LIST)) return { kind: 'list', items, position };
      if (!this.#accept(COMMA)) return null;
    }
  }

  #flowMap(position: Position): YamlNode | null {
    const entries: YamlEntry[] = [];
    const seen = new Set<string>();
    if (this.#accept(CLOSE_MAP)) return { kind: 'map', entries, position };
    for (;;) {
      const keyPosition = this.#position();
      const key = this.#key(FLOW_KEY);
      if (key === null || seen.has(key)) return null;
      seen.add(key);
      this.#skipSpaces();
      const value = this.#flowValue();
      if (value === null) return null;
      entries.push({ key, keyPosition, value });
      if (this.#accept(CLOSE_MAP)) return { kind: 'map', entries, position };
      if (!this.#accept(COMMA)) return null;
    }
  }

  /** Reads one character, and the blanks behind it unless it ends what stands in brackets. */
  #accept(wanted: number): boolean {
    if (this.#text.charCodeAt(this.#at) !== wanted) return false;
    this.#at++;
    if (wanted === COMMA) this.#skipSpaces();
    return true;
  }

  /** A value in brackets, with the blanks behind it. */
  #flowValue(): YamlNode | null {
    const first = this.#text.charCodeAt(this.#at);
    const isEnclosed = first === OPEN_LIST || first === OPEN_MAP || first === DOUBLE || first === SINGLE;
    const node = isEnclosed ? this.#enclosed() : this.#flowPlain();
    this.#skipSpaces();
    return node;
  }

  #flowPlain(): YamlNode | null {
    const position = this.#position();
    FLOW_PLAIN.lastIndex = this.#at;
    const text = FLOW_PLAIN.exec(this.#text)?.[0].trimEnd() ?? '';
    this.#at += text.length;
    return text === '' ? null : scalar(text, position);
  }

  #quoted(quote: number): YamlNode | null {
    const position = this.#position();
    const end = this.#text.indexOf(quote === DOUBLE ? '"' : "'", this.#at + 1);
    if (end < 0 || end > this.#lineEnd) return null;
    const value = this.#text.slice(this.#at + 1, end);
    this.#at = end + 1;
    return quote === DOUBLE && value.includes('\\') ? null : { kind: 'scalar', value, position };
  }

  #position(): Position {
    return { file: this.#file, line: this.#line, column: this.#at - this.#lineStart + 1 };
  }
}

/** By YAML's core schema. */
function scalar(text: string, position: Position): YamlNode | null {
  const resolved = RESOLVED.get(text);
  if (resolved !== undefined) return { kind: 'scalar', value: resolved, position };
  if (!NUMBER_START.test(text)) return { kind: 'scalar', value: text, position };
  if (WHOLE_NUMBER.test(text)) return { kind: 'scalar', value: Number(text), position };
  return NOT_IN_NUMBERS.test(text) ? { kind: 'scalar', value: text, position } : null;
}

const RESOLVED: ReadonlyMap<string, boolean | null> = new Map<string, boolean | null>([
  ...['null', 'Null', 'NULL', '~'].map((text) => [text, null] as const),
  ...['true', 'True', 'TRUE'].map((text) => [text, true] as const),
  ...['false', 'False', 'FALSE'].map((text) => [text, false] as const),
]);

const NOT_PLAIN = /[^\n\x20-\x7e]/;
/** A text that begins with none of the indicators. */
const PLAIN = /[^\s\-?:,[\]{}#&*!|>'"%@`][^\n]*/y;
const FLOW_PLAIN = /[^\s\-?:,[\]{}#&*!|>'"%@`](?:[^\n,[\]{}#:]|:(?![\s,[\]{}]))*/y;
const KEY = /([A-Za-z_][\w./-]{0,200}):(?=[ \n]|$)|"([^"\n]{1,200})":(?=[ \n]|$)|'([^'\n]{1,200})':(?=[ \n]|$)/y;
const FLOW_KEY = /([A-Za-z_][\w./-]{0,200}):(?= )|"([^"\n]{1,200})":|'([^'\n]{1,200})':/y;
const NUMBER_START = /^[-+.\d]/;
const WHOLE_NUMBER = /^(?:0|[1-9]\d{0,14})$/;
/** What stands in no number, decimal or not, finite or not. */
const NOT_IN_NUMBERS = /[^-+.\da-fA-FxXoOiInN_eE]/;

const MAX_PLAIN_DEPTH = 32;
const SPACE = 0x20;
const DOUBLE = 0x22;
const HASH = 0x23;
const SINGLE = 0x27;
const COMMA = 0x2c;
const DASH = 0x2d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_MAP = 0x7b;
const CLOSE_MAP = 0x7d;
