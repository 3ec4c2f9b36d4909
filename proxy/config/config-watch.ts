/**
 * Notices that a policy or the configuration file changed: by the kernel's notice and by looking every few seconds, because
 * notices get lost on some file systems. Files that are swapped by a symbolic link (Kubernetes) are seen through it.
 */
import { statSync, watch, readdirSync, type FSWatcher } from 'node:fs';
import { dirname, join } from 'node:path';

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
  #fingerprint: string;

  constructor(options: ConfigWatchOptions) {
    this.#options = options;
    this.#fingerprint = fingerprint(options.paths);
    for (const folder of new Set(options.paths.flatMap((path) => (isFolder(path) ? [path, dirname(path)] : [dirname(path)])))) {
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#noticed());
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
    // An editor writes in several steps; wait until they are over.
    if (this.#settle !== null) clearTimeout(this.#settle);
    this.#settle = setTimeout(() => this.#look(), SETTLE_MS).unref();
  }

  #look(): void {
    const now = fingerprint(this.#options.paths);
    if (now === this.#fingerprint) return;
    this.#fingerprint = now;
    this.#options.onChange();
  }
}

function fingerprint(paths: readonly string[]): string {
  return paths
    .flatMap((path) =>
      isFolder(path)
        ? [
            path,
            ...readdirSync(path)
              .sort()
              .map((name) => join(path, name)),
          ]
        : [path],
    )
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

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

const SETTLE_MS = 30;
