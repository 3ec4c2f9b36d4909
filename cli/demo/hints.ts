/** The commands that the demo offers to try while it stays up. */
import { relative } from 'node:path';

import { call } from './call.ts';
import type { Mesh } from './mesh.ts';
import { ROOT } from './places.ts';
import { filesOf } from './topology.ts';

/** Three commands that work in a shell, as things stand now. */
export async function commandsToTry(mesh: Mesh): Promise<string[]> {
  const { web, orders } = mesh.workloads;
  const { admin } = filesOf(orders);
  // A fresh denial, so that the sidecar still remembers it.
  const { decisionId } = await call(web.appPort, 'DELETE', '/orders/17');
  return [
    `curl -i http://127.0.0.1:${web.appPort}/orders/17`,
    `npx postern explain ${decisionId} --admin ${admin}`,
    `npx postern ps --admin ${admin}`,
  ];
}

/** Where `npx postern` finds the command, as seen from where the reader is; '' when that is right here. */
export function placeToTry(): string {
  const place = relative(process.cwd(), ROOT);
  return place === '' ? '' : ` (in ${ROOT})`;
}
