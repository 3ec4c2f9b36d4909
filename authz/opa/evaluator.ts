/**
 * Evaluation off the data path's loop: a worker thread, a bounded queue before it, and a deadline for each question, its wait
 * included. A worker that does not answer in time, that dies or that runs out of memory is replaced; the question that it was at
 * is denied, those behind it are asked anew while their time lasts. INVARIANT: every question is answered, once, and with a value
 * only when the policy gave one.
 */
import { Worker } from 'node:worker_threads';

import type { OpaLimits } from './limits.ts';
import type { OpaPolicy, WorkerAnswer, WorkerQuestion, WorkerStart } from './messages.ts';
import { denied } from './outcome.ts';
import type { OpaDenied } from './outcome.ts';

/** `json` is the value that the policy gave. */
export type EvaluatorAnswer = { readonly ok: true; readonly json: string } | OpaDenied;

export interface EvaluatorOptions {
  readonly limits: OpaLimits;
  /** The worker's module: worker.ts or its bundle. */
  readonly workerModule: URL;
}

/** For metrics. */
export interface EvaluatorCounts {
  readonly waiting: number;
  readonly replaced: number;
  readonly overloaded: number;
}

interface Waiting {
  readonly question: WorkerQuestion;
  /** Milliseconds of the monotonic clock. */
  readonly deadline: number;
  readonly settle: (answer: EvaluatorAnswer) => void;
}

export class OpaEvaluator {
  readonly #start: WorkerStart;
  readonly #workerModule: URL;
  /** In the order in which they were asked; the first is the one that the worker is at. */
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | null = null;
  #isReady = false;
  #isClosed = false;
  /** No further question is taken; those that wait are answered. */
  #isRetired = false;
  readonly #loaded = Promise.withResolvers<boolean>();
  #nextId = 1;
  #timer: NodeJS.Timeout | null = null;
  #replaced = 0;
  #overloaded = 0;
  /** Starts that failed in a row; a policy that cannot be loaded is not tried for ever. */
  #failedStarts = 0;

  constructor(policy: OpaPolicy, { limits, workerModule }: EvaluatorOptions) {
    this.#start = { policy, limits };
    this.#workerModule = workerModule;
    this.#startWorker();
  }

  counts(): EvaluatorCounts {
    return { waiting: this.#waiting.size, replaced: this.#replaced, overloaded: this.#overloaded };
  }

  /** Resolves with whether the policy could be loaded, once that is known. */
  loaded(): Promise<boolean> {
    return this.#loaded.promise;
  }

  /** @param input  JSON */
  decide(entrypoint: string, input: string, nowNs: bigint): Promise<EvaluatorAnswer> {
    const { deadlineMs, inputBytes, queue } = this.#start.limits;
    if (this.#isClosed || this.#isRetired || this.#failedStarts >= MAX_FAILED_STARTS)
      return Promise.resolve(denied('opa_unavailable'));
    if (input.length > inputBytes) return Promise.resolve(denied('opa_input_too_large'));
    if (this.#waiting.size >= queue) {
      this.#overloaded++;
      return Promise.resolve(denied('opa_overloaded'));
    }
    const { promise, resolve } = Promise.withResolvers<EvaluatorAnswer>();
    const question: WorkerQuestion = { id: this.#nextId++, entrypoint, input, nowNs };
    this.#waiting.set(question.id, { question, deadline: performance.now() + deadlineMs, settle: resolve });
    this.#worker?.postMessage(question);
    this.#watch();
    return promise;
  }

  /** Takes no further question, answers those that wait, and ends. */
  retire(): void {
    this.#isRetired = true;
    if (this.#waiting.size === 0) void this.close();
  }

  /** Denies what is waiting and ends the worker. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#loaded.resolve(false);
    this.#denyAll('opa_unavailable');
    if (this.#timer !== null) clearTimeout(this.#timer);
    const worker = this.#worker;
    this.#worker = null;
    await worker?.terminate();
  }

  #startWorker(): void {
    this.#isReady = false;
    const heapMb = Math.ceil(this.#start.limits.memoryBytes / MIB) * 4 + 64;
    const worker = new Worker(this.#workerModule, {
      workerData: this.#start,
      resourceLimits: { maxOldGenerationSizeMb: heapMb, stackSizeMb: 4 },
      // What the process was started with is its own business; input, output and environment too.
      execArgv: [],
      env: {},
    });
    this.#worker = worker;
    // Traffic, not this thread, keeps the process alive.
    worker.unref();
    worker.on('message', (answer: WorkerAnswer) => {
      if (worker === this.#worker) this.#hear(answer);
    });
    worker.on('error', (error: Error & { readonly code?: string }) => {
      if (worker === this.#worker) this.#lost(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'opa_memory' : 'opa_trap');
    });
    worker.on('exit', () => {
      if (worker === this.#worker) this.#lost('opa_trap');
    });
    for (const { question } of this.#waiting.values()) worker.postMessage(question);
  }

  #hear(answer: WorkerAnswer): void {
    if (answer.type === 'ready') {
      this.#isReady = true;
      this.#failedStarts = 0;
      this.#loaded.resolve(true);
      return;
    }
    this.#settle(answer.id, answer.outcome);
  }

  #settle(id: number, answer: EvaluatorAnswer): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.settle(answer);
    if (this.#isRetired && !this.#isClosed && this.#waiting.size === 0) void this.close();
  }

  /** The worker has ended by itself: the question that it was at ends with it. */
  #lost(code: 'opa_trap' | 'opa_memory'): void {
    if (!this.#isReady) this.#failedStarts++;
    const [first] = this.#waiting.keys();
    if (first !== undefined && this.#isReady) this.#settle(first, denied(code));
    if (this.#failedStarts < MAX_FAILED_STARTS) this.#replace();
    else {
      this.#worker = null;
      this.#loaded.resolve(false);
      this.#denyAll('opa_unavailable');
    }
  }

  #replace(): void {
    const worker = this.#worker;
    this.#worker = null;
    this.#replaced++;
    void worker?.terminate();
    if (!this.#isClosed) this.#startWorker();
  }

  #denyAll(code: 'opa_unavailable'): void {
    for (const id of [...this.#waiting.keys()]) this.#settle(id, denied(code));
  }

  /** One timer, for the question that has waited longest; all have the same time, so that it is the first to run out. */
  #watch(): void {
    if (this.#timer !== null) return;
    const [first] = this.#waiting.values();
    if (first === undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.#expire();
        this.#watch();
      },
      Math.max(1, first.deadline - performance.now()),
    );
    this.#timer.unref();
  }

  #expire(): void {
    const now = performance.now();
    let isStuck = false;
    for (const [id, { deadline }] of this.#waiting) {
      if (deadline > now) break;
      isStuck = true;
      this.#settle(id, denied('opa_timeout'));
    }
    // One that is still being started is given its time: it would only be started again.
    if (isStuck && this.#isReady) this.#replace();
  }
}

const MIB = 1024 * 1024;
const MAX_FAILED_STARTS = 3;
