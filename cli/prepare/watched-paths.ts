/** What must be watched so that no change of the policies goes unseen: each file and folder that their reader looks at. */
import { readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Absolute paths, those that do not exist (yet) included. Hidden names are left out, as the reader leaves them out. */
export function watchedPaths(paths: readonly string[]): string[] {
  const found = new Set<string>();
  for (const path of paths) collect(resolve(path), 0, found);
  return [...found];
}

function collect(path: string, depth: number, found: Set<string>): void {
  if (depth > MAX_DEPTH || found.size > MAX_PATHS) return;
  found.add(path);
  if (!isFolder(path)) return;
  try {
    for (const name of readdirSync(path).toSorted()) {
      if (!name.startsWith('.')) collect(join(path, name), depth + 1, found);
    }
  } catch {
    // It cannot be read; that it is watched is enough.
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

const MAX_DEPTH = 9;
const MAX_PATHS = 20_000;
