/**
 * Tells that one of some files may have changed, by inotify on folders: the file's own, and that of each symbolic link on the way to it,
 * because Kubernetes and certbot swap links and never touch the file. A folder may hold a busy log as well, therefore names are
 * compared before anything else is done. Watching may fail (limits, network file systems, a folder that is replaced); whoever uses
 * this polls as well.
 */
import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { lstat, readlink } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, parse, relative, resolve, sep } from 'node:path';

/** Watches the folders that lead to some files. */
export class FolderWatch {
  readonly #onEvent: () => void;
  readonly #watchers = new Map<string, { watcher: FSWatcher; readonly names: Set<string> }>();
  #isClosed = false;

  constructor(onEvent: () => void) {
    this.#onEvent = onEvent;
  }

  /** Watches what now leads to these files, and stops watching what no longer does. Never throws. */
  async follow(files: readonly string[]): Promise<void> {
    const wanted = new Map<string, Set<string>>();
    const steps = (await Promise.all(files.map(stepsTo))).flat();
    const folders = [...new Set(steps.map(([folder]) => folder))];
    const inodes = new Map(await Promise.all(folders.map(async (folder) => [folder, await inodeOf(folder)] as const)));
    for (const [folder, name] of steps) {
      const key = `${inodes.get(folder) ?? 'none'}:${folder}`;
      const names = wanted.get(key) ?? new Set();
      names.add(name);
      wanted.set(key, names);
    }
    for (const [key, { watcher }] of this.#watchers) {
      if (wanted.has(key)) continue;
      watcher.close();
      this.#watchers.delete(key);
    }
    for (const [key, names] of wanted) this.#watchFolder(key, names);
  }

  close(): void {
    this.#isClosed = true;
    for (const { watcher } of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #watchFolder(key: string, names: Set<string>): void {
    if (this.#isClosed) return;
    const known = this.#watchers.get(key);
    if (known !== undefined) {
      for (const name of names) known.names.add(name);
      return;
    }
    try {
      const watcher = watch(key.slice(key.indexOf(':') + 1), { persistent: false }, (_event, name) => {
        if (name === null || names.has(name)) this.#onEvent();
      });
      watcher.on('error', () => {
        watcher.close();
        this.#watchers.delete(key);
      });
      this.#watchers.set(key, { watcher, names });
    } catch {
      // No such folder, or no watch left: the poll sees the change.
    }
  }
}

/** Each `[folder, name]` whose change can change what `file` is: the file, and every link on the way. */
async function stepsTo(file: string): Promise<[string, string][]> {
  const steps: [string, string][] = [];
  let path = resolve(file);
  for (let links = 0; links < MAX_LINKS; links++) {
    const link = await firstLink(path);
    if (link === null) break;
    steps.push([dirname(link.path), basename(link.path)]);
    const target = isAbsolute(link.target) ? link.target : join(dirname(link.path), link.target);
    path = join(target, relative(link.path, path));
  }
  steps.push([dirname(path), basename(path)]);
  return steps;
}

/** The first component of `path` that is a symbolic link, or null. */
async function firstLink(path: string): Promise<{ readonly path: string; readonly target: string } | null> {
  let at = parse(path).root;
  for (const part of path.slice(at.length).split(sep)) {
    at = join(at, part);
    try {
      if ((await lstat(at)).isSymbolicLink()) return { path: at, target: await readlink(at) };
    } catch {
      return null;
    }
  }
  return null;
}

async function inodeOf(folder: string): Promise<bigint | null> {
  try {
    return (await lstat(folder, { bigint: true })).ino;
  } catch {
    return null;
  }
}

/** As Linux's own limit, less. */
const MAX_LINKS = 16;
