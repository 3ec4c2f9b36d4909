/**
 * Notices that a policy or the configuration file changed: by the kernel's notice and by looking every few seconds, because
 * notices get lost on some file systems. Files that are swapped by a symbolic link (Kubernetes) are seen through it.
 */
import { performance } from 'node:perf_hooks';
import { statSync, watch, readdirSync, type FSWatcher } from 'node:fs';
import { basename, dirname, join } from 'node:path';

export interface ConfigWatchOptions {
  /** Files and folders. */
  readonly paths: readonly string[];
  readonly pollMs: number;
  /** Called after the last of a burst of changes. */
  readonly onChange: () => void;
}

export class ConfigWatch {
  readonly #options: ConfigWatchOptions;
  readonly #watchers: FSWatcher[] = [];
  readonly #poll: NodeJS.Timeout;
  #settle: NodeJS.Timeout | null = null;
  /** When the first notice of the burst came. */
  #noticedMs = 0;
  #fingerprint: string;

  constructor(options: ConfigWatchOptions) {
    this.#options = options;
    this.#fingerprint = fingerprint(options.paths);
    for (const [folder, names] of watchedNames(options.paths)) {
      try {
        const watcher = watch(folder, { persistent: false }, (_event, name) => {
          if (names === null || name === null || names.has(name)) this.#noticed();
        });
        watcher.on('error', () => {});
        this.#watchers.push(watcher);
      } catch {
        // Polling still sees it.
      }
    }
    this.#poll = setInterval(() => this.#look(), options.pollMs).unref();
  }

  close(): void {
    clearInterval(this.#poll);
    if (this.#settle !== null) clearTimeout(this.#settle);
    for (const watcher of this.#watchers) watcher.close();
  }

  #noticed(): void {
    const nowMs = performance.now();
    if (this.#settle === null) this.#noticedMs = nowMs;
    // Something is written here all the time: it is not waited for.
    else if (nowMs - this.#noticedMs > SETTLE_MAX_MS) return;
    // An editor writes in several steps; wait until they are over.
    else clearTimeout(this.#settle);
    this.#settle = setTimeout(() => this.#look(), SETTLE_MS).unref();
  }

  #look(): void {
    if (this.#settle !== null) clearTimeout(this.#settle);
    this.#settle = null;
    const now = fingerprint(this.#options.paths);
    if (now === this.#fingerprint) return;
    this.#fingerprint = now;
    this.#options.onChange();
  }
}

/**
 * Whether anything of these paths may have changed after a time: what was read in between and is watched only from now on. Files whose
 * times another machine sets are not told apart.
 */
export function changedSince(paths: readonly string[], sinceMs: number): boolean {
  return paths.some((path) => {
    const found = statSync(path, { throwIfNoEntry: false }) ?? statSync(dirname(path), { throwIfNoEntry: false });
    return found !== undefined && found.ctimeMs >= sinceMs - CLOCK_STEP_MS;
  });
}

/** The names that count in each folder: all of a folder that is a path itself (null), else those of the paths in it. */
function watchedNames(paths: readonly string[]): Map<string, Set<string> | null> {
  const folders = new Map<string, Set<string> | null>();
  for (const path of paths) {
    if (isFolder(path)) folders.set(path, null);
    const parent = dirname(path);
    const names = folders.get(parent);
    if (names === undefined) folders.set(parent, new Set([basename(path)]));
    else names?.add(basename(path));
  }
  return folders;
}

function fingerprint(paths: readonly string[]): string {
  return paths
    .flatMap((path) => [path, ...namesIn(path).map((name) => join(path, name))])
    .map(statOf)
    .join('\n');
}

function statOf(path: string): string {
  try {
    const { ino, size, mtimeNs } = statSync(path, { bigint: true });
    return `${path} ${ino} ${size} ${mtimeNs}`;
  } catch {
    return `${path} -`;
  }
}

/** Names in a folder, sorted; none when it is no folder, may not be read, or is gone by now. */
function namesIn(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch {
    return [];
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** Times of files are those of the kernel's last tick. */
const CLOCK_STEP_MS = 20;
const SETTLE_MS = 30;
/** After this a burst is not waited for any longer. */
const SETTLE_MAX_MS = 150;
