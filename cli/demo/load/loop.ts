/**
 * Sends requests at a steady rate over keep-alive connections, whatever becomes of those before, and counts every one. Targets
 * take turns, so that what disturbs one disturbs all.
 */
import { Agent, request } from 'node:http';
import type { ClientRequest } from 'node:http';

import type { LoadCounts, LoadTarget } from './protocol.ts';
import { LoadWindow } from './window.ts';

export interface LoadOptions {
  readonly targets: readonly LoadTarget[];
  readonly perSecond: number;
  /** A request without an answer for so long counts as hanging. */
  readonly hangMs?: number;
  readonly onChange: (target: string, status: number, atMs: number) => void;
}

export class LoadLoop {
  readonly #options: LoadOptions;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: SOCKETS, maxFreeSockets: SOCKETS });
  readonly #startedMs = performance.now();
  /** By target: the status that holds, and since when. */
  readonly #verdicts: { status: number; sinceMs: number }[];
  readonly #timer: NodeJS.Timeout;
  #window: LoadWindow;
  #sent = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#verdicts = options.targets.map(() => ({ status: 0, sinceMs: 0 }));
    this.#window = new LoadWindow(options.targets, this.#startedMs);
    this.#timer = setInterval(() => this.#sendDue(), TICK_MS);
  }

  /** Ends the open window, and opens the next. */
  nextWindow(): Promise<LoadCounts> {
    const now = performance.now();
    const ended = this.#window;
    this.#window = new LoadWindow(this.#options.targets, now);
    return ended.close(now);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#agent.destroy();
  }

  #sendDue(): void {
    const { targets, perSecond } = this.#options;
    const due = Math.floor(((performance.now() - this.#startedMs) / 1_000) * perSecond);
    // After a stall of the machine the rate goes on, what was missed is left out.
    if (due - this.#sent > BURST) this.#sent = due - BURST;
    while (this.#sent < due) {
      const index = this.#sent++ % targets.length;
      const target = targets[index];
      if (target !== undefined) this.#send(target, index);
    }
  }

  #send({ port, method, path }: LoadTarget, index: number): void {
    const window = this.#window;
    const beganMs = performance.now();
    let isOver = false;
    const over = (record: () => void): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(deadline);
      record();
    };
    window.began();
    const call = request(
      { host: '127.0.0.1', port, method, path, agent: this.#agent, headers: { host: 'orders.shop', 'user-agent': 'demo-load' } },
      (response) => {
        response.on('error', () => over(() => window.failed(false)));
        response.on('end', () => {
          const now = performance.now();
          const status = response.complete ? (response.statusCode ?? 0) : 0;
          over(() => (status === 0 ? window.failed(false) : window.answered(index, status, now - beganMs)));
          if (status !== 0) this.#observe(index, status, beganMs, now);
        });
        response.resume();
      },
    );
    call.on('error', () => over(() => window.failed(false)));
    const deadline = setTimeout(() => over(() => giveUp(call, window)), this.#options.hangMs ?? HANG_MS);
    call.end();
  }

  /** An answer to a request that was under way when the last change was seen says nothing new. */
  #observe(index: number, status: number, beganMs: number, nowMs: number): void {
    const verdict = this.#verdicts[index];
    const target = this.#options.targets[index];
    if (verdict === undefined || target === undefined || verdict.status === status || beganMs < verdict.sinceMs) return;
    verdict.status = status;
    verdict.sinceMs = nowMs;
    this.#options.onChange(target.name, status, performance.timeOrigin + nowMs);
  }
}

function giveUp(call: ClientRequest, window: LoadWindow): void {
  window.failed(true);
  call.destroy();
}

const TICK_MS = 5;
const BURST = 60;
const SOCKETS = 16;
const HANG_MS = 5_000;
