/**
 * A folder of small files that are whole or not there, whatever ends the process and whenever: written aside, flushed, then given
 * their name (fsync(2), rename(2), link(2)). For the owner alone; several processes may write at once.
 */
import { closeSync, fstatSync, fsyncSync, linkSync, lstatSync, mkdirSync, openSync, readFileSync, readdirSync } from 'node:fs';
import { constants, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { PosternError } from '#base/error.ts';

export class KeepingFolder {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Full path of a file in it, for messages. */
  path(name = ''): string {
    return join(this.#path, name);
  }

  /**
   * Names of the files in it; none when the folder does not exist yet.
   *
   * @throws {PosternError} `keep_folder` when somebody else may write to it
   */
  names(): readonly string[] {
    const found = lstatSync(this.#path, { throwIfNoEntry: false });
    if (found === undefined) return [];
    const owners = [0, process.getuid?.() ?? 0];
    const isOurs = found.isDirectory() && owners.includes(found.uid) && (found.mode & OTHERS_WRITE) === 0;
    if (isOurs) return readdirSync(this.#path);
    throw new PosternError(
      'keep_folder',
      `Cannot use "${this.#path}": wanted a folder of our own that nobody else may write to`,
      'Name a folder inside it: it is made with the mode 0700',
    );
  }

  /** Null when it is not there, no regular file, or larger. A link is not followed. */
  read(name: string, maxBytes: number): Buffer | null {
    let fd = -1;
    try {
      fd = openSync(this.path(name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      const { size } = fstatSync(fd);
      return fstatSync(fd).isFile() && size <= maxBytes ? readFileSync(fd) : null;
    } catch {
      return null;
    } finally {
      if (fd >= 0) closeSync(fd);
    }
  }

  /** Puts a file in place, mode 0600, instead of what has this name. Throws what the file system says. */
  replace(name: string, bytes: Uint8Array): void {
    const aside = this.#write(bytes);
    try {
      renameSync(aside, this.path(name));
    } catch (error) {
      rmSync(aside, { force: true });
      throw error;
    }
    this.#flush();
  }

  /** The same, unless something has this name; returns whether nothing had. */
  add(name: string, bytes: Uint8Array): boolean {
    const aside = this.#write(bytes);
    try {
      linkSync(aside, this.path(name));
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
      throw error;
    } finally {
      rmSync(aside, { force: true });
    }
    this.#flush();
    return true;
  }

  remove(names: readonly string[]): void {
    for (const name of names) rmSync(this.path(name), { force: true });
  }

  /** Removes what writers that were killed have left. */
  sweep(nowMs: number): void {
    for (const name of this.names()) {
      if (!name.endsWith(ASIDE)) continue;
      const found = lstatSync(this.path(name), { throwIfNoEntry: false });
      // A younger one may still get its name.
      if (found !== undefined && nowMs - found.mtimeMs > LEFT_MS) rmSync(this.path(name), { force: true });
    }
  }

  #write(bytes: Uint8Array): string {
    mkdirSync(this.#path, { recursive: true, mode: 0o700 });
    const aside = this.path(`.${process.pid}.${process.hrtime.bigint()}${ASIDE}`);
    const fd = openSync(aside, 'wx', 0o600);
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
      fsyncSync(fd);
    } catch (error) {
      rmSync(aside, { force: true });
      throw error;
    } finally {
      closeSync(fd);
    }
    return aside;
  }

  /** Names, too, are lost by a power cut before this. */
  #flush(): void {
    const fd = openSync(this.#path, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }
}

const OTHERS_WRITE = 0o022;
const ASIDE = '.aside';
const LEFT_MS = 60_000;
