/** Callers that are slow share a connection with others, and only they are slow. */
import type { ServerHttp2Stream } from 'node:http2';

import { expect, test } from 'vitest';

import { echoPath, startHttp2Peer } from '#test/support/http2-peer.ts';
import { statusOf } from '#test/support/http-reader.ts';
import { plainClient, type RawClient } from '#test/support/raw-client.ts';
import { keep, mesh, MIB, resident } from '#test/support/sidecar-pair.ts';
import { eventually, figure, startSidecar } from '#test/support/sidecar.ts';

const STALLED = 90;

test('callers that take no response stop nobody else on the connection, and no memory is spent on them', async () => {
  let sent = 0;
  const endless = (stream: ServerHttp2Stream): void => {
    const block = Buffer.alloc(64 * 1024, 97);
    const more = (): void => {
      while (!stream.destroyed) {
        sent += block.length;
        if (!stream.write(block)) return;
      }
    };
    stream.respond({ ':status': 200 });
    stream.on('drain', more);
    more();
  };
  const peer = keep(
    await startHttp2Peer((stream, headers) => {
      if (headers[':path'] === '/endless') endless(stream);
      else echoPath(stream, headers);
    }, mesh.svid('app')),
  );
  const sidecar = keep(
    await startSidecar({ mesh, account: 'web', outbound: [{ forwardTo: `127.0.0.1:${peer.port}`, expect: [mesh.id('app')] }] }),
  );
  const { beforeMib, peakMib } = await resident(sidecar, async () => {
    const stalled = await Promise.all(Array.from({ length: STALLED }, () => stalledClient(sidecar.outboundPort)));
    let before = -1;
    await eventually(
      'the end of what is taken',
      async () => {
        const isStill = sent === before;
        before = sent;
        await new Promise((settle) => setTimeout(settle, 300));
        return isStill && sent > 0;
      },
      20_000,
    );
    await using other = await plainClient(sidecar.outboundPort);
    for (let i = 0; i < 200; i++) {
      const response = await other.ask(`GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`);
      expect([statusOf(response), response.body.toString()]).toEqual([200, `/${i}`]);
    }
    // They go on where they stopped.
    const [first] = stalled;
    const received = first?.bytesReceived ?? 0;
    first?.socket.resume();
    await eventually('more of a response', () => (first?.bytesReceived ?? 0) > received + MIB);
    for (const client of stalled) await client[Symbol.asyncDispose]();
  });
  expect(peer.sessions).toHaveLength(1);
  // A window of 256 KiB each, and what passed through before the kernel's buffers were full and is not yet collected.
  const eachKib = ((peakMib - beforeMib) * 1024) / STALLED;
  figure(
    `${STALLED} stalled callers on one HTTP/2 connection: RSS +${eachKib.toFixed(0)} KiB each; 200 calls beside them, 0 failed`,
  );
  expect(eachKib).toBeLessThan(1_024);
});

test('a peer that takes no request stops only the callers that send to it', async () => {
  const peer = keep(
    await startHttp2Peer((stream, headers) => {
      if (headers[':path'] === '/slow') stream.pause();
      else echoPath(stream, headers);
    }, mesh.svid('app')),
  );
  const sidecar = keep(
    await startSidecar({ mesh, account: 'web', outbound: [{ forwardTo: `127.0.0.1:${peer.port}`, expect: [mesh.id('app')] }] }),
  );
  await using uploader = await plainClient(sidecar.outboundPort);
  uploader.reader.expect('POST');
  uploader.write('POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n');
  const block = Buffer.alloc(MIB, 97);
  for (let i = 0; i < 20; i++) uploader.write(block);
  await using other = await plainClient(sidecar.outboundPort);
  for (let i = 0; i < 100; i++) expect(statusOf(await other.ask(`GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`))).toBe(200);
  // Most of it is still with the caller.
  expect(uploader.socket.writableLength).toBeGreaterThan(5 * MIB);
});

async function stalledClient(port: number): Promise<RawClient> {
  const client = await plainClient(port);
  client.reader.expect('GET');
  client.write('GET /endless HTTP/1.1\r\nHost: a\r\n\r\n');
  client.socket.pause();
  return client;
}
