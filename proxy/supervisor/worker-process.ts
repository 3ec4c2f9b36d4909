/** One worker as its supervisor sees it: the process, what it told last, what can be asked of it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { PosternError } from '#base/error.ts';
import { handoverEnvironment, type NamedDescriptor } from '../listen/descriptors.ts';
import type { Samples } from '../report/samples.ts';
import { WORKER_VARIABLE, type FromWorker, type Question, type ToWorker } from './messages.ts';

export interface WorkerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class WorkerProcess {
  /** The worker's number; processes that follow each other share it. */
  readonly worker: number;
  readonly pid: number;
  /** Settles when it is gone; never rejects. */
  readonly exited: Promise<WorkerExit>;
  /** What it counted when it was asked last. */
  samples: Samples = {};
  /** It was ready at some time. */
  hasServed = false;
  onKeysWanted: (source: string) => void = () => {};
  readonly #child: ChildProcess;
  #notReady: string | null = 'starting';
  #heardMs = performance.now();
  #isGone = false;
  #nextId = 1;
  /** Questions under way by id; each ends with its time, so there are few. */
  readonly #asked = new Map<number, (body: unknown) => void>();
  #whenTold: (() => void) | null = null;

  /** Starts it with its sockets and tells it what is in force. */
  constructor(worker: number, sockets: readonly NamedDescriptor[], start: ToWorker) {
    this.worker = worker;
    const child = spawn(process.execPath, [...process.execArgv, process.argv[1] ?? '', 'proxy'], {
      stdio: ['ignore', 'inherit', 'inherit', ...sockets.map(({ fd }) => fd), 'ipc'],
      serialization: 'advanced',
      env: { ...process.env, ...handoverEnvironment(sockets.map(({ name }) => name)), [WORKER_VARIABLE]: String(worker) },
    });
    this.#child = child;
    this.pid = child.pid ?? 0;
    const { promise, resolve } = Promise.withResolvers<WorkerExit>();
    this.exited = promise;
    const gone = (exit: WorkerExit): void => {
      this.#isGone = true;
      this.#whenTold?.();
      for (const answer of this.#asked.values()) answer(null);
      resolve(exit);
    };
    child.once('exit', (code, signal) => gone({ code, signal }));
    child.once('error', () => gone({ code: null, signal: null }));
    child.on('message', (message) => this.#told(message as FromWorker)); // our own child, of our own program, sends nothing else
    this.send(start);
  }

  /** Why it should get no traffic, or null. */
  get notReady(): string | null {
    if (this.#isGone) return 'not running';
    return performance.now() - this.#heardMs > SILENCE_MS ? 'does not answer' : this.#notReady;
  }

  send(message: ToWorker): void {
    // One that has just ended is told by its exit.
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  /** Asks; null when it does not answer in time or knows no such thing. */
  async ask(question: Question): Promise<unknown> {
    if (!this.#child.connected) return null;
    const id = this.#nextId++;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#asked.set(id, resolve);
    const timer = setTimeout(() => resolve(null), ANSWER_MS);
    this.send({ kind: 'ask', id, question });
    const body = await promise;
    clearTimeout(timer);
    this.#asked.delete(id);
    return body;
  }

  /** What it has counted; what it said last when it does not answer. */
  async count(): Promise<Samples> {
    const counted = await this.ask({ what: 'samples' });
    if (counted !== null) this.samples = counted as Samples; // what `samples` is answered with
    return this.samples;
  }

  /** Waits until it serves. Throws `PosternError` when it ends or takes longer. */
  async serving(timeoutMs: number): Promise<void> {
    const until = performance.now() + timeoutMs;
    while (this.notReady !== null) {
      const why = this.#isGone
        ? 'it ended'
        : performance.now() > until
          ? `not ready after ${timeoutMs} ms: ${this.notReady}`
          : null;
      if (why !== null) throw new PosternError('upgrade_failed', `Cannot replace worker ${this.worker}: ${why}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#whenTold = resolve;
      await Promise.race([promise, sleep(LOOK_MS, undefined, { ref: false })]);
    }
  }

  /** Lets it finish what is in flight; kills it when it has not ended after `timeoutMs`. Returns whether it ended by itself. */
  async drain(hasSuccessor: boolean, timeoutMs: number): Promise<boolean> {
    this.send({ kind: 'drain', hasSuccessor });
    const timer = setTimeout(() => this.kill(), timeoutMs);
    const { signal } = await this.exited;
    clearTimeout(timer);
    return signal !== 'SIGKILL';
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #told(message: FromWorker): void {
    this.#heardMs = performance.now();
    if (message.kind === 'answer') this.#asked.get(message.id)?.(message.body);
    else if (message.kind === 'counted') this.samples = message.samples;
    else if (message.kind === 'keys_wanted') this.onKeysWanted(message.source);
    else {
      this.#notReady = message.notReady;
      if (message.notReady === null) this.hasServed = true;
      this.#whenTold?.();
    }
  }
}

/** Status and admin are answered within 100 ms; a worker that is busy for longer than this is left out. */
const ANSWER_MS = 1_000;
/** It tells its state every second. */
const SILENCE_MS = 5_000;
const LOOK_MS = 500;
