/** What is no HTTP/1.1: a gRPC call that may not be made, and WebSockets of which a change of policy ends exactly one. */
import { setTimeout as sleep } from 'node:timers/promises';

import { Client, credentials, type ServiceError } from '@grpc/grpc-js';

import { findLine } from '../access-log.ts';
import { replaceFile } from '../identities.ts';
import type { Mesh } from '../mesh.ts';
import { ordersPolicy, recalledOrderPolicy } from '../policies.ts';
import type { Story } from '../story.ts';
import { filesOf, outboundPort, spiffeIdOf } from '../topology.ts';
import { eventually, policyOf } from './under-load.ts';

export async function protocols(mesh: Mesh, story: Story): Promise<void> {
  await grpc(mesh, story);
  await websockets(mesh, story);
}

async function grpc(mesh: Mesh, story: Story): Promise<void> {
  const client = new Client(`127.0.0.1:${outboundPort(mesh.workloads.web, 'orders', 'grpc')}`, credentials.createInsecure());
  const got = await callGrpc(client, '/shop.Orders/Get');
  const refused = await callGrpc(client, '/shop.Orders/Cancel');
  client.close();
  story.fact({
    text: `web calls shop.Orders/Get -> grpc-status ${got.status}, caller ${/URI=([^;,"]+)/u.exec(got.text)?.[1] ?? 'nobody'}`,
    isTrue: got.status === 0 && got.text.includes(`URI=${spiffeIdOf('web')}`),
    wanted: `grpc-status 0, ${spiffeIdOf('web')}`,
    seen: `${got.status}, ${got.text}`,
  });
  story.fact({
    text: `web calls shop.Orders/Cancel -> grpc-status ${refused.status}: ${refused.text}`,
    isTrue: refused.status === PERMISSION_DENIED && /denied \(decision .+\)/u.test(refused.text),
    wanted: `grpc-status ${PERMISSION_DENIED} with the decision's id`,
    seen: `${refused.status}, ${refused.text}`,
  });
}

async function websockets(mesh: Mesh, story: Story): Promise<void> {
  const { web, orders } = mesh.workloads;
  const { accessLog, admin, policy } = filesOf(orders);
  const before = await policyOf(admin);
  const watches = ORDERS.map((order) => new Watch(`ws://127.0.0.1:${outboundPort(web, 'orders')}/orders/${order}/watch`));
  await eventually(
    () => Promise.resolve(watches),
    (all) => all.every(({ messages }) => messages > 0),
  );
  replaceFile(policy, recalledOrderPolicy(RECALLED));
  const changedMs = performance.now();
  await eventually(
    () => Promise.resolve(watches),
    (all) => all.some(({ code }) => code !== 0),
  );
  const afterMs = Math.round(performance.now() - changedMs);
  const heard = watches.map(({ messages }) => messages);
  await sleep(STILL_MS);
  const ended = watches.filter(({ code }) => code !== 0);
  const goOn = watches.filter(({ code, messages }, at) => code === 0 && messages > (heard[at] ?? 0)).length;
  const line = await findLine(accessLog, 0, (each) => each.path === `/orders/${RECALLED}/watch` && each.reason === 'revoked');
  story.fact({
    text: `${watches.length} WebSockets open, policy edited, nobody watches order ${RECALLED}: ${ended.length} closed with ${ended[0]?.code ?? '-'} after ${afterMs} ms, ${goOn} go on; its log says ${line?.reason ?? 'nothing'} by ${line?.policy ?? '-'}`,
    isTrue:
      ended.length === 1 &&
      ended[0]?.code === 1008 &&
      ended[0] === watches[ORDERS.indexOf(RECALLED)] &&
      goOn === 4 &&
      line?.policy === 'shop/recalled',
    wanted: `one, of order ${RECALLED}, closed with 1008, four that go on, revoked by shop/recalled`,
    seen: `${ended.map(({ url, code, reason }) => `${url} ${code} ${reason}`).join(', ')}; ${goOn} go on; ${JSON.stringify(line)}`,
  });
  for (const watch of watches) watch.close();
  replaceFile(policy, ordersPolicy());
  await eventually(
    () => policyOf(admin),
    ({ revision }) => revision === before.revision,
  );
}

/** One WebSocket, what it heard, and how it ended. */
class Watch {
  readonly url: string;
  messages = 0;
  code = 0;
  reason = '';
  readonly #socket: WebSocket;

  constructor(url: string) {
    this.url = url;
    this.#socket = new WebSocket(url);
    this.#socket.addEventListener('message', () => this.messages++);
    this.#socket.addEventListener('close', ({ code, reason }) => {
      this.code = code;
      this.reason = reason;
    });
  }

  close(): void {
    this.#socket.close();
  }
}

function callGrpc(client: Client, path: string): Promise<{ status: number; text: string }> {
  const { promise, resolve } = Promise.withResolvers<{ status: number; text: string }>();
  const answered = (error: ServiceError | null, answer?: Buffer): void =>
    resolve(error === null ? { status: 0, text: String(answer) } : { status: error.code, text: error.details });
  const deadline = Date.now() + WAIT_MS;
  client.makeUnaryRequest(path, asIs, asIs, Buffer.from('{"order":17}'), { deadline }, answered);
  return promise;
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}

const ORDERS = [1, 2, 3, 4, 5];
const RECALLED = 3;
/** gRPC's status for what is not allowed. */
const PERMISSION_DENIED = 7;
const WAIT_MS = 5_000;
/** So long the others are watched to go on. */
const STILL_MS = 500;
