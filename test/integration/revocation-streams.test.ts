/**
 * Streams of gRPC and raw TCP connections that are open when a policy changes: exactly those that it denies end, within a second, and the
 * others lose no message and no byte.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { describe, expect, onTestFinished, test } from 'vitest';

import { grpcClient, startGrpcApp, type Answer } from '#test/support/grpc-app.ts';
import { allowing, denying, swapPolicy } from '#test/support/policy-swap.ts';
import { tlsSocket } from '#test/support/raw-client.ts';
import { eventually, figure, startSidecar } from '#test/support/sidecar.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { echo, startTcpApp } from '#test/support/tcp-app.ts';
import { h2Session, h2Websocket } from '#test/support/h2-websocket.ts';
import type { MeshIdentities } from '#test/support/mesh-identities.ts';
import { startEchoingApp } from '#test/support/websocket-peers.ts';

const ALL = allowing({});

describe('gRPC', () => {
  test('of a hundred streams, the seven that a policy now denies end with PERMISSION_DENIED within a second; the others lose no message', async () => {
    const app = keep(await startGrpcApp());
    const inbound = [{ mtls: 'STRICT', protocol: 'grpc', forwardTo: `h2c://127.0.0.1:${app.port}` }];
    const sidecar = keep(await startSidecar({ mesh, inbound, policies: { 'p.yaml': ALL } }));
    const client = grpcClient(sidecar.inboundPort, { mesh, account: 'web' });
    onTestFinished(() => client.close());
    const endedAt = new Map<number, number>();
    const codes = new Map<number, ServiceError>();
    let isOver = false;
    const chats = Array.from({ length: 100 }, async (_, i) => {
      const metadata = new Metadata();
      metadata.set('x-number', `n${i}`);
      const call = client.Chat(metadata);
      const answers: Answer[] = [];
      let wake = (): void => {};
      call.on('data', (answer: Answer) => {
        answers.push(answer);
        wake();
      });
      call.on('error', (error: ServiceError) => {
        endedAt.set(i, Date.now());
        codes.set(i, error);
        wake();
      });
      let sent = 0;
      while (!isOver && !endedAt.has(i)) {
        const payload = randomBytes(1 + ((i * 37 + sent * 911) % 5_000));
        call.write({ payload });
        while (answers.length <= sent && !endedAt.has(i)) {
          await new Promise<void>((done) => {
            wake = done;
          });
        }
        const answer = answers[sent];
        if (answer === undefined) break;
        if (answer.number !== sent || !payload.equals(answer.payload)) throw new Error(`message ${sent} of ${i} differs`);
        sent++;
        await sleep(30);
      }
      if (!endedAt.has(i)) call.end();
      return sent;
    });
    await sleep(1_500);
    const cut = Array.from({ length: 7 }, (_, k) => 3 + 15 * k);
    const swappedAt = await swapPolicy(
      sidecar,
      'deny.yaml',
      denying({ when: [{ key: 'request.headers[x-number]', values: cut.map((i) => `n${i}`) }] }),
    );
    await eventually('the seven to end', () => endedAt.size >= 7, 3_000);
    await sleep(1_000);
    const ended = [...endedAt.keys()];
    // Each of them is cancelled there, and nothing else.
    expect(app.cancelled).toBe(7);
    isOver = true;
    const sent = await Promise.all(chats);
    expect(ended.toSorted((a, b) => a - b)).toEqual(cut);
    for (const i of cut) {
      expect(codes.get(i)?.code).toBe(status.PERMISSION_DENIED);
      expect(codes.get(i)?.details).toContain('revoked');
    }
    expect(Math.min(...sent.filter((_, i) => !cut.includes(i)))).toBeGreaterThan(5);
    const last = Math.max(...cut.map((i) => endedAt.get(i) ?? 0)) - swappedAt;
    figure(
      `gRPC streams revoked: 7 of 100, the last ${last} ms after the swap was seen; messages ${sent.reduce((a, b) => a + b, 0)}`,
    );
    expect(last).toBeLessThan(1_000);
    await eventually('seven lines', () => sidecar.log().filter((line) => line['reason'] === 'revoked').length === 7);
    expect(sidecar.log().find((line) => line['reason'] === 'revoked')).toMatchObject({
      grpc_status: 7,
      policy: 'test/closed',
      path: '/postern.test.Echo/Chat',
    });
  }, 120_000);

  test('a call that has no head yet is denied by trailers alone', async () => {
    const app = keep(await startGrpcApp());
    const inbound = [{ mtls: 'STRICT', protocol: 'grpc', forwardTo: `h2c://127.0.0.1:${app.port}` }];
    const sidecar = keep(await startSidecar({ mesh, inbound, policies: { 'p.yaml': ALL } }));
    const client = grpcClient(sidecar.inboundPort, { mesh, account: 'web' });
    onTestFinished(() => client.close());
    const ended = Promise.withResolvers<ServiceError | null>();
    client.Silent({}, new Metadata(), {}, (error) => ended.resolve(error));
    await eventually('the call', () => app.metadata.length === 1);
    await swapPolicy(sidecar, 'deny.yaml', denying({ to: [{ operation: { paths: ['/postern.test.Echo/Silent'] } }] }));
    expect((await ended.promise)?.code).toBe(status.PERMISSION_DENIED);
    await eventually('the app to see it', () => app.cancelled === 1);
  });
});

test('over HTTP/2 what a caller has open ends in its own words when its SVID runs out', async () => {
  const app = keep(await startGrpcApp());
  const echoing = keep(await startEchoingApp());
  const inbound = [
    { mtls: 'STRICT', forwardTo: `h2c://127.0.0.1:${app.port}` },
    { mtls: 'STRICT', forwardTo: `127.0.0.1:${echoing.port}` },
  ];
  const sidecar = keep(await startSidecar({ mesh, inbound, policies: { 'p.yaml': ALL } }));
  const svid = mesh.fresh('brief', 6_000);
  // The same identities but for this one.
  const brief = Object.create(mesh, { svid: { value: () => svid } }) as MeshIdentities;
  const client = grpcClient(sidecar.inboundPort, { mesh: brief, account: 'brief' });
  onTestFinished(() => client.close());
  const ended = Promise.withResolvers<ServiceError>();
  const call = client.Chat();
  call.on('error', (error: ServiceError) => ended.resolve(error));
  call.on('data', () => {});
  call.write({ payload: Buffer.from('x') });
  const session = await h2Session(sidecar.inbound[1] ?? 0, { mesh, svid });
  onTestFinished(() => session.destroy());
  const socket = keep(await h2Websocket(session, '/ws/brief'));
  expect(await socket.echo('in time')).toBe('in time');
  expect(await socket.over(9_000)).toEqual({ code: 1008, reason: 'svid_expired' });
  expect((await ended.promise).code).toBe(status.UNAUTHENTICATED);
  await eventually('the end of the connection', () => session.destroyed || session.closed, 5_000);
  const lines = ['/ws/brief', '/postern.test.Echo/Chat'].map((path) => sidecar.logged((line) => line['path'] === path));
  for (const line of await Promise.all(lines)) expect(line).toMatchObject({ reason: 'svid_expired' });
});

test('of a hundred TCP connections, the seven that a policy now denies are reset within a second; the others lose no byte', async () => {
  const app = keep(await startTcpApp(echo));
  const inbound = [{ mtls: 'STRICT', protocol: 'tcp', forwardTo: `127.0.0.1:${app.port}` }];
  const sidecar = keep(await startSidecar({ mesh, inbound, policies: { 'p.yaml': ALL } }));
  const cut = Array.from({ length: 7 }, (_, k) => 3 + 15 * k);
  const bad = { mesh, svid: mesh.svid('bad') };
  const endedAt = new Map<number, number>();
  let isOver = false;
  const echoes = Array.from({ length: 100 }, async (_, i) => {
    const socket = tlsSocket(sidecar.inboundPort, cut.includes(i) ? bad : web, { alpn: ['istio'] });
    let received = Buffer.alloc(0);
    let wake = (): void => {};
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      wake();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      endedAt.set(i, Date.now());
      wake();
    });
    let sent = 0;
    while (!isOver && !endedAt.has(i)) {
      const bytes = randomBytes(1 + ((i * 37 + sent * 911) % 20_000));
      received = Buffer.alloc(0);
      socket.write(bytes);
      while (received.length < bytes.length && !endedAt.has(i)) {
        await new Promise<void>((done) => {
          wake = done;
        });
      }
      if (endedAt.has(i)) break;
      if (!bytes.equals(received)) throw new Error(`part ${sent} of ${i} differs`);
      sent++;
      await sleep(30);
    }
    socket.destroy();
    return sent;
  });
  await sleep(2_000);
  const swappedAt = await swapPolicy(
    sidecar,
    'deny.yaml',
    denying({ from: [{ source: { principals: ['cluster.local/ns/test/sa/bad'] } }] }),
  );
  await eventually('the seven to end', () => endedAt.size >= 7, 3_000);
  await sleep(1_000);
  const ended = new Map(endedAt);
  isOver = true;
  const sent = await Promise.all(echoes);
  expect([...ended.keys()].toSorted((a, b) => a - b)).toEqual(cut);
  expect(Math.min(...sent.filter((_, i) => !cut.includes(i)))).toBeGreaterThan(5);
  const last = Math.max(...ended.values()) - swappedAt;
  figure(
    `TCP connections revoked: 7 of 100, the last ${last} ms after the swap was seen; echoes ${sent.reduce((a, b) => a + b, 0)}`,
  );
  expect(last).toBeLessThan(1_000);
  await eventually('seven lines', () => sidecar.log().filter((line) => line['reason'] === 'revoked').length === 7);
  expect(sidecar.log().find((line) => line['reason'] === 'revoked')).toMatchObject({
    verdict: 'denied',
    policy: 'test/closed',
    source_principal: 'spiffe://cluster.local/ns/test/sa/bad',
  });
}, 120_000);
