/** Counts the requests that began in one window, until the last of them has ended. */
import type { LoadCounts, LoadTarget } from './protocol.ts';

export class LoadWindow {
  readonly #targets: readonly LoadTarget[];
  readonly #byStatus: Map<number, number>[];
  readonly #latenciesMs: number[][];
  readonly #openedMs: number;
  #closedMs: number | null = null;
  #open = 0;
  #sent = 0;
  #failed = 0;
  #hung = 0;
  #whenOver: ((counts: LoadCounts) => void) | null = null;

  constructor(targets: readonly LoadTarget[], nowMs: number) {
    this.#targets = targets;
    this.#byStatus = targets.map(() => new Map<number, number>());
    this.#latenciesMs = targets.map((): number[] => []);
    this.#openedMs = nowMs;
  }

  began(): void {
    this.#sent++;
    this.#open++;
  }

  answered(target: number, status: number, latencyMs: number): void {
    const counts = this.#byStatus[target];
    counts?.set(status, (counts.get(status) ?? 0) + 1);
    this.#latenciesMs[target]?.push(latencyMs);
    this.#ended();
  }

  failed(isHung: boolean): void {
    if (isHung) this.#hung++;
    else this.#failed++;
    this.#ended();
  }

  /** No request begins in it any more; resolves when those that did have ended. */
  close(nowMs: number): Promise<LoadCounts> {
    this.#closedMs = nowMs;
    return new Promise((resolve) => {
      this.#whenOver = resolve;
      this.#settle();
    });
  }

  #ended(): void {
    this.#open--;
    this.#settle();
  }

  #settle(): void {
    if (this.#closedMs === null || this.#open > 0) return;
    this.#whenOver?.({
      sent: this.#sent,
      seconds: (this.#closedMs - this.#openedMs) / 1_000,
      failed: this.#failed,
      hung: this.#hung,
      targets: this.#targets.map(({ name }, at) => {
        const sorted = (this.#latenciesMs[at] ?? []).toSorted((a, b) => a - b);
        const byStatus = Object.fromEntries(this.#byStatus[at] ?? []);
        return { name, byStatus, p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99) };
      }),
    });
  }
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
