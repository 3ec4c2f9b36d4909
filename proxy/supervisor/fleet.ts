/** All the data processes of a supervisor: those that serve and those that drain. */
import { mergingOf } from '../report/metrics.ts';
import { mergeSamples, type Samples } from '../report/samples.ts';
import { fleetAnswer } from './fleet-answers.ts';
import type { ToWorker } from './messages.ts';
import type { WorkerProcess } from './worker-process.ts';

export class Fleet {
  /** Workers that died and were replaced. */
  restarts = 0;
  readonly #processes = new Set<WorkerProcess>();
  /** What was counted by processes that are gone: a counter never runs backwards. */
  #departed: Samples = {};

  constructor() {
    setInterval(() => void this.#count(), COUNT_MS).unref();
  }

  add(process: WorkerProcess): void {
    this.#processes.add(process);
    void process.exited.then(() => {
      this.#processes.delete(process);
      this.#departed = mergeSamples([this.#departed, countersOf(process.samples)], mergingOf);
    });
  }

  tell(message: ToWorker): void {
    for (const process of this.#processes) process.send(message);
  }

  /** What all have counted. */
  async samples(): Promise<Samples> {
    const own: Samples = {
      postern_workers: { '': this.#processes.size },
      postern_worker_restarts_total: { '': this.restarts },
    };
    const counted = await this.#count();
    return mergeSamples([...counted, this.#departed, own], mergingOf);
  }

  /** The answer of all to `GET url` of the admin interface. */
  async answer(url: string): Promise<unknown> {
    const processes = [...this.#processes].toSorted((a, b) => a.worker - b.worker);
    const answers = processes.map(async (process) => ({
      worker: process.worker,
      pid: process.pid,
      body: await process.ask({ what: 'admin', url }),
    }));
    return fleetAnswer(url, await Promise.all(answers));
  }

  /** Lets all of them finish what is in flight. */
  async drain(timeoutMs: number): Promise<void> {
    await Promise.all([...this.#processes].map((process) => process.drain(false, timeoutMs)));
  }

  kill(): void {
    for (const process of this.#processes) process.kill();
  }

  #count(): Promise<Samples[]> {
    return Promise.all([...this.#processes].map((process) => process.count()));
  }
}

function countersOf(samples: Samples): Samples {
  return Object.fromEntries(Object.entries(samples).filter(([metric]) => COUNTING.test(metric)));
}

/** Counters and the histogram; a gauge of a process that is gone says nothing. */
const COUNTING = /(?:_total|_duration_seconds)$/u;
/** What a worker counted since then is lost when it dies. */
const COUNT_MS = 5_000;
