/** Every SVID of the mesh is replaced while requests flow, several times. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { IssuedSvid } from '#certs/authority/authority.ts';

import { call } from '../call.ts';
import { serialOf } from '../identities.ts';
import type { Load } from '../load/load.ts';
import type { Mesh } from '../mesh.ts';
import { presentedSerial } from '../probe.ts';
import type { Story } from '../story.ts';
import { filesOf, inboundPort } from '../topology.ts';
import { identityOf } from './start.ts';
import { READ, WRITE, answersText, countsText, eventually, isFlawless, unwanted } from './under-load.ts';

export async function rotation(mesh: Mesh, load: Load, story: Story): Promise<void> {
  await load.window();
  const rounds: Round[] = [];
  for (let at = 0; at < ROUNDS; at++) {
    rounds.push(await rotate(mesh));
    await sleep(PAUSE_MS);
  }
  const counts = await load.window();
  const proved = rounds.filter(({ isProved }) => isProved).length;
  const longestMs = Math.max(...rounds.map(({ tookMs }) => tookMs));
  const last = rounds.at(-1);
  story.fact({
    text: `${mesh.all.length} SVIDs rotated ${rounds.length} times, new serials in force within ${longestMs} ms; ${countsText(counts)}`,
    isTrue: proved === ROUNDS && isFlawless(counts) && unwanted(counts, READ, [200]) + unwanted(counts, WRITE, [403]) === 0,
    wanted: `${ROUNDS} rotations, each seen by admin, by handshake and by the app; no request lost`,
    seen: `${proved} proved, last: ${last?.seen ?? '-'}; ${answersText(counts)}; ${countsText(counts)}`,
  });
  const serials = rounds.map(({ presented }) => presented?.slice(0, 8) ?? 'none');
  story.detail(`orders' mTLS port presented the serials ${serials.map((serial) => `${serial}…`).join(', ')}`);
}

interface Round {
  readonly isProved: boolean;
  readonly tookMs: number;
  /** Serial that the mTLS port of orders presents. */
  readonly presented: string | null;
  readonly seen: string;
}

async function rotate(mesh: Mesh): Promise<Round> {
  const { web, orders } = mesh.workloads;
  const began = performance.now();
  const fresh = new Map(mesh.all.map((workload) => [workload, mesh.rotate(workload)]));
  const inForce = await Promise.all(
    [...fresh].map(async ([workload, svid]) => {
      const wanted = serialOf(svid);
      const ask = async (): Promise<string | undefined> => (await identityOf(filesOf(workload).admin)).serial;
      return (await eventually(ask, (serial) => serial === wanted)) === wanted;
    }),
  );
  const tookMs = Math.round(performance.now() - began);
  const [ofWeb, ofOrders] = [fresh.get(web), fresh.get(orders)];
  if (ofWeb === undefined || ofOrders === undefined) throw new RangeError('web and orders have no SVID');
  const presented = await presentedSerial(inboundPort(orders), ofWeb);
  const caller = await callerHash(web.appPort);
  const isProved = !inForce.includes(false) && presented === serialOf(ofOrders) && caller === hashOf(ofWeb);
  const seen = `${inForce.filter(Boolean).length} sidecars say so, presented ${presented ?? 'none'}, caller ${caller}`;
  return { isProved, tookMs, presented, seen };
}

/** Hash of the certificate by which orders' sidecar knew web on this very call. */
async function callerHash(port: number): Promise<string> {
  const { body } = await call(port, 'GET', '/orders/17');
  return /Hash=([0-9a-f]{64})/u.exec(body)?.[1] ?? 'unknown';
}

function hashOf({ certificate }: IssuedSvid): string {
  return certificate.fingerprint;
}

const ROUNDS = 3;
const PAUSE_MS = 300;
