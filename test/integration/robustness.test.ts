/**
 * Hostile and unlucky peers against a running sidecar: stopped, stalled, slow, too many. Other callers do not notice, the process never
 * ends, and what was taken is given back.
 */
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { freePort } from '#test/support/free-port.ts';
import { statusOf, valuesOf } from '#test/support/http-reader.ts';
import { startProcess, type TestProcess } from '#test/support/processes.ts';
import { Random } from '#test/support/random.ts';
import { plainClient, tlsClient } from '#test/support/raw-client.ts';
import { ok, startUpstream } from '#test/support/raw-upstream.ts';
import { eventually, figure, IS_FULL, startSidecar, type Sidecar } from '#test/support/sidecar.ts';
import { GET, keep, mesh, MIB, resident, startPair, warmUp, web } from '#test/support/sidecar-pair.ts';
import { SteadyLoad } from '#test/support/steady-load.ts';

/** Descriptors that the process has open. */
function descriptors(sidecar: Sidecar): number {
  return readdirSync(`/proc/${sidecar.process.pid}/fd`).length;
}

/** An app in a process of its own that can be stopped. */
async function stoppableApp(backlog = 511): Promise<{ app: TestProcess; port: number }> {
  const port = await freePort();
  const script = `require('node:http').createServer((q, r) => { q.resume(); q.on('end', () => r.end('app')); })
    .listen({ port: ${port}, host: '127.0.0.1', backlog: ${backlog} });`;
  const app = keep(startProcess(process.execPath, ['-e', script]));
  await app.waitForPort(port);
  return { app, port };
}

describe('an upstream', () => {
  test('that is stopped costs its own callers a 504 and others nothing, and is used again when it goes on', async () => {
    const { app, port } = await stoppableApp();
    const good = keep(await startUpstream());
    const sidecar = keep(
      await startSidecar({
        mesh,
        inbound: [
          { mtls: 'STRICT', forwardTo: `127.0.0.1:${port}` },
          { mtls: 'STRICT', forwardTo: `127.0.0.1:${good.port}` },
        ],
        timeouts: { response: '1s', connect: '1s' },
      }),
    );
    await using client = await tlsClient(sidecar.inboundPort, web);
    expect(statusOf(await client.ask(GET))).toBe(200);
    const load = new SteadyLoad(() => tlsClient(sidecar.inbound[1] ?? 0, web), 100, 4, GET);
    app.signal('SIGSTOP');
    const victims = await Promise.all(Array.from({ length: 20 }, () => tlsClient(sidecar.inboundPort, web)));
    const answers = await Promise.all(victims.map((victim) => victim.ask(GET)));
    expect(answers.map(statusOf)).toEqual(answers.map(() => 504));
    app.signal('SIGCONT');
    await eventually('the app again', async () => statusOf(await client.ask(GET)) === 200);
    await load.stop();
    figure(`stopped upstream: 20 callers got 504, ${load.sent} requests beside them, ${load.failures.length} failed`);
    expect(load.failures).toEqual([]);
    for (const victim of victims) await victim[Symbol.asyncDispose]();
  });

  test('that accepts no connection costs a 504 each, and no descriptor', async () => {
    const { app, port } = await stoppableApp(1);
    const sidecar = keep(
      await startSidecar({
        mesh,
        inbound: [{ mtls: 'DISABLE', forwardTo: `127.0.0.1:${port}` }],
        timeouts: { connect: '500ms', response: '500ms' },
      }),
    );
    const before = descriptors(sidecar);
    app.signal('SIGSTOP');
    const clients = await Promise.all(Array.from({ length: 30 }, () => plainClient(sidecar.inboundPort)));
    const answers = await Promise.all(clients.map((client) => client.ask(GET)));
    expect(answers.map(statusOf)).toEqual(answers.map(() => 504));
    const reasons = answers.map((answer) => valuesOf(answer.fields, 'x-postern-reason')[0]);
    expect(reasons.filter((reason) => reason === 'upstream_connect_timeout').length).toBeGreaterThan(10);
    for (const client of clients) await client[Symbol.asyncDispose]();
    await eventually('the descriptors', () => descriptors(sidecar) <= before + 2, 3_000);
    app.signal('SIGCONT');
  });

  test('that drops every kept connection at once costs an idempotent request nothing', async () => {
    let drops = 0;
    const { upstream, tls } = await startPair({
      onRequest(connection, request) {
        if (!request.startLine.includes('/drop') || connection.requests.length === 1) {
          setTimeout(() => connection.write(ok('kept')), 30);
          return;
        }
        drops++;
        // This one first, the others when another try may have been sent on one of them.
        const others = upstream.open.filter((each) => each !== connection);
        connection.socket.resetAndDestroy();
        setTimeout(() => {
          for (const each of others) each.socket.resetAndDestroy();
        }, 4);
      },
    });
    for (let round = 0; round < 10; round++) {
      const clients = await Promise.all(Array.from({ length: 4 }, tls));
      // Four connections are kept for this caller.
      await Promise.all(clients.map((client) => client.ask(GET)));
      const response = await clients[0]?.ask('GET /drop HTTP/1.1\r\nHost: a\r\n\r\n');
      expect(response === undefined ? 0 : statusOf(response)).toBe(200);
      for (const client of clients) await client[Symbol.asyncDispose]();
    }
    expect(drops).toBe(10);
    // What is not idempotent is not sent twice.
    await using client = await tls();
    await client.ask(GET);
    const posted = await client.ask('POST /drop HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n');
    expect(statusOf(posted)).toBe(502);
  });
});

test('connections that are slow on purpose are ended by their deadlines; others do not notice; memory comes back', async () => {
  const { sidecar, tls } = await startPair({}, { handshake: '1s', head: '1s', bodyIdle: '1s', idle: '1s' });
  await warmUp(tls, 8);
  const load = new SteadyLoad(tls, 100, 4, GET);
  const peaks: number[] = [];
  const settled: number[] = [];
  for (let wave = 0; wave < (IS_FULL ? 6 : 2); wave++) {
    const { peakMib } = await resident(sidecar, async () => {
      const sockets = await slowConnections(sidecar, 500);
      // Two of these kinds send a byte now and then, one ignores that it was told to go.
      await eventually(
        'the end of all slow connections',
        () => sockets.every(({ socket }) => socket.destroyed || socket.readableEnded),
        12_000,
      );
      await eventually('that they are forgotten', async () => (await sidecar.metric('postern_connections_open')) <= 4, 8_000);
      for (const { socket, timer } of sockets) {
        clearInterval(timer);
        socket.destroy();
      }
    });
    peaks.push(peakMib);
    await sleep(300);
    settled.push(sidecar.residentBytes / MIB);
  }
  await load.stop();
  figure(
    `slow connections: ${peaks.length} waves of 500, RSS peaks ${peaks.map((each) => each.toFixed(0)).join(', ')} MiB, between them ` +
      `${settled.map((each) => each.toFixed(0)).join(', ')} MiB; ${load.sent} requests beside them, ${load.failures.length} failed`,
  );
  expect(load.failures).toEqual([]);
  expect((settled.at(-1) ?? 0) - (settled[0] ?? 0)).toBeLessThan(12);
  expect(await sidecar.metric('postern_failures_total', 'reason="handshake_timeout"')).toBeGreaterThan(0);
  expect(await sidecar.metric('postern_failures_total', 'reason="head_timeout"')).toBeGreaterThan(0);
  expect(await sidecar.metric('postern_failures_total', 'reason="body_timeout"')).toBeGreaterThan(0);
}, 90_000);

interface SlowConnection {
  readonly socket: Socket;
  readonly timer: NodeJS.Timeout;
}

/** Half on each listener: silent, byte by byte, within a body, silent after a request, within a handshake. */
async function slowConnections(sidecar: Sidecar, count: number): Promise<SlowConnection[]> {
  const made: SlowConnection[] = [];
  for (let i = 0; i < count; i++) {
    const kind = i % 5;
    const port = kind === 4 ? sidecar.inboundPort : (sidecar.inbound[1] ?? 0);
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => {});
    socket.resume();
    if (kind === 1) socket.write('GET /slow HTTP/1.1\r\nHost: a\r\nX: ');
    if (kind === 2) socket.write('POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nab');
    if (kind === 3) socket.write(GET);
    const timer = setInterval(() => {
      if (kind === 1 && !socket.destroyed && !socket.readableEnded) socket.write('y');
    }, 250);
    made.push({ socket, timer });
    if (i % 50 === 49) await sleep(5);
  }
  return made;
}

test('a stall of the sidecar itself is not held against its peers', async () => {
  const { sidecar, upstream, tls } = await startPair(
    { onRequest: (connection) => void setTimeout(() => connection.write(ok('in time')), 200) },
    { head: '1s', bodyIdle: '1s', response: '1s', idle: '1s' },
  );
  const clients = await Promise.all(Array.from({ length: 9 }, tls));
  await Promise.all(clients.map((client) => client.ask(GET)));
  const [waiting, sending] = [clients.slice(0, 3), clients.slice(3, 6)];
  for (const client of waiting) client.write(GET);
  for (const client of sending) client.write('POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab');
  for (const client of clients.slice(6)) client.write('GET /x HTTP/1.1\r\nHost: a\r\nX: ');
  await eventually(
    'the requests',
    () => upstream.requests.length >= 12 && upstream.open.filter(({ reader }) => reader.isWithin).length === 3,
  );
  sidecar.process.signal('SIGSTOP');
  // All of them do in time what they have to.
  await sleep(300);
  for (const client of sending) client.write('cd');
  for (const client of clients.slice(6)) client.write('y\r\n\r\n');
  await sleep(2_200);
  sidecar.process.signal('SIGCONT');
  const responses = await Promise.all(clients.map((client) => client.response()));
  expect(responses.map((response) => [statusOf(response), response.body.toString()])).toEqual(
    clients.map(() => [200, 'in time']),
  );
  for (const client of clients) await client[Symbol.asyncDispose]();
});

test('connections that break off at any point harm nobody else', async () => {
  const random = new Random(7);
  const { sidecar, upstream, tls, plain } = await startPair(
    {
      onRequest(connection, request) {
        if (!request.startLine.includes('/break')) return connection.write(ok('true'));
        connection.write(`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${'z'.repeat(random.below(90_000))}`);
        const ending = random.below(4);
        if (ending < 2) connection.socket.resetAndDestroy();
        if (ending === 2) connection.socket.end();
      },
    },
    { bodyIdle: '1s' },
  );
  const load = new SteadyLoad(tls, 100, 4, GET);
  const count = IS_FULL ? 2_000 : 300;
  for (let i = 0; i < count; i += 20) {
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const client = await (random.chance(0.5) ? tls() : plain());
        client.write(
          random.chance(0.5)
            ? 'GET /break HTTP/1.1\r\nHost: a\r\n\r\n'
            : `POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n${'y'.repeat(random.below(60_000))}`,
        );
        await sleep(random.below(15));
        client.socket.destroy();
      }),
    );
  }
  await load.stop();
  await eventually('that nothing stays open', async () => (await sidecar.metric('postern_connections_open')) === 0, 6_000);
  await eventually('that no upstream stays but idle ones', () => upstream.open.every(({ reader }) => !reader.isWithin), 6_000);
  figure(`broken off: ${count} connections at random points; ${load.sent} requests beside them, ${load.failures.length} failed`);
  expect(load.failures).toEqual([]);
  expect(sidecar.process.isRunning).toBe(true);
});
