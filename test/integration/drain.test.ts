/** The end of a data process: what was accepted is answered, what can't end by itself is ended, and the log says so. */
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';

import { describe, expect, test } from 'vitest';

import { startGrpcApp } from '#test/support/grpc-app.ts';
import { statusOf } from '#test/support/http-reader.ts';
import { MixedLoad } from '#test/support/mixed-load.ts';
import { plainClient, tlsClient, tlsSocket } from '#test/support/raw-client.ts';
import { GET, keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { figure, startSidecar, type Settings, type Sidecar } from '#test/support/sidecar.ts';
import {
  grpcSpeaker,
  http1Speaker,
  http2Speaker,
  startHttpApp,
  startTcpApp,
  tcpSpeaker,
  websocketSpeaker,
} from '#test/support/speakers.ts';

async function running(timeouts: Settings = {}, delayMs = 0, concurrency = 1): Promise<Sidecar> {
  const app = keep(await startHttpApp(delayMs));
  const tcp = keep(await startTcpApp());
  const forwardTo = `127.0.0.1:${app.port}`;
  const inbound = [
    { mtls: 'STRICT', forwardTo },
    { mtls: 'DISABLE', forwardTo },
    { mtls: 'STRICT', protocol: 'tcp', forwardTo: `127.0.0.1:${tcp.port}` },
  ];
  return keep(await startSidecar({ mesh, inbound, timeouts, concurrency }));
}

describe.each([1, 2])('the end of a sidecar of %d processes', (concurrency) => {
  test('connections that wait in the queue of a listener are served', async () => {
    const sidecar = await running({}, 0, concurrency);
    const pid = concurrency === 1 ? sidecar.process.pid : null;
    const port = sidecar.inbound[1] ?? 0;
    // While it stands still the kernel accepts for it.
    if (pid !== null) sidecar.process.signal('SIGSTOP');
    const clients = await Promise.all(Array.from({ length: 100 }, () => plainClient(port)));
    const answers = clients.map((client) => client.ask(GET));
    sidecar.process.signal('SIGTERM');
    if (pid !== null) sidecar.process.signal('SIGCONT');
    for (const answer of await Promise.all(answers)) expect(statusOf(answer)).toBe(200);
    for (const client of clients) client.socket.destroy();
    expect(await sidecar.process.exited).toMatchObject({ code: 0, signal: null });
  });

  test('a handshake under way is finished and its request served', async () => {
    const sidecar = await running({}, 0, concurrency);
    const clients = Array.from({ length: 20 }, () => tlsClient(sidecar.inboundPort, web));
    await new Promise((resolve) => setTimeout(resolve, 5));
    sidecar.process.signal('SIGTERM');
    const settled = await Promise.allSettled(
      clients.map(async (opening) => {
        const client = await opening;
        const answer = await client.ask(GET);
        client.socket.destroy();
        return statusOf(answer);
      }),
    );
    // Whoever came too late was refused by the kernel, nobody was accepted and dropped.
    for (const result of settled) {
      if (result.status === 'fulfilled') expect(result.value).toBe(200);
      else expect(String(result.reason)).toContain('ECONNREFUSED');
    }
    expect(await sidecar.process.exited).toMatchObject({ code: 0 });
  });

  test('a kept connection that is used within a second is told to close, and loses nothing', async () => {
    const sidecar = await running({}, 0, concurrency);
    await using client = await tlsClient(sidecar.inboundPort, web);
    expect(statusOf(await client.ask(GET))).toBe(200);
    sidecar.process.signal('SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 300));
    const answer = await client.ask(GET);
    expect(statusOf(answer)).toBe(200);
    expect(answer.head.toLowerCase()).toContain('connection: close');
    await client.over(2_000);
    expect(await sidecar.process.exited).toMatchObject({ code: 0 });
  });

  test('what is left at the end of the drain time is ended and logged as draining', async () => {
    const sidecar = await running({ drain: '1s' }, 0, concurrency);
    const socket = tlsSocket(sidecar.inbound[2] ?? 0, web, { alpn: ['istio'] });
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    socket.write('one');
    await once(socket, 'data');
    const startedMs = performance.now();
    sidecar.process.signal('SIGTERM');
    await new Promise((resolve) => socket.on('close', resolve));
    const tookMs = performance.now() - startedMs;
    expect(tookMs).toBeGreaterThan(800);
    expect(tookMs).toBeLessThan(4_000);
    expect(await sidecar.process.exited).toMatchObject({ code: 0 });
    expect(JSON.stringify(sidecar.log())).toContain('draining');
  });
});

test('a request that has no answer at the end of the drain time gets one', async () => {
  const sidecar = await running({ drain: '300ms' }, 5_000);
  await using client = await tlsClient(sidecar.inboundPort, web);
  const answer = client.ask(GET);
  await new Promise((resolve) => setTimeout(resolve, 100));
  sidecar.process.signal('SIGTERM');
  expect(statusOf(await answer)).toBe(503);
  client.socket.destroy();
  expect(await sidecar.process.exited).toMatchObject({ code: 0 });
  expect(sidecar.log()).toEqual([expect.objectContaining({ response_code: 503, response_flags: 'SD' })]);
});

test('nobody who was accepted is lost when 500 exchanges a second of five protocols meet a drain', async () => {
  const app = keep(await startHttpApp());
  const tcp = keep(await startTcpApp());
  const grpc = keep(await startGrpcApp());
  const forwardTo = `127.0.0.1:${app.port}`;
  const inbound = [
    { mtls: 'STRICT', forwardTo },
    { mtls: 'STRICT', protocol: 'tcp', forwardTo: `127.0.0.1:${tcp.port}` },
    { mtls: 'STRICT', protocol: 'grpc', forwardTo: `h2c://127.0.0.1:${grpc.port}` },
  ];
  const sidecar = keep(await startSidecar({ mesh, inbound }));
  const [http = 0, raw = 0, rpc = 0] = sidecar.inbound;
  const load = new MixedLoad([
    http1Speaker(http, web, { perSecond: 150 }),
    http2Speaker(http, web, { perSecond: 150 }),
    grpcSpeaker(rpc, web, 'web', { perSecond: 150, connections: 2 }),
    websocketSpeaker(http, web, { perSecond: 25 }),
    tcpSpeaker(raw, web, { perSecond: 25 }),
  ]);
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  sidecar.process.signal('SIGTERM');
  expect(await sidecar.process.exited).toMatchObject({ code: 0 });
  await load.stop();
  // There is no other process: once the listeners are closed the kernel refuses.
  const lost = load.failures.filter(({ why }) => !/ECONNREFUSED|14 No connection/u.test(why));
  figure(`drain under load, with nobody to take over: ${load.describe()}, ${lost.length} of them after they were accepted`);
  expect(lost).toEqual([]);
});

test('no process is left behind, the one that prepares included', async () => {
  const sidecar = await running({}, 0, 2);
  const children = readFileSync(`/proc/${sidecar.process.pid}/task/${sidecar.process.pid}/children`, 'latin1').trim().split(' ');
  // Two workers, and the preparer if it has not ended yet for want of questions.
  expect(children.length).toBeGreaterThanOrEqual(2);
  expect(await sidecar.process.end('SIGTERM', 20_000)).toMatchObject({ code: 0 });
  expect(children.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
});

test('a port of a process that drains is closed at once', async () => {
  const sidecar = await running({}, 500);
  await using waiting = await plainClient(sidecar.inbound[1] ?? 0);
  const answer = waiting.ask(GET);
  await new Promise((resolve) => setTimeout(resolve, 50));
  sidecar.process.signal('SIGTERM');
  await sidecar.process.waitForLine('draining');
  await new Promise((resolve) => setTimeout(resolve, 50));
  const late = connect(sidecar.inbound[1] ?? 0, '127.0.0.1');
  const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException];
  expect(error.code).toBe('ECONNREFUSED');
  expect(statusOf(await answer)).toBe(200);
});
