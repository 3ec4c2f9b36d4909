/** A fixed number of requests a second over a few kept connections, without retry, until it is stopped; what fails is told by its reason. */
import { setTimeout as sleep } from 'node:timers/promises';

import { statusOf } from './http-reader.ts';
import type { RawClient } from './raw-client.ts';

export class SteadyLoad {
  sent = 0;
  readonly failures: string[] = [];
  readonly #connect: () => Promise<RawClient>;
  readonly #request: string;
  readonly #running: Promise<void>[] = [];
  #isStopped = false;

  constructor(connect: () => Promise<RawClient>, perSecond: number, connections: number, request: string) {
    this.#connect = connect;
    this.#request = request;
    for (let i = 0; i < connections; i++) this.#running.push(this.#run((1000 * connections) / perSecond, i));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#running);
  }

  async #run(intervalMs: number, worker: number): Promise<void> {
    let client: RawClient | null = null;
    let dueAt = performance.now() + (intervalMs * worker) / 4;
    for (let i = 0; !this.#isStopped; i++) {
      dueAt += intervalMs;
      const waitMs = dueAt - performance.now();
      if (waitMs > 0) await sleep(waitMs);
      try {
        // A new connection now and then: a handshake is traffic, too.
        if (client === null || i % 100 === 99) {
          client?.socket.end();
          client = await this.#connect();
        }
        this.sent++;
        const response = await client.ask(this.#request);
        if (statusOf(response) !== 200) this.failures.push(`${statusOf(response)} ${response.head.slice(0, 300)}`);
      } catch (error) {
        this.failures.push(String(error));
        client?.socket.destroy();
        client = null;
      }
    }
    client?.socket.destroy();
  }
}
