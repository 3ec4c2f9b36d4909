/** Reads mappings field by field: every field is known or a fault, every value has its type or is a fault with its place. */
import type { PolicyFault, Position } from './model.ts';
import type { MessageCode } from './messages.ts';
import { nearestName } from './suggest.ts';
import { fault } from './yaml-documents.ts';
import type { YamlEntry, YamlList, YamlMap, YamlNode } from './yaml-node.ts';

/** Collects what is wrong with one document. */
export class FaultList {
  readonly faults: PolicyFault[] = [];

  add(code: MessageCode, at: Position, path: string, message: string, fix: string | null = null): void {
    if (this.faults.length < MAX_FAULTS) this.faults.push(fault(code, at, message, fix, path));
  }
}

/** A mapping being read. Each known field is asked for once; `finish` reports those that nobody asked for. */
export class FieldReader {
  readonly path: string;
  readonly position: Position;
  readonly #map: YamlMap;
  readonly #faults: FaultList;
  readonly #known: string[] = [];

  constructor(map: YamlMap, path: string, faults: FaultList) {
    this.#map = map;
    this.path = path;
    this.position = map.position;
    this.#faults = faults;
  }

  /** The value of a field, or null when it is absent or null. */
  node(name: string): YamlNode | null {
    this.#known.push(name);
    const entry = this.#map.entries.find(({ key }) => key === name);
    if (entry === undefined || (entry.value.kind === 'scalar' && entry.value.value === null)) return null;
    return entry.value;
  }

  text(name: string): string | null {
    const node = this.node(name);
    return node === null ? null : this.#text(node, this.at(name));
  }

  map(name: string): FieldReader | null {
    const node = this.node(name);
    return node === null ? null : this.asMap(node, this.at(name));
  }

  list(name: string): YamlList | null {
    const node = this.node(name);
    if (node === null) return null;
    if (node.kind === 'list') return node;
    this.#faults.add('PN0202', node.position, this.at(name), `Cannot read ${name}: found ${kindOf(node)}, wanted a list`);
    return null;
  }

  /** Strings of a list field; empty when it is absent. Each is told to `check` with its place. */
  texts(
    name: string,
    check: (text: string, at: Position, path: string) => void,
    { takesNumbers = false }: { readonly takesNumbers?: boolean } = {},
  ): readonly string[] {
    const list = this.list(name);
    if (list === null) return [];
    const path = this.at(name);
    if (list.items.length === 0) {
      const fix = `Remove ${name}, or give it a value`;
      this.#faults.add('PN0203', list.position, path, `Cannot read ${name}: an empty list would match everything`, fix);
    }
    if (list.items.length > MAX_LIST) {
      this.#faults.add('PN0209', list.position, path, `Cannot read ${name}: found more than ${MAX_LIST} values`);
      return [];
    }
    const texts: string[] = [];
    for (const [index, item] of list.items.entries()) {
      const itemPath = `${path}[${index}]`;
      const isNumber = takesNumbers && item.kind === 'scalar' && typeof item.value === 'number';
      const text = isNumber ? String(item.value) : this.#text(item, itemPath);
      if (text === null) continue;
      if (text === '') this.#faults.add('PN0203', item.position, itemPath, `Cannot read a value of ${name}: it is empty`);
      else if (text.length > MAX_TEXT) {
        this.#faults.add('PN0209', item.position, itemPath, `Cannot read a value of ${name}: longer than ${MAX_TEXT} characters`);
      } else {
        check(text, item.position, itemPath);
        texts.push(text);
      }
    }
    return texts;
  }

  /** String values of a mapping field. */
  textMap(name: string): Readonly<Record<string, string>> {
    const node = this.node(name);
    if (node === null) return {};
    if (node.kind !== 'map') {
      this.#faults.add('PN0202', node.position, this.at(name), `Cannot read ${name}: found ${kindOf(node)}, wanted a mapping`);
      return {};
    }
    const texts: [string, string][] = [];
    for (const entry of node.entries) {
      const text = this.#text(entry.value, `${this.at(name)}.${entry.key}`);
      if (text !== null) texts.push([entry.key, text]);
    }
    return Object.fromEntries(texts);
  }

  /** Mappings of a list field; an absent field has none. */
  maps(name: string): readonly FieldReader[] {
    const readers = (this.list(name)?.items ?? []).map((item, index) => this.asMap(item, `${this.at(name)}[${index}]`));
    return readers.filter((reader) => reader !== null);
  }

  /** Entries of a mapping field whose keys are data; empty when it is absent. */
  entries(name: string): readonly YamlEntry[] {
    const node = this.node(name);
    if (node === null) return [];
    if (node.kind === 'map') return node.entries;
    this.#wrongType(node, this.at(name), 'a mapping');
    return [];
  }

  flag(name: string): boolean | null {
    const node = this.node(name);
    if (node === null) return null;
    if (node.kind === 'scalar' && typeof node.value === 'boolean') return node.value;
    this.#wrongType(node, this.at(name), 'true or false');
    return null;
  }

  /** A whole number within bounds, both included. */
  integer(name: string, low: number, high: number): number | null {
    const node = this.node(name);
    if (node === null) return null;
    if (node.kind === 'scalar' && typeof node.value === 'number' && Number.isInteger(node.value)) {
      if (node.value >= low && node.value <= high) return node.value;
      this.#faults.add(
        'PN0211',
        node.position,
        this.at(name),
        `Cannot read ${name}: found ${node.value}, wanted ${low} to ${high}`,
      );
      return null;
    }
    this.#wrongType(node, this.at(name), 'a whole number');
    return null;
  }

  /** One of a few words; anything else is a fault that names the nearest. */
  word<W extends string>(name: string, words: readonly W[], code: MessageCode = 'PN0212'): W | null {
    const text = this.text(name);
    if (text === null) return null;
    const found = words.find((word) => word === text);
    if (found !== undefined) return found;
    const near = nearestName(text, words);
    const fix = near === null ? `Known: ${words.join(', ')}` : `Did you mean ${near}`;
    this.#faults.add(code, this.where(name), this.at(name), `Cannot read ${name}: "${text}" is none of its words`, fix);
    return null;
  }

  asMap(node: YamlNode, path: string): FieldReader | null {
    if (node.kind === 'map') return new FieldReader(node, path, this.#faults);
    this.#wrongType(node, path, 'a mapping');
    return null;
  }

  /** Fields that are there but need no reading. */
  pass(...names: readonly string[]): void {
    this.#known.push(...names);
  }

  has(name: string): boolean {
    return this.#map.entries.some(({ key }) => key === name);
  }

  /** Whether the field is there and says something, if only an empty list. */
  hasValue(name: string): boolean {
    const value = this.#map.entries.find(({ key }) => key === name)?.value;
    return value !== undefined && !(value.kind === 'scalar' && value.value === null);
  }

  /** Place of a field's key, else of the mapping. */
  where(name: string): Position {
    return this.#map.entries.find(({ key }) => key === name)?.keyPosition ?? this.position;
  }

  at(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }

  /** Whether every field was known. */
  finish(): boolean {
    let isWhole = true;
    for (const { key, keyPosition } of this.#map.entries) {
      if (this.#known.includes(key)) continue;
      isWhole = false;
      const near = nearestName(key, this.#known);
      const fix = near === null ? `Remove it; known here: ${this.#known.join(', ')}` : `Did you mean ${near}`;
      this.#faults.add('PN0201', keyPosition, this.at(key), `Cannot read "${key}": no such field here`, fix);
    }
    return isWhole;
  }

  #wrongType(node: YamlNode, path: string, wanted: string): void {
    this.#faults.add('PN0202', node.position, path, `Cannot read ${lastName(path)}: found ${kindOf(node)}, wanted ${wanted}`);
  }

  #text(node: YamlNode, path: string): string | null {
    if (node.kind === 'scalar' && typeof node.value === 'string') return node.value;
    const fix = node.kind === 'scalar' && node.value !== null ? `Quote it: "${String(node.value)}"` : null;
    this.#faults.add('PN0202', node.position, path, `Cannot read ${lastName(path)}: found ${kindOf(node)}, wanted a string`, fix);
    return null;
  }
}

export function kindOf(node: YamlNode): string {
  if (node.kind === 'map') return 'a mapping';
  if (node.kind === 'list') return 'a list';
  return node.value === null ? 'nothing' : `the ${typeof node.value} ${String(node.value)}`;
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}

const MAX_FAULTS = 100;
const MAX_LIST = 4096;
const MAX_TEXT = 8192;
