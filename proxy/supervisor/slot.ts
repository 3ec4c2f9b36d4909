/**
 * The place of one worker: a process now and, when that dies, the next one. The first two in a minute are replaced at once; one that
 * keeps dying is given more and more time, and its sockets are let go meanwhile, so that the kernel sends nobody there.
 */
import type { Log } from '#base/log.ts';
import type { ToWorker } from './messages.ts';
import type { Sockets } from './sockets.ts';
import { WorkerProcess, type WorkerExit } from './worker-process.ts';

export interface SlotOptions {
  readonly worker: number;
  readonly sockets: Sockets;
  readonly log: Log;
  /** What a worker is told first. */
  readonly start: (takesOver: boolean) => ToWorker;
  /** Called for every process of this place. */
  readonly onStarted: (process: WorkerProcess) => void;
  /** A worker died and is replaced; `isFirst` when none of this place has ever served. */
  readonly onCrash: (exit: WorkerExit, isFirst: boolean) => void;
}

export class Slot {
  readonly worker: number;
  readonly #options: SlotOptions;
  #current: WorkerProcess | null = null;
  #crashes: number[] = [];
  #hasServed = false;
  #timer: NodeJS.Timeout | null = null;
  #isOver = false;

  constructor(options: SlotOptions) {
    this.worker = options.worker;
    this.#options = options;
  }

  get current(): WorkerProcess | null {
    return this.#current;
  }

  /** Why this worker should get no traffic, or null. */
  get notReady(): string | null {
    const reason = this.#current === null ? 'waits to be started again' : this.#current.notReady;
    return reason === null ? null : `worker ${this.worker}: ${reason}`;
  }

  /** Starts the first process, or the next one. */
  start(): void {
    this.#current = this.#started(false);
  }

  /**
   * Starts a process beside the one that serves and waits until it serves as well; then that one's place is its.
   *
   * @returns the former one, which is to be drained, or null when there is none
   * @throws {PosternError} when it does not serve in time; it is gone then, and nothing has changed
   */
  async replace(timeoutMs: number): Promise<WorkerProcess | null> {
    const next = this.#started(true);
    try {
      await next.serving(timeoutMs);
    } catch (error) {
      next.kill();
      throw error;
    }
    const former = this.#current;
    this.#current = next;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    return former;
  }

  /** No process follows this one any more. */
  end(): WorkerProcess | null {
    this.#isOver = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    return this.#current;
  }

  #started(takesOver: boolean): WorkerProcess {
    const { worker, sockets, start, onStarted } = this.#options;
    const process = new WorkerProcess(worker, sockets.ofWorker(worker), start(takesOver));
    onStarted(process);
    void process.exited.then((exit) => {
      // One that was replaced, or did not come to serve, is nobody's loss.
      if (this.#current !== process || this.#isOver) return;
      this.#current = null;
      this.#hasServed ||= process.hasServed;
      this.#crashed(exit);
    });
    return process;
  }

  #crashed(exit: WorkerExit): void {
    const { log, sockets, onCrash, worker } = this.#options;
    const nowMs = performance.now();
    this.#crashes = [...this.#crashes.filter((atMs) => nowMs - atMs < CRASHES_COUNT_MS), nowMs];
    const delayMs = restartDelayMs(this.#crashes.length);
    log.error({ worker, ...exit, crashes: this.#crashes.length, restartMs: delayMs }, 'a worker ended, another takes its place');
    onCrash(exit, !this.#hasServed);
    if (this.#isOver) return;
    if (delayMs === 0) return this.start();
    if (delayMs >= QUEUE_WAITS_MS) sockets.releaseWorker(worker);
    this.#timer = setTimeout(() => this.start(), delayMs);
  }
}

/** Milliseconds before a worker is started again that died for the `crashes`th time in a minute. */
export function restartDelayMs(crashes: number): number {
  return crashes <= 2 ? 0 : Math.min(RESTART_MAX_MS, 50 * 2 ** (crashes - 2));
}

const CRASHES_COUNT_MS = 60_000;
const RESTART_MAX_MS = 30_000;
/** A caller may wait in the queue of a dead worker's socket for so long. */
const QUEUE_WAITS_MS = 500;
