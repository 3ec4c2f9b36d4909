/** A configuration file as plain values, with the place of each; the YAML itself is read by authz's one reader. */
import { parseYamlFile } from '#authz/policy/yaml-documents.ts';
import type { YamlNode } from '#authz/policy/yaml-node.ts';

import type { DocumentFault } from '../prepare.ts';

/** From 1. */
export interface LinePosition {
  readonly line: number;
  readonly column: number;
}

export type DocumentPath = readonly (string | number)[];

/** A document's value, and the place of each part of it. */
export class LocatedDocument {
  readonly value: unknown;
  readonly #root: YamlNode;

  constructor(root: YamlNode) {
    this.value = valueOf(root);
    this.#root = root;
  }

  /** Where the value at `path` stands; its key when the value is empty; where there is neither, the nearest thing around it. */
  locate(path: DocumentPath): LinePosition {
    const last = path.at(-1);
    if (typeof last === 'string' && this.#isEmpty(path)) return this.locateKey(path.slice(0, -1), last);
    let node = this.#root;
    for (const step of path) {
      const inner = stepInto(node, step);
      if (inner === null) break;
      node = inner;
    }
    return { line: node.position.line, column: node.position.column };
  }

  /** Where the key `key` of the map at `path` stands. */
  locateKey(path: DocumentPath, key: string): LinePosition {
    const node = this.#node(path);
    const entry = node?.kind === 'map' ? node.entries.find((candidate) => candidate.key === key) : undefined;
    if (entry === undefined) return this.locate(path);
    return { line: entry.keyPosition.line, column: entry.keyPosition.column };
  }

  #isEmpty(path: DocumentPath): boolean {
    const node = this.#node(path);
    return node?.kind === 'scalar' && node.value === null;
  }

  #node(path: DocumentPath): YamlNode | null {
    let node: YamlNode | null = this.#root;
    for (const step of path) node = node === null ? null : stepInto(node, step);
    return node;
  }
}

/** Reads a text that must hold one document. */
export function locateDocument(text: string, file: string): LocatedDocument | DocumentFault {
  const { documents, faults } = parseYamlFile(text, file);
  // What follows the first fault of syntax is mostly its echo.
  if (faults[0] !== undefined) return faults[0];
  const [root, second] = documents;
  const { line, column } = second?.position ?? { line: 1, column: 1 };
  const refused = { file, line, column, code: 'PN0502', path: '' };
  if (root === undefined) return { ...refused, message: 'found nothing, wanted a document of kind Proxy', fix: null };
  if (second !== undefined) return { ...refused, message: 'found a second document, wanted one', fix: 'use a file for each' };
  return new LocatedDocument(root);
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

function stepInto(node: YamlNode, step: string | number): YamlNode | null {
  if (node.kind === 'list') return typeof step === 'number' ? (node.items[step] ?? null) : null;
  if (node.kind === 'map') return node.entries.find(({ key }) => key === step)?.value ?? null;
  return null;
}

/** The reader has bounded the depth. */
function valueOf(node: YamlNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(valueOf);
  return Object.fromEntries(node.entries.map(({ key, value }) => [key, valueOf(value)]));
}

const PLAIN_KEY = /^[A-Za-z_][\w-]*$/u;
