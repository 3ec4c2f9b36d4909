/**
 * Finds and reads policy files: those that were named, and within folders every *.yaml, *.yml and *.json, sub-folders included,
 * in the order of their names. Hidden names are passed over, so that a mounted ConfigMap (`..data`) is read once. Bounded in
 * size, number and depth; what cannot be read is a fault, because a policy that is not seen might be a DENY.
 */
import { lstatSync, readFileSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';

import type { DocumentFault } from '#proto/prepare.ts';

import { reasonOf } from './file-error.ts';

export interface PolicySource {
  /** As it was named, so that a fault reads like the command line that found it. */
  readonly file: string;
  readonly text: string;
}

export interface PolicySources {
  readonly sources: readonly PolicySource[];
  readonly faults: readonly DocumentFault[];
  /** Absolute paths of the files and folders that were looked at. */
  readonly watched: readonly string[];
}

/** Reads files and folders, in the order given. Never throws. */
export function readPolicyFiles(paths: readonly string[]): PolicySources {
  const search = new Search();
  for (const path of paths) search.visit(path, 0, true);
  return { sources: search.sources, faults: search.faults, watched: [...search.watched] };
}

class Search {
  readonly sources: PolicySource[] = [];
  readonly faults: DocumentFault[] = [];
  readonly watched = new Set<string>();
  readonly #seen = new Set<string>();
  #totalBytes = 0;

  visit(path: string, depth: number, isNamed: boolean): void {
    if (this.#isFull()) return;
    this.watched.add(resolve(path));
    try {
      const real = realpathSync(path);
      if (this.#seen.has(real)) return;
      this.#seen.add(real);
      const found = statSync(real);
      if (found.isDirectory()) this.#visitFolder(path, depth);
      else if (found.isFile() && (isNamed || EXTENSIONS.has(extname(path)))) this.#readFile(path, found.size);
      else if (isNamed) this.#refuse(path, 'PN0107', 'found neither a file nor a folder');
    } catch (error) {
      this.#refuse(path, 'PN0107', `found ${reasonOf(error)}, wanted a file or folder that can be read`);
    }
  }

  #visitFolder(path: string, depth: number): void {
    if (depth > MAX_DEPTH) return this.#refuse(path, 'PN0107', `found folders nested deeper than ${MAX_DEPTH}`);
    for (const name of readdirSync(path).toSorted()) {
      if (name.startsWith('.')) continue;
      const inner = join(path, name);
      // A link whose target is gone is a policy that is gone, when its name says so; any other is none of our business.
      const isRelevant = EXTENSIONS.has(extname(name)) || lstatSync(inner).isDirectory() || isFolder(inner);
      if (isRelevant) this.visit(inner, depth + 1, false);
    }
  }

  #readFile(path: string, size: number): void {
    if (size > MAX_FILE_BYTES) return this.#refuse(path, 'PN0102', `found ${size} bytes, wanted at most ${MAX_FILE_BYTES}`);
    const bytes = readFileSync(path);
    this.#totalBytes += bytes.length;
    try {
      this.sources.push({ file: path, text: UTF8.decode(bytes) });
    } catch {
      this.#refuse(path, 'PN0101', 'found bytes that are not UTF-8');
    }
  }

  #isFull(): boolean {
    if (this.sources.length < MAX_FILES && this.#totalBytes < MAX_TOTAL_BYTES) return false;
    const isSaid = this.faults.some(({ message }) => message === TOO_MUCH);
    if (!isSaid) this.#refuse(this.sources.at(-1)?.file ?? '', 'PN0102', TOO_MUCH);
    return true;
  }

  #refuse(file: string, code: string, message: string): void {
    this.faults.push({ file, line: 0, column: 0, code, path: '', message, fix: null });
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

const EXTENSIONS = new Set(['.yaml', '.yml', '.json']);
const MAX_FILE_BYTES = 1_048_576;
const MAX_FILES = 10_000;
const MAX_TOTAL_BYTES = 67_108_864;
const MAX_DEPTH = 8;
const TOO_MUCH = `found more than ${MAX_FILES} files or ${MAX_TOTAL_BYTES} bytes`;
const UTF8 = new TextDecoder('utf-8', { fatal: true });
