/**
 * A child process that answers questions, for what the data process must not load or do itself: started when something is to be asked,
 * left to end when it has been idle. One that dies or does not answer is a failed question, never a hang.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { PosternError } from '#base/error.ts';

export interface AskedChildOptions {
  /** Absolute path of the child's entry, or of its bundle. */
  readonly module: string;
  readonly timeoutMs: number;
  /** Flags of Node. */
  readonly flags: readonly string[];
  /** `prepare` makes the codes `prepare_failed` and `prepare_timeout`. */
  readonly code: string;
}

interface Identified {
  readonly id: number;
}

export class AskedChild<Question extends Identified, Answer extends Identified> {
  readonly #options: AskedChildOptions;
  #child: ChildProcess | null = null;
  #nextId = 1;
  /** Questions in flight by id; their number is bounded by whoever asks. */
  readonly #waiting = new Map<number, { resolve: (answer: Answer) => void; reject: (why: string) => void }>();

  constructor(options: AskedChildOptions) {
    this.#options = options;
  }

  /** @param subject  what it is about, for the text of an error: `prepare "postern.yaml"` */
  async ask(question: (id: number) => Question, subject: string): Promise<Answer> {
    try {
      return await this.#askOnce(question, subject);
    } catch (error) {
      // The child may end, idle, in the very moment in which it is asked; a new one is asked once.
      if (!(error instanceof PosternError) || error.code !== `${this.#options.code}_failed`) throw error;
      return await this.#askOnce(question, subject);
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

  async #askOnce(question: (id: number) => Question, subject: string): Promise<Answer> {
    const { code, timeoutMs } = this.#options;
    const child = this.#running();
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const failed = (why: string): void => reject(new PosternError(`${code}_failed`, `Cannot ${subject}: ${why}`));
    this.#waiting.set(id, { resolve, reject: failed });
    const timer = setTimeout(() => {
      reject(new PosternError(`${code}_timeout`, `Cannot ${subject}: no answer within ${timeoutMs} ms`));
      child.kill('SIGKILL');
    }, timeoutMs);
    child.send(question(id), (error) => {
      if (error !== null) failed(error.message);
    });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  #running(): ChildProcess {
    if (this.#child !== null && this.#child.connected) return this.#child;
    const child = fork(this.#options.module, [], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: [...this.#options.flags],
    });
    this.#child = child;
    child.on('message', (message) => {
      const answer = message as Answer; // our own child, started from our own files, sends nothing else
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
    for (const { reject } of this.#waiting.values()) reject(why);
  }
}

/** What a child that was let go has for what it is doing, milliseconds. */
const END_MS = 500;
