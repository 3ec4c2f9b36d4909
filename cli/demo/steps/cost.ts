/** What two sidecars cost: the same loop sends to the app directly and through both, in turn. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { Load } from '../load/load.ts';
import type { Mesh } from '../mesh.ts';
import { cpuMicroseconds } from '../process-cost.ts';
import type { Story } from '../story.ts';
import { outboundPort } from '../topology.ts';
import { PER_SECOND, countsText, isFlawless, unwanted } from './under-load.ts';

export async function cost(mesh: Mesh, load: Load, story: Story): Promise<void> {
  const { web, orders } = mesh.workloads;
  const request = { method: 'GET', path: '/orders/17' };
  load.start(
    [
      { name: DIRECT, port: orders.appPort, ...request },
      { name: THROUGH, port: outboundPort(web, 'orders'), ...request },
    ],
    PER_SECOND * 2,
  );
  await sleep(WARM_UP_MS);
  await load.window();
  const pids = [mesh.sidecar('web').pid, mesh.sidecar('orders').pid];
  const before = pids.map(cpuMicroseconds);
  await sleep(MEASURED_MS);
  const after = pids.map(cpuMicroseconds);
  const counts = await load.window();

  const [direct, through] = [DIRECT, THROUGH].map((name) => counts.targets.find((each) => each.name === name));
  const requests = through?.byStatus['200'] ?? 0;
  const [ofWeb, ofOrders] = pids.map((_, at) => {
    const [from, to] = [before[at] ?? null, after[at] ?? null];
    return from === null || to === null || requests === 0 ? 'n/a' : `${Math.round((to - from) / requests)} us`;
  });
  const added = (ms: 'p50Ms' | 'p99Ms'): string => milliseconds((through?.[ms] ?? NaN) - (direct?.[ms] ?? NaN));
  const each = `${milliseconds(direct?.p50Ms ?? NaN)} / ${milliseconds(direct?.p99Ms ?? NaN)} without, ${milliseconds(through?.p50Ms ?? NaN)} / ${milliseconds(through?.p99Ms ?? NaN)} with`;
  story.fact({
    text: `cost of both sidecars at ${PER_SECOND} requests/s: +${added('p50Ms')} p50, +${added('p99Ms')} p99 (${each}); CPU per request ${ofWeb ?? 'n/a'} in web's, ${ofOrders ?? 'n/a'} in orders'`,
    isTrue: isFlawless(counts) && unwanted(counts, DIRECT, [200]) + unwanted(counts, THROUGH, [200]) === 0 && requests > 0,
    wanted: 'every request answered 200, directly and through both',
    seen: countsText(counts),
  });
}

function milliseconds(ms: number): string {
  return `${ms.toFixed(2)} ms`;
}

const DIRECT = 'direct';
const THROUGH = 'through both sidecars';
const WARM_UP_MS = 500;
const MEASURED_MS = 5_000;
