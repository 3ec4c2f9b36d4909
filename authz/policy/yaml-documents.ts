/**
 * YAML 1.2 (core schema) as a tree with positions, under limits: 1 MiB, 64 levels, no anchors, aliases or tags, no key twice, and
 * no key that a JavaScript object could mistake for its own. Depth is measured on the parser's flat tokens, because the composer
 * recurses.
 */
import { Composer, LineCounter, Parser, isAlias, isMap, isScalar, isSeq } from 'yaml';
import type { CST, Document, Node } from 'yaml';

import type { PolicyFault, Position } from './model.ts';
import type { MessageCode } from './messages.ts';
import { readPlainYaml } from './plain-yaml.ts';
import { FORBIDDEN_KEYS } from './yaml-node.ts';
import type { YamlEntry, YamlNode, YamlScalar } from './yaml-node.ts';

/** Documents of a file that are not empty, and what is wrong with it as YAML; with a fault there are no documents. */
export interface YamlFile {
  readonly documents: readonly YamlNode[];
  readonly faults: readonly PolicyFault[];
}

export function parseYamlFile(text: string, file: string): YamlFile {
  if (Buffer.byteLength(text) > MAX_FILE_BYTES) {
    const message = `Cannot read "${file}": found more than ${MAX_FILE_BYTES} bytes`;
    return { documents: [], faults: [fault('PN0102', { file, line: 0, column: 0 }, message, 'Split it into several files')] };
  }
  const documents = readPlainYaml(text, file);
  return documents === null ? new YamlReader(text, file).read() : { documents, faults: [] };
}

/** A fault about a document as such; those about fields have a path. */
export function fault(code: MessageCode, at: Position, message: string, fix: string | null = null, path = ''): PolicyFault {
  return { file: at.file, line: at.line, column: at.column, code, path, message, fix };
}

export const MAX_FILE_BYTES = 1_048_576;
export const MAX_DEPTH = 64;

class YamlReader {
  readonly #text: string;
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly #faults: PolicyFault[] = [];

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  read(): YamlFile {
    const tokens = [...new Parser(this.#lines.addNewLine).parse(this.#text)];
    for (const token of tokens) this.#measure(token);
    if (this.#faults.length > 0) return { documents: [], faults: this.#faults };

    const composer = new Composer({ schema: 'core', uniqueKeys: true, merge: false, strict: true });
    const documents: YamlNode[] = [];
    for (const document of composer.compose(tokens)) this.#addDocument(document, documents);
    return { documents: this.#faults.length > 0 ? [] : documents, faults: this.#faults };
  }

  #addDocument(document: Document.Parsed, documents: YamlNode[]): void {
    for (const problem of [...document.errors, ...document.warnings]) {
      const code = problem.code === 'DUPLICATE_KEY' ? 'PN0105' : problem.code === 'TAG_RESOLVE_FAILED' ? 'PN0104' : 'PN0101';
      const text = problem.message.split('\n')[0] ?? '';
      this.#add(code, problem.pos[0], `Cannot read "${this.#file}" as YAML: ${text}`);
    }
    if (document.errors.length > 0 || document.contents === null) return;
    const node = this.#convert(document.contents);
    if (node !== null && !(node.kind === 'scalar' && node.value === null)) documents.push(node);
  }

  #convert(node: Node): YamlNode | null {
    const offset = node.range?.[0] ?? 0;
    if (isAlias(node)) {
      this.#add('PN0104', offset, 'Cannot read an alias: documents are written without anchors, aliases and tags');
      return null;
    }
    if (node.anchor !== undefined || (node.tag !== undefined && !DEFAULT_TAGS.has(node.tag))) {
      this.#add('PN0104', offset, 'Cannot read an anchor or a tag: documents are written without anchors, aliases and tags');
      return null;
    }
    const position = this.#position(offset);
    if (isMap(node)) {
      const entries: YamlEntry[] = [];
      for (const pair of node.items) {
        const entry = this.#convertPair(pair.key, pair.value, position);
        if (entry !== null) entries.push(entry);
      }
      return { kind: 'map', entries, position };
    }
    if (isSeq(node)) {
      const items: YamlNode[] = [];
      for (const item of node.items) {
        // Items of a parsed list are nodes; what is left out between commas parses as null.
        const converted = item === null ? this.#nothing(position) : this.#convert(item as Node);
        if (converted !== null) items.push(converted);
      }
      return { kind: 'list', items, position };
    }
    if (isScalar(node)) return this.#convertScalar(node.value, position);
    return this.#nothing(position);
  }

  #convertPair(key: unknown, value: unknown, parent: Position): YamlEntry | null {
    // Keys and values of parsed maps are nodes or null.
    const keyNode = key as Node | null;
    const keyOffset = keyNode?.range?.[0] ?? 0;
    if (keyNode === null || !isScalar(keyNode) || typeof keyNode.value !== 'string' || keyNode.anchor !== undefined) {
      this.#add('PN0101', keyOffset, 'Cannot read a key: keys are plain strings');
      return null;
    }
    if (FORBIDDEN_KEYS.has(keyNode.value)) {
      this.#add('PN0106', keyOffset, `Cannot read the key "${keyNode.value}": no document may hold it`);
      return null;
    }
    const converted = value === null || value === undefined ? this.#nothing(parent) : this.#convert(value as Node);
    if (converted === null) return null;
    return { key: keyNode.value, keyPosition: this.#position(keyOffset), value: converted };
  }

  #convertScalar(value: unknown, position: Position): YamlScalar {
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || value === null) {
      return { kind: 'scalar', value, position };
    }
    // No other type comes of the core schema; an empty text is refused wherever a text is read.
    return { kind: 'scalar', value: '', position };
  }

  #nothing(position: Position): YamlScalar {
    return { kind: 'scalar', value: null, position };
  }

  /** Refuses what is nested too deep, without recursing into it. */
  #measure(root: CST.Token): void {
    const pending: { token: CST.Token; depth: number }[] = [{ token: root, depth: 0 }];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const { token, depth } = next;
      if (depth > MAX_DEPTH) {
        this.#add('PN0103', token.offset, `Cannot read "${this.#file}": nested deeper than ${MAX_DEPTH} levels`);
        return;
      }
      if (token.type === 'document' && token.value !== undefined) pending.push({ token: token.value, depth });
      if (token.type === 'block-map' || token.type === 'block-seq' || token.type === 'flow-collection') {
        for (const item of token.items) {
          if (item.key !== undefined && item.key !== null) pending.push({ token: item.key, depth: depth + 1 });
          if (item.value !== undefined) pending.push({ token: item.value, depth: depth + 1 });
        }
      }
    }
  }

  #add(code: MessageCode, offset: number, message: string): void {
    if (this.#faults.length < MAX_FAULTS) this.#faults.push(fault(code, this.#position(offset), message));
  }

  #position(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset);
    return { file: this.#file, line, column: col };
  }
}

const MAX_FAULTS = 100;
const DEFAULT_TAGS = new Set([
  'tag:yaml.org,2002:str',
  'tag:yaml.org,2002:map',
  'tag:yaml.org,2002:seq',
  'tag:yaml.org,2002:null',
  'tag:yaml.org,2002:bool',
  'tag:yaml.org,2002:int',
  'tag:yaml.org,2002:float',
]);
