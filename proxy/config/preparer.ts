/**
 * The data process's side of the preparer: starts the child when something is to be read, asks, and lets it end when it has been
 * idle. A child that dies or does not answer is a failed preparation, never a hang.
 */
import { fork, type ChildProcess } from 'node:child_process';
import type { LoadedBundle } from '#authz/bundle/read.ts';
import { PosternError } from '#base/error.ts';
import type { PrepareAnswer, PrepareRequest } from '#proto/prepare.ts';

export class Preparer {
  readonly #module: string;
  readonly #timeoutMs: number;
  #child: ChildProcess | null = null;
  #nextId = 1;
  /** Questions in flight by id; one at a time in practice, see `ConfigWatch`. */
  readonly #waiting = new Map<number, { resolve: (answer: PrepareAnswer) => void; reject: (error: Error) => void }>();

  /** @param module  absolute path of the child's entry, `cli/prepare/main.ts` or its bundle */
  constructor(module: string, timeoutMs = 120_000) {
    this.#module = module;
    this.#timeoutMs = timeoutMs;
  }

  /** Reads and compiles everything that the configuration file names. */
  async prepare(file: string, lastBundle: LoadedBundle | null = null): Promise<PrepareAnswer> {
    try {
      return await this.#ask(file, lastBundle);
    } catch (error) {
      // The child may end, idle, in the very moment in which it is asked; a new one is asked once.
      if (!(error instanceof PosternError) || error.code !== 'prepare_failed') throw error;
      return await this.#ask(file, lastBundle);
    }
  }

  async #ask(file: string, lastBundle: LoadedBundle | null): Promise<PrepareAnswer> {
    const child = this.#running();
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<PrepareAnswer>();
    this.#waiting.set(id, { resolve, reject });
    const timer = setTimeout(() => {
      reject(new PosternError('prepare_timeout', `Cannot prepare "${file}": no answer within ${this.#timeoutMs} ms`));
      child.kill('SIGKILL');
    }, this.#timeoutMs);
    const request: PrepareRequest = { id, file, lastBundle };
    child.send(request, (error) => {
      if (error !== null) reject(new PosternError('prepare_failed', `Cannot prepare "${file}": ${error.message}`));
    });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  /** Lets the child end and waits for it; one that does not is killed. */
  async close(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    child.once('exit', () => resolve());
    const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
    // Whoever waits for it must not end before.
    child.ref();
    if (child.connected) child.disconnect();
    await promise;
    clearTimeout(timer);
  }

  #running(): ChildProcess {
    if (this.#child !== null && this.#child.connected) return this.#child;
    const child = fork(this.#module, [], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: PREPARER_FLAGS,
    });
    this.#child = child;
    child.on('message', (message) => {
      const answer = message as PrepareAnswer; // our own child, started from our own files, sends nothing else
      this.#waiting.get(answer.id)?.resolve(answer);
    });
    child.on('error', (error) => this.#ended(child, error.message));
    child.on('exit', (code, signal) => this.#ended(child, `it ended with ${signal ?? `code ${code}`}`));
    // The traffic, not the child, keeps this process alive.
    child.unref();
    child.channel?.unref();
    return child;
  }

  #ended(child: ChildProcess, why: string): void {
    if (this.#child === child) this.#child = null;
    for (const { reject } of this.#waiting.values()) {
      reject(new PosternError('prepare_failed', `Cannot prepare the configuration: ${why}`));
    }
  }
}

/** The optimising compiler never earns its keep in so short a life: without it 1,000 rules cost a quarter less CPU time. */
const PREPARER_FLAGS = ['--max-opt=2'];
/** What a child that was let go has for what it is doing, milliseconds. */
const END_MS = 500;
