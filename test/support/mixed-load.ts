/**
 * Load of several protocols at once, at a fixed rate each and without any retry, until it is stopped. A caller behaves as a good one
 * does: it opens another connection when it is told that the one it has will be closed, and takes nothing else for granted.
 */
import { setTimeout as sleep } from 'node:timers/promises';

/** One connection of a caller. */
export interface Speaking {
  /** It was told to use another connection from now on, or has lost this one while nothing was asked. */
  readonly isOver: boolean;
  /** One exchange; throws when anything but the right answer comes. */
  ask(): Promise<void>;
  close(): void;
}

export interface Speaker {
  readonly name: string;
  readonly connect: () => Promise<Speaking>;
  /** Exchanges a second, over all its connections. */
  readonly perSecond: number;
  readonly connections: number;
  /** Exchanges after which a caller opens another connection by itself. */
  readonly perConnection: number;
}

export interface LoadFailure {
  readonly speaker: string;
  readonly atMs: number;
  /** While connecting, or while asking for the n-th time on a connection. */
  readonly during: string;
  readonly why: string;
}

export class MixedLoad {
  readonly sent = new Map<string, number>();
  readonly failures: LoadFailure[] = [];
  /** The longest that a caller has waited for an answer. */
  slowestMs = 0;
  readonly #running: Promise<void>[] = [];
  readonly #startedMs = performance.now();
  #isStopped = false;

  constructor(speakers: readonly Speaker[]) {
    for (const speaker of speakers) {
      this.sent.set(speaker.name, 0);
      for (let i = 0; i < speaker.connections; i++) this.#running.push(this.#run(speaker, i));
    }
  }

  /** Exchanges so far. */
  get total(): number {
    return [...this.sent.values()].reduce((sum, count) => sum + count, 0);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#running);
  }

  /** One line for a run's output. */
  describe(): string {
    const seconds = (performance.now() - this.#startedMs) / 1_000;
    const each = [...this.sent].map(([name, count]) => `${name} ${count}`).join(', ');
    return `${this.total} exchanges at ${(this.total / seconds).toFixed(0)}/s (${each}), ${this.failures.length} failed, slowest ${this.slowestMs.toFixed(0)} ms`;
  }

  async #run({ name, connect, perSecond, connections, perConnection }: Speaker, number: number): Promise<void> {
    const intervalMs = (1_000 * connections) / perSecond;
    let speaking: Speaking | null = null;
    let asked = 0;
    for (let dueMs = performance.now() + (intervalMs * number) / connections; !this.#isStopped; dueMs += intervalMs) {
      const waitMs = dueMs - performance.now();
      if (waitMs > 0) await sleep(waitMs);
      // A machine that stood still is not made up for.
      else dueMs = performance.now();
      const startedMs = performance.now();
      try {
        if (speaking === null || speaking.isOver || asked >= perConnection) {
          speaking?.close();
          speaking = null;
          asked = 0;
          speaking = await connect();
        }
        asked++;
        this.sent.set(name, (this.sent.get(name) ?? 0) + 1);
        await speaking.ask();
        this.slowestMs = Math.max(this.slowestMs, performance.now() - startedMs);
      } catch (error) {
        const during = speaking === null ? 'connecting' : `exchange ${asked}`;
        this.failures.push({ speaker: name, atMs: Math.round(performance.now() - this.#startedMs), during, why: String(error) });
        speaking?.close();
        speaking = null;
      }
    }
    speaking?.close();
  }
}
