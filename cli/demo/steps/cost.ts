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
  const { running, ended } = mesh.processes;
  story.fact({
    text: `${running.length} processes run since they were started, ${ended.length} have ended`,
    isTrue: ended.length === 0,
    wanted: 'none has ended',
    seen: ended.map(({ name }) => name).join(', '),
  });
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
  const added = (quantile: 'p50Ms' | 'p99Ms'): string => milliseconds((through?.[quantile] ?? NaN) - (direct?.[quantile] ?? NaN));
  story.fact({
    text: `cost of both sidecars: +${added('p50Ms')} ms p50, +${added('p99Ms')} ms p99; CPU per request ${ofWeb ?? 'n/a'} (web's), ${ofOrders ?? 'n/a'} (orders')`,
    isTrue: isFlawless(counts) && unwanted(counts, DIRECT, [200]) + unwanted(counts, THROUGH, [200]) === 0 && requests > 0,
    wanted: 'every request answered 200, directly and through both',
    seen: countsText(counts),
  });
  const each = [direct, through].map((of) => `${milliseconds(of?.p50Ms ?? NaN)} / ${milliseconds(of?.p99Ms ?? NaN)} ms`);
  story.detail(`p50 / p99 of ${requests} requests each, in turn, ${PER_SECOND}/s: direct ${each[0]}, through both ${each[1]}`);
}

function milliseconds(ms: number): string {
  return ms.toFixed(2);
}

const DIRECT = 'direct';
const THROUGH = 'through both sidecars';
const WARM_UP_MS = 500;
const MEASURED_MS = 5_000;
