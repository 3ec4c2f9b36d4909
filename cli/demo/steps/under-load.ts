/** What the steps share that change something while requests flow: the load, its counts, and what a sidecar says is in force. */
import { setTimeout as sleep } from 'node:timers/promises';

import { z } from 'zod';

import { askSidecar } from '../../admin-client.ts';
import type { Mesh } from '../mesh.ts';
import type { Load } from '../load/load.ts';
import type { LoadCounts } from '../load/protocol.ts';
import { outboundPort } from '../topology.ts';

export const PER_SECOND = 200;
export const READ = 'GET /orders/17';
export const WRITE = 'DELETE /orders/17';

/** Reads and writes in turn, as web's own calls: to web's sidecar, from there to that of orders. */
export function startLoad(mesh: Mesh, load: Load): void {
  const port = outboundPort(mesh.workloads.web, 'orders');
  load.start(
    [
      { name: READ, port, method: 'GET', path: '/orders/17' },
      { name: WRITE, port, method: 'DELETE', path: '/orders/17' },
    ],
    PER_SECOND,
  );
}

/** Answers of a target that had none of the statuses. */
export function unwanted(counts: LoadCounts, target: string, statuses: readonly number[]): number {
  const found = counts.targets.find(({ name }) => name === target);
  return Object.entries(found?.byStatus ?? {}).reduce((sum, [status, n]) => sum + (statuses.includes(Number(status)) ? 0 : n), 0);
}

/** Whether the load really ran, and lost nothing. */
export function isFlawless(counts: LoadCounts): boolean {
  return counts.failed === 0 && counts.hung === 0 && counts.sent >= counts.seconds * PER_SECOND * LEAST_SHARE;
}

export function countsText({ sent, seconds, failed, hung }: LoadCounts): string {
  return `${sent} requests in ${seconds.toFixed(1)} s, ${failed} failed, ${hung} hung`;
}

export function answersText({ targets }: LoadCounts): string {
  const statuses = (byStatus: Readonly<Record<string, number>>): string =>
    Object.entries(byStatus)
      .map(([status, count]) => `${count}x ${status}`)
      .join(', ');
  return targets.map(({ name, byStatus }) => `${name}: ${statuses(byStatus)}`).join('; ');
}

export type PolicyInForce = z.output<typeof policySchema>;

export async function policyOf(admin: string): Promise<PolicyInForce> {
  return policySchema.parse(await askSidecar(admin, '/policy'));
}

/** Asks until it is so, or the time is over; the last answer in either case. */
export async function eventually<T>(ask: () => Promise<T>, isSo: (answer: T) => boolean, timeoutMs = 8_000): Promise<T> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (isSo(answer) || performance.now() > until) return answer;
    await sleep(20);
  }
}

const policySchema = z.object({
  revision: z.string(),
  state: z.string(),
  faults: z.array(
    z.object({ file: z.string(), line: z.number(), column: z.number(), message: z.string(), fix: z.string().nullish() }),
  ),
});

/** Of the rate that was asked for; a machine that stalls for a moment sends less. */
const LEAST_SHARE = 0.5;
