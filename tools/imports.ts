/**
 * What each source file imports, read with a real parser, and what a process reaches by it. Knows nothing of which import is
 * right: that is the table of tools/layers.ts.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';

import { parseSync, Visitor } from 'oxc-parser';

export interface Import {
  /** As written: `#authz/plan/compiled.ts`, `./head.ts`, `node:net`, `zod`. */
  readonly specifier: string;
  /** Whether nothing of it is left when types are stripped. */
  readonly isType: boolean;
  /** From 1. */
  readonly line: number;
}

export interface SourceFile {
  /** Relative to the root, with slashes. */
  readonly path: string;
  readonly imports: readonly Import[];
}

/** Every TypeScript file below the given top-level folders, generated ones included. */
export function readSources(root: string, folders: readonly string[]): ReadonlyMap<string, SourceFile> {
  const sources = new Map<string, SourceFile>();
  for (const folder of folders) {
    for (const file of globSync(`${folder}/**/*.ts`, { cwd: root }).sort()) {
      const path = file.replaceAll('\\', '/');
      sources.set(path, { path, imports: readImports(path, readFileSync(join(root, path), 'utf8')) });
    }
  }
  return sources;
}

export function readImports(path: string, text: string): readonly Import[] {
  const { module, program, errors } = parseSync(path, text);
  const [error] = errors;
  if (error !== undefined) throw new Error(`Cannot parse "${path}": ${error.message}`);

  const found: Import[] = [];
  const add = (specifier: string, start: number, isType: boolean): void => {
    found.push({ specifier, isType, line: text.slice(0, start).split('\n').length });
  };
  for (const { moduleRequest, start } of module.staticImports) {
    // `import { type A }` leaves an import for its side effects; only `import type` is gone.
    add(moduleRequest.value, start, text.startsWith('import type ', start));
  }
  for (const { entries, start } of module.staticExports) {
    const request = entries.find((entry) => entry.moduleRequest !== null)?.moduleRequest;
    if (request) add(request.value, start, text.startsWith('export type ', start));
  }
  new Visitor({
    ImportExpression({ source, start }) {
      if (source.type === 'Literal' && typeof source.value === 'string') add(source.value, start, false);
    },
    TSImportType({ source, start }) {
      add(source.value, start, true);
    },
  }).visit(program);
  return found.toSorted((a, b) => a.line - b.line);
}

/** The file that a specifier means, relative to the root, or null for a package or a part of Node. */
export function resolveImport(from: string, specifier: string): string | null {
  if (specifier.startsWith('#')) return specifier.slice(1);
  if (specifier.startsWith('.')) return posix.normalize(posix.join(posix.dirname(from), specifier));
  return null;
}

/** `@scope/name` or `name` of a package's specifier; null for files and parts of Node. */
export function packageOf(specifier: string): string | null {
  if (specifier.startsWith('#') || specifier.startsWith('.') || specifier.startsWith('node:')) return null;
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

/** The files that a process loads, or can load later, from its entry point on; each with the file that leads to it. */
export function reachableFrom(entry: string, sources: ReadonlyMap<string, SourceFile>): ReadonlyMap<string, string | null> {
  const reached = new Map<string, string | null>([[entry, null]]);
  for (const path of reached.keys()) {
    for (const { specifier, isType } of sources.get(path)?.imports ?? []) {
      const target = resolveImport(path, specifier);
      if (target !== null && !isType && !reached.has(target)) reached.set(target, path);
    }
  }
  return reached;
}

/** The given packages and all that they depend on in turn, as installed. */
export function withDependencies(root: string, packages: readonly string[]): ReadonlySet<string> {
  const all = new Set(packages);
  for (const name of all) {
    for (const dependency of dependenciesOf(join(root, 'node_modules', name, 'package.json'))) all.add(dependency);
  }
  return all;
}

function dependenciesOf(manifest: string): readonly string[] {
  if (!existsSync(manifest)) throw new Error(`Cannot read "${dirname(manifest)}": not installed; run npm ci`);
  const parsed: unknown = JSON.parse(readFileSync(manifest, 'utf8'));
  const listed = typeof parsed === 'object' && parsed !== null && 'dependencies' in parsed ? parsed.dependencies : null;
  return typeof listed === 'object' && listed !== null ? Object.keys(listed) : [];
}
