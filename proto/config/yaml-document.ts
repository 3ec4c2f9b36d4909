/**
 * The one way in which a configuration file's YAML is read (YAML 1.2, core schema; JSON is a subset): values, and for each of
 * them where it stands. What makes two readers see two documents is refused: aliases, tags, repeated keys, keys that are no
 * text, `__proto__`, nesting over 64, more than 1 MB.
 */
import { Lexer, LineCounter, isAlias, isMap, isScalar, isSeq, parseAllDocuments } from 'yaml';
import type { Document, Node } from 'yaml';

import type { ConfigMessageCode } from './messages.ts';

/** From 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Why a text is no document, before anything is known of its meaning. */
export interface YamlFault extends Position {
  readonly code: ConfigMessageCode;
  readonly path: string;
  readonly message: string;
  readonly fix: string | null;
}

export type DocumentPath = readonly (string | number)[];

/** A document's value, and the place of each part of it. */
export class LocatedDocument {
  readonly value: unknown;
  readonly #document: Document.Parsed;
  readonly #lines: LineCounter;

  constructor(value: unknown, document: Document.Parsed, lines: LineCounter) {
    this.value = value;
    this.#document = document;
    this.#lines = lines;
  }

  /** Where the value at `path` stands; where there is none, the nearest thing around it. */
  locate(path: DocumentPath): Position {
    for (let length = path.length; length >= 0; length--) {
      const node = this.#node(path.slice(0, length));
      if (node?.range) return positionAt(this.#lines, node.range[0]);
    }
    return { line: 1, column: 1 };
  }

  /** Where the key `key` of the map at `path` stands. */
  locateKey(path: DocumentPath, key: string): Position {
    const map = this.#node(path);
    const pair = isMap(map) ? map.items.find((item) => isScalar(item.key) && item.key.value === key) : undefined;
    return isScalar(pair?.key) && pair.key.range ? positionAt(this.#lines, pair.key.range[0]) : this.locate([...path, key]);
  }

  #node(path: DocumentPath): Node | null | undefined {
    let node: unknown = this.#document.contents;
    for (const step of path) {
      if (isMap(node) && typeof step === 'string') {
        node = node.items.find((item) => isScalar(item.key) && item.key.value === step)?.value;
      } else if (isSeq(node) && typeof step === 'number') {
        node = node.items[step];
      } else {
        return null;
      }
    }
    return isMap(node) || isSeq(node) || isScalar(node) ? node : null;
  }
}

/** Reads a text that must hold one document. */
export function readYamlDocument(text: string): { document: LocatedDocument | null; faults: YamlFault[] } {
  const refuse = (code: ConfigMessageCode, position: Position, message: string, fix: string | null = null) => ({
    document: null,
    faults: [{ code, ...position, path: '', message, fix }],
  });
  if (Buffer.byteLength(text) > MAX_BYTES) return refuse('PN0501', START, `found more than ${MAX_BYTES} bytes`);
  if (isTooDeep(text)) return refuse('PN0503', START, `found brackets nested deeper than ${MAX_DEPTH}`);

  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, logLevel: 'silent', stringKeys: false });
  const [document, second] = 'empty' in documents ? [] : documents;
  if (document === undefined || document.contents === null) return refuse('PN0504', START, 'found nothing, wanted one document');

  // What follows the first fault of syntax is mostly its echo.
  const [error] = document.errors;
  if (error !== undefined) {
    return { document: null, faults: [syntaxFault(error.code, error.message, positionAt(lines, error.pos[0]))] };
  }
  if (second !== undefined) {
    const at = second.contents?.range?.[0] ?? 0;
    return refuse('PN0504', positionAt(lines, at), 'found a second document, wanted one');
  }
  if (document.directives.yaml.explicit && document.directives.yaml.version !== '1.2') {
    return refuse('PN0503', START, `found %YAML ${document.directives.yaml.version}, wanted YAML 1.2`);
  }

  const reader = new NodeReader(lines);
  const value = reader.read(document.contents, []);
  return reader.faults.length > 0
    ? { document: null, faults: reader.faults }
    : { document: new LocatedDocument(value, document, lines), faults: [] };
}

/** `spec.inbound[0].listen`. */
export function pathText(path: DocumentPath): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (PLAIN_KEY.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}

/** Makes plain values of nodes; the library's own way would follow aliases and tags. */
class NodeReader {
  readonly faults: YamlFault[] = [];
  readonly #lines: LineCounter;

  constructor(lines: LineCounter) {
    this.#lines = lines;
  }

  read(node: unknown, path: DocumentPath): unknown {
    if (node === null || node === undefined) return null;
    if (isAlias(node)) return this.#refuse(node, path, `found the alias "*${node.source}", wanted the value itself`);
    if (!isMap(node) && !isSeq(node) && !isScalar(node)) return this.#refuse(node, path, 'found something that is no value');
    if (node.tag !== undefined && !CORE_TAGS.has(node.tag))
      return this.#refuse(node, path, `found the tag "${node.tag}", wanted none`);
    if (path.length > MAX_DEPTH) return this.#refuse(node, path.slice(0, 4), `found values nested deeper than ${MAX_DEPTH}`);
    if (isScalar(node)) return node.value;
    if (isSeq(node)) return node.items.map((item, index) => this.read(item, [...path, index]));

    const entries: [string, unknown][] = [];
    for (const { key, value } of node.items) {
      if (!isScalar(key) || typeof key.value !== 'string') {
        this.#refuse(key, path, 'found a key that is no text', 'put the key in quotes');
      } else if (key.value === '__proto__') {
        this.#refuse(key, path, 'found the key "__proto__", wanted any other');
      } else {
        entries.push([key.value, this.read(value, [...path, key.value])]);
      }
    }
    return Object.fromEntries(entries);
  }

  #refuse(node: unknown, path: DocumentPath, message: string, fix: string | null = null): null {
    const range = isAlias(node) || isMap(node) || isSeq(node) || isScalar(node) ? node.range : null;
    this.faults.push({ code: 'PN0503', ...positionAt(this.#lines, range?.[0] ?? 0), path: pathText(path), message, fix });
    return null;
  }
}

function syntaxFault(code: string, message: string, position: Position): YamlFault {
  if (code === 'DUPLICATE_KEY') {
    return {
      code: 'PN0503',
      ...position,
      path: '',
      message: 'found a key that the map already has, wanted each key once',
      fix: null,
    };
  }
  const fix = code === 'TAB_AS_INDENT' ? 'indent with blanks' : null;
  return { code: 'PN0502', ...position, path: '', message: `found no valid YAML: ${lowerFirst(message)}`, fix };
}

/** Nesting that would exhaust the composer's stack is found by the lexer, which has none. */
function isTooDeep(text: string): boolean {
  let brackets = 0;
  let dashes = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') brackets++;
    else if (token === ']' || token === '}') brackets--;
    else if (token === '-' || token === '?') dashes++;
    else if (token.startsWith('\n') || token.startsWith('\r')) dashes = 0;
    if (brackets > MAX_DEPTH || dashes > MAX_DEPTH) return true;
  }
  return false;
}

function positionAt(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  // The counter answers 0 for a text without a line break before `offset`.
  return line === 0 ? { line: 1, column: offset + 1 } : { line, column: col };
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

export const MAX_BYTES = 1_048_576;
const MAX_DEPTH = 64;
const START: Position = { line: 1, column: 1 };
const PLAIN_KEY = /^[A-Za-z_][\w-]*$/u;
const CORE_TAGS = new Set(['map', 'seq', 'str', 'int', 'float', 'bool', 'null'].map((name) => `tag:yaml.org,2002:${name}`));
