/**
 * Lines for a file or standard output: gathered in memory and written asynchronously, so that a slow disk or a stalled reader
 * never holds up traffic. What does not fit while a write is under way is dropped and counted.
 */
import { closeSync, constants, fstatSync, openSync, write } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { PosternError } from '#base/error.ts';

export class LineSink {
  /** Lines that were lost because the sink could not keep up, or failed. */
  droppedLines = 0;
  writtenBytes = 0;
  readonly #path: string;
  readonly #isShared: boolean;
  #fd: number;
  /** Bytes of one write that nobody else's can come between. */
  #atOnce: number;
  /** Where lines are gathered: read it anew after each `reserve`. */
  bytes = Buffer.allocUnsafeSlow(GATHERED_MAX);
  /** The other one is being written, or waits for its turn. */
  #spare = Buffer.allocUnsafeSlow(GATHERED_MAX);
  #used = 0;
  #lines = 0;
  #isWriting = false;
  #timer: NodeJS.Timeout | null = null;
  #whenIdle: (() => void) | null = null;

  /** Replaced while a write to it was under way; closed behind that write. */
  #oldFd = -1;

  /**
   * @param path  a file, appended to and made with mode 0640, or `-` for standard output
   * @param isShared  other processes write their lines there as well: none may come between the parts of one of ours
   * @throws {PosternError} when it cannot be opened
   */
  constructor(path: string, isShared = false) {
    this.#path = path;
    this.#isShared = isShared;
    this.#fd = path === '-' ? openOutput() : openFile(path);
    this.#atOnce = this.#writableAtOnce();
    this.#timer = setInterval(() => this.flush(), FLUSH_MS).unref();
  }

  /** Takes one line with its line end. */
  push(line: string): void {
    const at = this.reserve(3 * line.length);
    if (at >= 0) this.commit(at + this.bytes.write(line, at, 'utf8'));
  }

  /** Makes room for a line of at most `length` bytes: the offset in `bytes`, or -1 when it is lost. Then `commit` its end. Hot path. */
  reserve(length: number): number {
    if (this.#used + length <= GATHERED_MAX) return this.#used;
    this.droppedLines++;
    return -1;
  }

  /** Takes the line that ends at `end`. Hot path. */
  commit(end: number): void {
    this.#used = end;
    this.#lines++;
    if (end >= WRITE_AT && !this.#isWriting) this.flush();
  }

  /** Starts writing what is gathered, unless a write is under way. */
  flush(): void {
    if (this.#isWriting || this.#used === 0 || this.#fd < 0) return;
    const { bytes } = this;
    const lines = this.#lines;
    const used = this.#used;
    this.bytes = this.#spare;
    this.#spare = bytes;
    this.#used = 0;
    this.#lines = 0;
    this.#isWriting = true;
    this.#write(this.#fd, bytes.subarray(0, used), 0, lines);
  }

  /** Opens the file anew, after a log rotation moved it away. */
  reopen(): void {
    if (this.#path === '-' || this.#fd < 0) return;
    let next: number;
    try {
      next = openFile(this.#path);
    } catch {
      // What is written goes on to the old file rather than nowhere.
      return;
    }
    const old = this.#fd;
    this.#fd = next;
    this.#atOnce = this.#writableAtOnce();
    // INVARIANT: a descriptor is never closed under a write: its number may be a caller's socket by the time that the write begins.
    if (!this.#isWriting) closeSync(old);
    else if (this.#oldFd < 0) this.#oldFd = old;
    else closeSync(old);
  }

  /** Writes what is left, for at most `timeoutMs`, and closes. */
  async close(timeoutMs: number): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    const until = performance.now() + timeoutMs;
    while ((this.#isWriting || this.#used > 0) && performance.now() < until) {
      this.flush();
      await this.#idle(until - performance.now());
    }
    if (this.#fd !== STDOUT && !this.#isWriting) closeSync(this.#fd);
    this.#fd = -1;
  }

  #write(fd: number, bytes: Buffer, offset: number, lines: number): void {
    write(fd, bytes, offset, this.#lengthAtOnce(bytes, offset), null, (error, written) => {
      if (error !== null && error.code === 'EAGAIN') {
        setTimeout(() => this.#write(fd, bytes, offset, lines), RETRY_MS).unref();
        return;
      }
      if (error !== null) {
        this.droppedLines += lines;
      } else {
        this.writtenBytes += written;
        if (offset + written < bytes.length) {
          this.#write(fd, bytes, offset + written, lines);
          return;
        }
      }
      this.#isWriting = false;
      if (this.#oldFd >= 0) {
        closeSync(this.#oldFd);
        this.#oldFd = -1;
      }
      if (this.#used >= WRITE_AT) this.flush();
      this.#whenIdle?.();
    });
  }

  /** As many whole lines as go in one write, or all. */
  #lengthAtOnce(bytes: Buffer, offset: number): number {
    const left = bytes.length - offset;
    if (left <= this.#atOnce) return left;
    const end = bytes.lastIndexOf(LINE_FEED, offset + this.#atOnce - 1) + 1;
    // A single line that is longer goes as it is.
    return (end > offset ? end : bytes.indexOf(LINE_FEED, offset) + 1) - offset;
  }

  /** Appends to a file are whole whatever their length; a pipe takes no more than this at once (POSIX, PIPE_BUF). */
  #writableAtOnce(): number {
    return this.#isShared && !fstatSync(this.#fd).isFile() ? PIPE_BUF : Infinity;
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

/**
 * Opened so that no write ever blocks a thread: one that is blocked can't be given up, not even at the end of the process. A FIFO that
 * nobody reads is opened for both directions, which never waits.
 */
function openFile(path: string): number {
  const { O_APPEND, O_CREAT, O_NONBLOCK, O_RDWR, O_WRONLY } = constants;
  try {
    try {
      return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o640);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENXIO')) throw error;
      return openSync(path, O_RDWR | O_NONBLOCK);
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new PosternError('log_unusable', `Cannot open "${path}" for log lines: ${reason}`, 'choose another file in telemetry');
  }
}

/** Standard output, opened once more where that is possible, so that not blocking is ours alone and not our parent's. */
function openOutput(): number {
  try {
    return openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK);
  } catch {
    return STDOUT;
  }
}

const STDOUT = 1;
const LINE_FEED = 10;
const PIPE_BUF = 4_096;
const FLUSH_MS = 200;
const RETRY_MS = 20;
/** Bytes after which a write is started before its time: a write is a trip to another thread and back, dear at a quarter of this. */
const WRITE_AT = 256 * 1024;
/** Bytes that wait at most; about a thousand lines of a usual log. */
const GATHERED_MAX = 1024 * 1024;
