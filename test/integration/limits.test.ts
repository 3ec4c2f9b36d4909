/** Bounds of a running sidecar: they hold, they are told, and they end with their cause. */
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { statusOf, valuesOf } from '#test/support/http-reader.ts';
import { runProcess } from '#test/support/processes.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import { eventually, figure } from '#test/support/sidecar.ts';
import { GET, mesh, startPair } from '#test/support/sidecar-pair.ts';

describe('limits', () => {
  test('of connections, of one identity and of handshakes hold, are told, and end with their cause', async () => {
    const { sidecar, tls, plain } = await startPair(
      {},
      {},
      { connections: 20, connectionsPerIdentity: 5, pendingHandshakes: 10 },
    );
    const mine = await Promise.all(Array.from({ length: 5 }, tls));
    expect(
      statusOf((await mine[0]?.ask(GET)) ?? { startLine: '', fields: [], body: Buffer.alloc(0), trailers: [], head: '' }),
    ).toBe(200);
    // Refused behind its handshake, which its own end may not have finished by then.
    const sixth = await tls().catch(() => null);
    await sixth?.over(3_000);
    expect(await sidecar.logged((line) => line['detail'] === 'identity')).toMatchObject({ reason: 'connection_limit' });
    // Another identity is not concerned.
    await using other = await tlsClient(sidecar.inboundPort, { mesh, svid: mesh.svid('other') });
    expect(statusOf(await other.ask(GET))).toBe(200);
    await mine[0]?.[Symbol.asyncDispose]();
    await eventually('room again', async () => {
      const again = await tls().catch(() => null);
      const response = await again?.ask(GET, 1_000).catch(() => null);
      await again?.[Symbol.asyncDispose]();
      return response !== null && response !== undefined && statusOf(response) === 200;
    });
    for (const client of mine) await client[Symbol.asyncDispose]();

    const silent = Array.from({ length: 16 }, () => connect(sidecar.inboundPort, '127.0.0.1'));
    for (const socket of silent) socket.on('error', () => {}).resume();
    expect(await sidecar.logged((line) => line['detail'] === 'pending_handshakes')).toMatchObject({ reason: 'connection_limit' });
    for (const socket of silent) socket.destroy();

    const many = await Promise.all(Array.from({ length: 26 }, plain));
    await eventually('that some are refused', () => many.filter((client) => client.isOver).length === 6, 3_000);
    const askedAt = performance.now();
    expect((await sidecar.status('/healthz/ready')).code).toBe(200);
    expect(await sidecar.admin('/connections')).toHaveLength(21);
    figure(`at the limit of connections: status and admin answer in ${(performance.now() - askedAt).toFixed(0)} ms`);
    for (const client of many) await client[Symbol.asyncDispose]();
    await eventually('room for the last', async () => {
      await using last = await plain();
      const response = await last.ask(GET, 1_000).catch(() => null);
      return response !== null && statusOf(response) === 200;
    });
  });

  test('of the head hold exactly, and the largest target that fits is forwarded whole', async () => {
    const { sidecar, upstream, plain } = await startPair({}, {}, { headBytes: 65_536, fields: 10 });
    await using client = await plain();
    // Each of these bytes is forwarded as three.
    const target = `/${'"'.repeat(60_000)}`;
    const response = await client.ask(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect([200, 400, 431]).toContain(statusOf(response));
    if (statusOf(response) === 200) {
      expect(upstream.requests).toHaveLength(1);
      expect(upstream.requests[0]?.startLine).toBe(`GET ${target.replaceAll('"', '%22')} HTTP/1.1`);
    } else {
      expect(upstream.bytes).toBe(0);
    }
    await using large = await plain();
    expect(statusOf(await large.ask(`GET /x HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(65_536)}\r\n\r\n`))).toBe(431);
    await using many = await plain();
    expect(statusOf(await many.ask(`GET /x HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(10)}\r\n`))).toBe(431);
    await using enough = await plain();
    expect(statusOf(await enough.ask(`GET /x HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(9)}\r\n`))).toBe(200);
    expect(sidecar.process.isRunning).toBe(true);
  });

  test('of requests and age of one connection end it with notice', async () => {
    const { tls } = await startPair({}, { connectionAge: '1s' }, { requestsPerConnection: 3 });
    await using counted = await tls();
    expect(valuesOf((await counted.ask(GET)).fields, 'connection')).toEqual([]);
    await counted.ask(GET);
    expect(valuesOf((await counted.ask(GET)).fields, 'connection')).toEqual(['close']);
    await counted.over(3_000);
    await using old = await tls();
    expect(valuesOf((await old.ask(GET)).fields, 'connection')).toEqual([]);
    await sleep(1_400);
    expect(valuesOf((await old.ask(GET)).fields, 'connection')).toEqual(['close']);
  });

  test('of an identity: a certificate that runs out ends what it opened', async () => {
    const { sidecar } = await startPair({});
    const svid = mesh.fresh('web', 2_500);
    await using client = await tlsClient(sidecar.inboundPort, { mesh, svid });
    expect(statusOf(await client.ask(GET))).toBe(200);
    await sleep(2_700);
    client.write(GET);
    await client.over(3_000);
    expect(client.reader.messages).toHaveLength(1);
    await sidecar.logged((line) => line['reason'] === 'svid_expired');
  });

  test.skipIf(!existsSync('/usr/bin/prlimit'))(
    'of descriptors refuses connections before none is left for anything else',
    async () => {
      const { sidecar, plain } = await startPair({});
      await runProcess('/usr/bin/prlimit', [`--pid=${sidecar.process.pid}`, '--nofile=160:160']);
      const many = await Promise.all(Array.from({ length: 150 }, plain));
      const line = await sidecar.logged(({ detail }) => detail === 'descriptors');
      expect(line).toMatchObject({ reason: 'connection_limit', response_flags: 'CL' });
      // What was accepted is served, and the sidecar can be asked.
      const open = many.filter((client) => !client.isOver);
      expect(open.length).toBeGreaterThan(30);
      for (const client of open.slice(0, 20)) expect(statusOf(await client.ask(GET))).toBe(200);
      expect((await sidecar.status('/healthz/ready')).code).toBe(200);
      expect(await sidecar.admin('/connections')).toHaveLength(open.length);
      for (const client of many) await client[Symbol.asyncDispose]();
      await eventually('room for the next', async () => {
        await using next = await plain();
        const response = await next.ask(GET, 1_000).catch(() => null);
        return response !== null && statusOf(response) === 200;
      });
    },
  );
});
