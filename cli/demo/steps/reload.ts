/** The policy of orders is edited while requests flow: it gives web the right to write, and takes it away again. */
import { setTimeout as sleep } from 'node:timers/promises';

import { replaceFile } from '../identities.ts';
import type { Load } from '../load/load.ts';
import type { Mesh } from '../mesh.ts';
import { ordersPolicy } from '../policies.ts';
import type { Story } from '../story.ts';
import { filesOf } from '../topology.ts';
import { PER_SECOND, READ, WRITE, answersText, countsText, isFlawless, policyOf, startLoad, unwanted } from './under-load.ts';

export async function reload(mesh: Mesh, load: Load, story: Story): Promise<void> {
  startLoad(mesh, load);
  await sleep(WARM_UP_MS);
  const before = await load.window();
  story.fact({
    text: `load on, ${PER_SECOND} requests/s from web: ${answersText(before)}`,
    isTrue: isFlawless(before) && unwanted(before, READ, [200]) + unwanted(before, WRITE, [403]) === 0,
    wanted: `every ${READ} 200, every ${WRITE} 403`,
    seen: `${answersText(before)}; ${countsText(before)}`,
  });
  await edit(mesh, load, story, 'web may write', ordersPolicy(['checkout', 'web']), 200);
  await edit(mesh, load, story, 'no more', ordersPolicy(), 403);
}

async function edit(mesh: Mesh, load: Load, story: Story, what: string, text: string, status: number): Promise<void> {
  const { policy, admin } = filesOf(mesh.workloads.orders);
  const old = await policyOf(admin);
  const editedMs = performance.timeOrigin + performance.now();
  replaceFile(policy, text);
  const change = await load.changed(WRITE, status, editedMs, FLIP_MS);
  await sleep(SETTLED_MS);
  const counts = await load.window();
  const flips = load.changes.filter((each) => each.atMs >= editedMs).length;
  const { revision } = await policyOf(admin);
  const afterMs = change === null ? null : Math.round(change.atMs - editedMs);
  story.fact({
    text: `policy edited, ${what}: DELETE -> ${change?.status ?? 'as before'} after ${afterMs ?? '-'} ms; ${countsText(counts)}`,
    isTrue:
      change !== null &&
      flips === 1 &&
      revision !== old.revision &&
      isFlawless(counts) &&
      unwanted(counts, READ, [200]) + unwanted(counts, WRITE, [200, 403]) === 0,
    wanted: `${status} within ${FLIP_MS} ms, one change, a new revision, no request lost`,
    seen: `${flips} changes, ${answersText(counts)}; ${countsText(counts)}; revision ${old.revision} -> ${revision}`,
  });
}

const WARM_UP_MS = 1_000;
/** Includes the start of the process that compiles, on a busy machine. */
const FLIP_MS = 8_000;
/** After the change, to see that it holds. */
const SETTLED_MS = 700;
