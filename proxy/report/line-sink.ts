/**
 * Lines for a file or standard output: gathered in memory and written asynchronously, so that a slow disk or a stalled reader
 * never holds up traffic. What does not fit while a write is under way is dropped and counted.
 */
import { closeSync, openSync, write } from 'node:fs';

export class LineSink {
  /** Lines that were lost because the sink could not keep up, or failed. */
  droppedLines = 0;
  writtenBytes = 0;
  readonly #path: string;
  #fd: number;
  #gathered = '';
  #lines = 0;
  #isWriting = false;
  #timer: NodeJS.Timeout | null = null;
  #whenIdle: (() => void) | null = null;

  /** @param path  a file, appended to and made with mode 0640, or `-` for standard output */
  constructor(path: string) {
    this.#path = path;
    this.#fd = path === '-' ? 1 : openSync(path, 'a', 0o640);
    this.#timer = setInterval(() => this.flush(), FLUSH_MS).unref();
  }

  /** Takes one line with its line end. Hot path. */
  push(line: string): void {
    if (this.#gathered.length >= GATHERED_MAX) {
      this.droppedLines++;
      return;
    }
    this.#gathered += line;
    this.#lines++;
    if (this.#gathered.length >= WRITE_AT && !this.#isWriting) this.flush();
  }

  /** Starts writing what is gathered, unless a write is under way. */
  flush(): void {
    if (this.#isWriting || this.#gathered === '' || this.#fd < 0) return;
    const bytes = Buffer.from(this.#gathered, 'utf8');
    const lines = this.#lines;
    this.#gathered = '';
    this.#lines = 0;
    this.#isWriting = true;
    this.#write(bytes, 0, lines);
  }

  /** Opens the file anew, after a log rotation moved it away. */
  reopen(): void {
    if (this.#path === '-') return;
    const old = this.#fd;
    this.#fd = openSync(this.#path, 'a', 0o640);
    closeSync(old);
  }

  /** Writes what is left, for at most `timeoutMs`, and closes. */
  async close(timeoutMs: number): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    const until = performance.now() + timeoutMs;
    while ((this.#isWriting || this.#gathered !== '') && performance.now() < until) {
      this.flush();
      await this.#idle(until - performance.now());
    }
    if (this.#path !== '-' && !this.#isWriting) closeSync(this.#fd);
    this.#fd = -1;
  }

  #write(bytes: Buffer, offset: number, lines: number): void {
    write(this.#fd, bytes, offset, bytes.length - offset, null, (error, written) => {
      if (error !== null && error.code === 'EAGAIN') {
        setTimeout(() => this.#write(bytes, offset, lines), RETRY_MS).unref();
        return;
      }
      if (error !== null) {
        this.droppedLines += lines;
      } else {
        this.writtenBytes += written;
        if (offset + written < bytes.length) {
          this.#write(bytes, offset + written, lines);
          return;
        }
      }
      this.#isWriting = false;
      if (this.#gathered.length >= WRITE_AT) this.flush();
      this.#whenIdle?.();
    });
  }

  #idle(timeoutMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, Math.max(1, timeoutMs));
    this.#whenIdle = () => {
      clearTimeout(timer);
      this.#whenIdle = null;
      resolve();
    };
    return promise;
  }
}

const FLUSH_MS = 200;
const RETRY_MS = 20;
/** Characters after which a write is started before its time. */
const WRITE_AT = 64 * 1024;
/** Characters that wait at most; about two thousand lines of a usual log at 500 bytes. */
const GATHERED_MAX = 1024 * 1024;
