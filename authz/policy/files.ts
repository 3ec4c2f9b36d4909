/**
 * Reads policies from files and folders. The one module of authz that touches the file system; the command line and the preparer
 * call it, the data path never does.
 */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import type { PolicyFault } from './model.ts';
import { failedReading, joinReadings, readPolicies } from './read.ts';
import type { PolicyReading, ReadOptions } from './read.ts';
import { MAX_FILE_BYTES, fault } from './yaml-documents.ts';

/**
 * Reads each file, and of each folder the `*.yaml`, `*.yml` and `*.json` files, sub-folders included. Names that start with a dot
 * are passed over: Kubernetes keeps the former versions of a mounted ConfigMap under such names.
 */
export function readPolicyFiles(paths: readonly string[], options: ReadOptions = {}): PolicyReading {
  const readings: PolicyReading[] = [];
  for (const path of paths) {
    for (const file of filesOf(path, 0)) readings.push(typeof file === 'string' ? readFile(file, options) : failedReading(file));
  }
  return joinReadings(readings);
}

function filesOf(path: string, depth: number): readonly (string | PolicyFault)[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    if (depth > MAX_FOLDER_DEPTH) return [unreadable(path, 'folders are nested too deep')];
    const names = readdirSync(path).toSorted();
    const found: (string | PolicyFault)[] = [];
    for (const name of names) {
      if (name.startsWith('.')) continue;
      const inner = join(path, name);
      if (/\.(?:ya?ml|json)$/.test(name) || statSync(inner).isDirectory()) found.push(...filesOf(inner, depth + 1));
      if (found.length > MAX_FILES) return [unreadable(path, `found more than ${MAX_FILES} files`)];
    }
    return found;
  } catch (error) {
    return [unreadable(path, reason(error))];
  }
}

function readFile(file: string, options: ReadOptions): PolicyReading {
  try {
    if (statSync(file).size > MAX_FILE_BYTES)
      return failedReading(unreadable(file, `found more than ${MAX_FILE_BYTES} bytes`, 'PN0102'));
    const text = readFileSync(file, 'utf8');
    return isTestOfPolicies(file, text) || isDescription(text) ? joinReadings([]) : readPolicies(text, file, options);
  } catch (error) {
    return failedReading(unreadable(file, reason(error)));
  }
}

/** Cases beside the policies: by name and by content, so that no policy is passed over for its file's name. */
function isTestOfPolicies(file: string, text: string): boolean {
  return /_test\.ya?ml$/.test(file) && /^cases:/m.test(text) && !/^\s*(?:["']?(?:kind|apiVersion)["']?\s*:|[{[])/m.test(text);
}

/**
 * A description of an API, as it may lie beside the policies that are about it. By its content: one document, an OpenAPI one, and none
 * of Kubernetes in it.
 */
function isDescription(text: string): boolean {
  const names = text.trimStart().startsWith('{') ? namesOfJson(text) : namesOfYaml(text);
  return (
    names.some((name) => name === 'openapi' || name === 'swagger') && !names.includes('kind') && !names.includes('apiVersion')
  );
}

function namesOfJson(text: string): readonly string[] {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? Object.keys(value) : [];
  } catch {
    return [];
  }
}

/** Keys at the start of a line; none where there is a second document. */
function namesOfYaml(text: string): readonly string[] {
  const documents = text.split(/^(?:---|\.\.\.).*$/m).filter((part) => part.replaceAll(/^\s*#.*$/gm, '').trim() !== '');
  if (documents.length !== 1) return [];
  return Array.from(text.matchAll(/^["']?([a-zA-Z]+)["']?\s*:/gm), ([, name = '']) => name);
}

function unreadable(file: string, why: string, code: 'PN0102' | 'PN0107' = 'PN0107'): PolicyFault {
  return fault(code, { file, line: 0, column: 0 }, `Cannot read "${file}": ${why}`);
}

function reason(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

const MAX_FOLDER_DEPTH = 8;
const MAX_FILES = 10_000;
