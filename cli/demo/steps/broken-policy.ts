/** A policy file with a mistake in it: refused with its place, while the last good set keeps deciding. */
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { call } from '../call.ts';
import { replaceFile } from '../identities.ts';
import type { Load } from '../load/load.ts';
import type { Mesh } from '../mesh.ts';
import { brokenOrdersPolicy, ordersPolicy } from '../policies.ts';
import type { Story } from '../story.ts';
import { filesOf } from '../topology.ts';
import { READ, WRITE, answersText, countsText, eventually, isFlawless, policyOf, unwanted } from './under-load.ts';

export async function brokenPolicy(mesh: Mesh, load: Load, story: Story): Promise<void> {
  const { web, orders } = mesh.workloads;
  const { policy, admin } = filesOf(orders);
  const broken = brokenOrdersPolicy();
  const before = await policyOf(admin);
  await load.window();
  replaceFile(policy, broken.text);
  const refused = await eventually(
    () => policyOf(admin),
    ({ faults }) => faults.length > 0,
  );
  const [fault] = refused.faults;
  const found =
    fault === undefined
      ? 'nothing'
      : `${basename(fault.file)}:${fault.line}:${fault.column}: ${fault.message}${fault.fix ? ` (${fault.fix})` : ''}`;
  story.fact({
    text: `policy with a slip: refused, ${found}`,
    isTrue: fault !== undefined && fault.line === broken.line && fault.column === broken.column,
    wanted: `a fault at ${basename(policy)}:${broken.line}:${broken.column}`,
    seen: found,
  });

  await sleep(DECIDING_MS);
  const read = await call(web.appPort, 'GET', '/orders/17');
  const write = await call(web.appPort, 'DELETE', '/orders/17');
  const counts = await load.window();
  const isKept = refused.revision === before.revision && refused.state === 'ok';
  story.fact({
    text: `the ${isKept ? 'last good' : 'new'} set decides on: GET -> ${read.status}, DELETE -> ${write.status}; ${countsText(counts)}`,
    isTrue:
      isKept &&
      read.status === 200 &&
      write.status === 403 &&
      isFlawless(counts) &&
      unwanted(counts, READ, [200]) + unwanted(counts, WRITE, [403]) === 0,
    wanted: '200, 403, the revision as before, no request lost',
    seen: `${read.status}, ${write.status}, ${refused.state} ${refused.revision}; ${answersText(counts)}; ${countsText(counts)}`,
  });

  replaceFile(policy, ordersPolicy());
  const mended = await eventually(
    () => policyOf(admin),
    ({ faults }) => faults.length === 0,
  );
  story.fact({
    text: `policy mended: ${mended.faults.length} faults, revision ${mended.revision.slice(0, 15)}… in force`,
    isTrue: mended.faults.length === 0 && mended.state === 'ok' && mended.revision === before.revision,
    wanted: 'no fault, the same revision as before the mistake',
    seen: `${mended.faults.length} faults, ${mended.state} ${mended.revision}`,
  });
}

const DECIDING_MS = 800;
