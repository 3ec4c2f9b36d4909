/**
 * `postern policy fmt`: policy files in one form: members in their usual order, two blanks a level, comments kept where they stand.
 * What a file says is read again before it is written: a file that would say anything else is left as it is.
 */
import { readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { isMap, isScalar, isSeq, parseAllDocuments } from 'yaml';
import type { Document, Scalar } from 'yaml';

import { readPolicies } from '#authz/policy/read.ts';

import { EXIT, ExitError } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import { faultLine } from './policy-decide.ts';
import type { VerbStreams } from './verb.ts';

export interface PolicyFmtOptions {
  readonly files: readonly string[];
  /** `print` one file; `check` tells which files would change; `write` changes them. */
  readonly action: 'print' | 'check' | 'write';
}

/** 79 when `check` finds a file that would change. */
export function policyFmt({ action, files }: PolicyFmtOptions, io: VerbStreams): Promise<ExitStatus> {
  const paths = files.flatMap(yamlFilesIn);
  if (action === 'print' && paths.length !== 1) {
    throw new ExitError(EXIT.usage, `Cannot print ${paths.length} files at once`, 'Name one file, or say --write or --check');
  }
  let isChanged = false;
  for (const path of paths) {
    const text = readFileSync(path, 'utf8');
    const formatted = formatPolicies(text, path);
    if (action === 'print') io.stdout.write(formatted);
    else if (formatted !== text) {
      isChanged = true;
      io.stdout.write(`${path}\n`);
      if (action === 'write') replaceFile(path, formatted);
    }
  }
  return Promise.resolve(isChanged && action === 'check' ? EXIT.findings : EXIT.ok);
}

/** @throws {ExitError} with status 65 for a file that is no valid policy file, or that would say something else afterwards */
export function formatPolicies(text: string, file: string): string {
  const meaning = meaningOf(text, file);
  // Comments settle where the writer puts them; then nothing moves any more.
  const formatted = formatOnce(formatOnce(text));
  if (formatOnce(formatted) !== formatted) throw new ExitError(EXIT.data, `Cannot format "${file}": its comments find no place`);
  if (meaningOf(formatted, file) !== meaning)
    throw new ExitError(EXIT.data, `Cannot format "${file}": it would say something else`);
  return formatted;
}

function formatOnce(text: string): string {
  const documents = parseAllDocuments(text);
  // Nothing but comments.
  return Array.isArray(documents) ? documents.map(formatDocument).join('---\n') : text;
}

function meaningOf(text: string, file: string): string {
  const { faults, set } = readPolicies(text, file, { ignoreKinds: true });
  const [first] = faults;
  if (first !== undefined) throw new ExitError(EXIT.data, faultLine(first));
  return JSON.stringify(set, (key, value: unknown) => (key === 'position' ? undefined : value));
}

function formatDocument(document: Document): string {
  const [before] = isMap(document.contents) ? document.contents.items : [];
  order(document.contents, DOCUMENT_ORDER);
  const [after] = isMap(document.contents) ? document.contents.items : [];
  if (before !== after && isScalar(before?.key) && isScalar(after?.key)) moveComment(before.key, after.key);
  if (document.directives !== undefined) document.directives.docStart = null;
  return document.toString({ indent: 2, lineWidth: 0, flowCollectionPadding: true });
}

/** A comment above the first member is about the whole document. */
function moveComment(from: Scalar, to: Scalar): void {
  if (from.commentBefore === null || from.commentBefore === undefined) return;
  to.commentBefore = [from.commentBefore, to.commentBefore].filter((text) => text !== null && text !== undefined).join('\n');
  from.commentBefore = null;
}

/** Members that are named come first, in that order; the others stay in theirs. */
function order(node: unknown, names: readonly string[]): void {
  if (isSeq(node)) for (const item of node.items) order(item, names);
  if (!isMap(node)) return;
  const rank = (key: unknown): number => {
    const at = names.indexOf(nameOf(key));
    return at < 0 ? names.length : at;
  };
  node.items.sort((left, right) => rank(left.key) - rank(right.key));
  for (const { key, value } of node.items) {
    const inner = ORDERS[nameOf(key)];
    if (inner !== undefined) order(value, inner);
  }
}

function nameOf(key: unknown): string {
  return isScalar(key) ? String(key.value) : '';
}

function yamlFilesIn(path: string): readonly string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.ya?ml$/.test(name) && !/_test\.ya?ml$/.test(name))
    .toSorted()
    .map((name) => join(path, name));
}

function replaceFile(path: string, text: string): void {
  const beside = `${path}.${process.pid}.new`;
  writeFileSync(beside, text, { mode: statSync(path).mode });
  renameSync(beside, path);
}

const DOCUMENT_ORDER = ['apiVersion', 'kind', 'metadata', 'spec'];
const ORDERS: Readonly<Record<string, readonly string[]>> = {
  metadata: ['name', 'namespace', 'labels', 'annotations'],
  spec: [
    'scope',
    'tier',
    'inheritance',
    'priority',
    'selector',
    'targetRefs',
    'mode',
    'notBefore',
    'expires',
    'schedule',
    'action',
    'provider',
    'api',
    'mtls',
    'rules',
  ],
  rules: ['name', 'from', 'to', 'when'],
  when: ['key', 'values', 'notValues'],
};
