/** The demo's side of the load process. */
import type { ChildProcess } from 'node:child_process';

import { PosternError } from '#base/error.ts';

import type { LoadCommand, LoadCounts, LoadReport, LoadTarget } from './protocol.ts';

/** An answer that changed, as the load saw it. */
export interface VerdictChange {
  readonly target: string;
  readonly status: number;
  /** Wall clock, fractions included. */
  readonly atMs: number;
}

export class Load {
  readonly #child: ChildProcess;
  readonly #windows: ((counts: LoadCounts) => void)[] = [];
  /** At most a few a run: each is an edit of the policy. */
  readonly #changes: VerdictChange[] = [];
  #onChange: (() => void) | null = null;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (message) => {
      // Our own child, started from our own file, says nothing else.
      const report = message as LoadReport;
      if (report.is === 'window') this.#windows.shift()?.(report.counts);
      else {
        const { target, status, atMs } = report;
        this.#changes.push({ target, status, atMs });
        this.#onChange?.();
      }
    });
  }

  start(targets: readonly LoadTarget[], perSecond: number): void {
    this.#changes.length = 0;
    this.#tell({ do: 'start', targets, perSecond });
  }

  /** No request more. */
  stop(): void {
    this.#tell({ do: 'stop' });
  }

  /** Counts of the window that ends now. */
  async window(): Promise<LoadCounts> {
    const { promise, resolve, reject } = Promise.withResolvers<LoadCounts>();
    this.#windows.push(resolve);
    this.#tell({ do: 'window' });
    const timer = setTimeout(() => {
      reject(new PosternError('demo_load', `Cannot read the load's counts: no answer within ${ANSWER_MS} ms`));
    }, ANSWER_MS);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Changes seen so far, oldest first. */
  get changes(): readonly VerdictChange[] {
    return this.#changes;
  }

  /** Waits until the target was answered so, at `sinceMs` or later; null when that is not seen in time. */
  async changed(target: string, status: number, sinceMs: number, timeoutMs: number): Promise<VerdictChange | null> {
    const until = performance.now() + timeoutMs;
    for (;;) {
      const found = this.#changes.find((each) => each.target === target && each.status === status && each.atMs >= sinceMs);
      const leftMs = until - performance.now();
      if (found !== undefined) return found;
      if (leftMs <= 0) return null;
      await new Promise<void>((wake) => {
        const timer = setTimeout(wake, leftMs);
        this.#onChange = () => {
          clearTimeout(timer);
          wake();
        };
      });
    }
  }

  #tell(command: LoadCommand): void {
    this.#child.send(command);
  }
}

/** Longer than a request may hang. */
const ANSWER_MS = 10_000;
