/** Calls through the mesh: one that may pass, a forged identity, one that may not and why, and an intruder's. */
import { z } from 'zod';

import { findLine } from '../access-log.ts';
import { call } from '../call.ts';
import { postern } from '../command.ts';
import type { Mesh } from '../mesh.ts';
import type { Story } from '../story.ts';
import { filesOf, spiffeIdOf } from '../topology.ts';

export async function calls(mesh: Mesh, story: Story): Promise<void> {
  await allowed(mesh, story);
  await forged(mesh, story);
  await twoHops(mesh, story);
  await denied(mesh, story);
  await intruder(mesh, story);
}

async function allowed(mesh: Mesh, story: Story): Promise<void> {
  const { status, body } = await call(mesh.workloads.web.appPort, 'GET', '/orders/17');
  const caller = callerIn(body);
  story.fact({
    text: `web GET /orders/17 -> ${status}; orders shows whom its sidecar told it: ${caller}`,
    isTrue: status === 200 && caller === spiffeIdOf('web'),
    wanted: `200, ${spiffeIdOf('web')}`,
    seen: `${status}, ${caller}: ${body.slice(0, 400)}`,
  });
}

async function forged(mesh: Mesh, story: Story): Promise<void> {
  const claim = spiffeIdOf('admin');
  const { status, body } = await call(mesh.workloads.web.appPort, 'GET', '/orders/17', {
    'x-forwarded-client-cert': `URI=${claim}`,
  });
  const received = status === 200 ? ordersSchema.parse(JSON.parse(body)).received : [];
  const fields = received.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'x-forwarded-client-cert').length;
  const hasArrived = body.includes(claim);
  story.fact({
    text: `with a forged x-forwarded-client-cert -> ${status}; it ${hasArrived ? 'arrived' : 'never arrived'}, orders got ${fields}: ${callerIn(body)}`,
    isTrue: status === 200 && !hasArrived && fields === 1 && callerIn(body) === spiffeIdOf('web'),
    wanted: `200, one x-forwarded-client-cert with ${spiffeIdOf('web')}`,
    seen: `${status}, ${body.slice(0, 600)}`,
  });
}

async function twoHops(mesh: Mesh, story: Story): Promise<void> {
  const { status, body } = await call(mesh.workloads.web.appPort, 'GET', '/orders/17/invoice');
  const answer = invoiceSchema.safeParse(parsed(body));
  const said = answer.success ? answer.data.ledgerSays : 'nothing';
  const caller = answer.success ? callerIn(answer.data.caller) : 'nobody';
  // Raw TCP has no field that could name the caller: the sidecar knows, and says so in its log.
  const line = await findLine(filesOf(mesh.workloads.ledger).accessLog, 0, (each) => each.decision === 'allow');
  const peer = line?.source_principal ?? undefined;
  story.fact({
    text: `web GET /orders/17/invoice -> ${status}, two hops: orders was called by ${short(caller)}, ledger by ${short(peer)} over TCP: "${said}"`,
    isTrue: status === 200 && caller === spiffeIdOf('web') && peer === spiffeIdOf('orders') && said === 'account 17: 42',
    wanted: `200, called by ${spiffeIdOf('web')} and ${spiffeIdOf('orders')}, "account 17: 42"`,
    seen: `${status}, ${body.slice(0, 600)}, ${peer ?? 'nobody'}`,
  });
}

async function denied(mesh: Mesh, story: Story): Promise<void> {
  const { status, decisionId, headers } = await call(mesh.workloads.web.appPort, 'DELETE', '/orders/17');
  const reason = String(headers['x-postern-reason']);
  story.fact({
    text: `web DELETE /orders/17 -> ${status} ${reason}, decision ${decisionId}`,
    isTrue: status === 403 && decisionId !== '' && reason === 'denied_by_policy',
    wanted: '403 denied_by_policy and a decision id',
    seen: `${status} ${reason}, decision "${decisionId}"`,
  });
  const { admin } = filesOf(mesh.workloads.orders);
  const { stdout, stderr, status: exit } = await postern('explain', decisionId, '--admin', admin);
  const nearest = /nearest: +(.*)/u.exec(stdout)?.[1] ?? 'none named';
  const wanted = `shop/orders#write: \`from\` does not include ${spiffeIdOf('web')}`;
  story.fact({
    text: `postern explain ${decisionId}: the nearest miss is ${nearest.split(':', 1)[0] ?? ''}`,
    isTrue: exit === 0 && nearest.includes(wanted),
    wanted: `exit 0, ${wanted}`,
    seen: `exit ${exit}, ${stdout}${stderr}`,
  });
  story.detail(...stdout.trimEnd().split('\n'));
}

async function intruder(mesh: Mesh, story: Story): Promise<void> {
  const { intruder: from, orders, ledger } = mesh.workloads;
  for (const [path, to, wanted] of [
    ['/orders/17', orders, 403],
    // Over raw TCP there is nobody to tell but the log: the connection just ends.
    ['/accounts/17', ledger, 502],
  ] as const) {
    const { status } = await call(from.appPort, 'GET', path);
    const line = await findLine(filesOf(to).accessLog, 0, (each) => each.source_principal === from.spiffeId);
    const logged = `${line?.decision_code ?? 'nothing'} for ${line?.source_principal ?? 'nobody'}`;
    story.fact({
      text: `intruder GET ${path} as "web" -> ${status}; ${to.name} logged ${logged}`,
      isTrue: status === wanted && line?.decision_code === 'denied_no_match' && line.source_principal === spiffeIdOf('intruder'),
      wanted: `${wanted}, denied_no_match for ${spiffeIdOf('intruder')}`,
      seen: `${status}, ${logged}`,
    });
  }
}

/** The identity in what an app shows of its x-forwarded-client-cert. */
function callerIn(text: string): string {
  return /URI=(spiffe:[^;,"\\]+)/u.exec(text)?.[1] ?? 'nobody';
}

function short(id: string | undefined): string {
  return id?.split('/').at(-1) ?? 'nobody';
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

const ordersSchema = z.object({ received: z.array(z.string()) });
const invoiceSchema = z.object({ caller: z.string(), ledgerSays: z.string() });
