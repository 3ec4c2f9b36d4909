/** WebSockets at their limits: a reader that takes nothing holds no memory, and a frame without an end does not put off what has to end. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { expect, test } from 'vitest';

import { acceptOf } from '#wire/websocket/handshake.ts';
import { allowing, denying, swapPolicy } from '#test/support/policy-swap.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import { startUpstream, type UpstreamConnection } from '#test/support/raw-upstream.ts';
import { eventually, figure, startSidecar } from '#test/support/sidecar.ts';
import { keep, mesh, MIB, web } from '#test/support/sidecar-pair.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ASK = `GET /x HTTP/1.1\r\nHost: app.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n`;

/** Answers the handshake of a connection, then hands it over. */
function switched(connection: UpstreamConnection, then: () => void): void {
  const key = /sec-websocket-key: (\S+)/i.exec(connection.reader.heads[0] ?? '')?.[1] ?? '';
  connection.socket.removeAllListeners('data');
  connection.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(key)}\r\n\r\n`,
  );
  then();
}

/** One binary frame of a server, of 64 KiB. */
function frame(filling: number): Buffer {
  const bytes = Buffer.alloc(10 + 65_536, filling);
  bytes[0] = 0x82;
  bytes[1] = 127;
  bytes.writeBigUInt64BE(65_536n, 2);
  return bytes;
}

test('a reader that takes nothing stops the app, holds no memory, and loses no byte', async () => {
  const FRAMES = 1_600;
  let sent = 0;
  const upstream = keep(
    await startUpstream({
      onRequest: (connection) =>
        switched(connection, () => {
          const { socket } = connection;
          const more = (): void => {
            while (sent < FRAMES && socket.write(frame(sent++ & 255)));
            if (sent < FRAMES) socket.once('drain', more);
            else socket.end();
          };
          more();
        }),
    }),
  );
  const sidecar = keep(await startSidecar({ mesh, inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }] }));
  const wanted = createHash('sha256');
  for (let i = 0; i < FRAMES; i++) wanted.update(frame(i & 255));

  await using client = await tlsClient(sidecar.inboundPort, web);
  client.socket.removeAllListeners('data');
  client.socket.pause();
  client.write(ASK);
  await eventually('the app to be stopped', async () => {
    const before = sent;
    await sleep(400);
    return sent > 0 && sent === before;
  });
  expect(sent).toBeLessThan(FRAMES / 2);
  const residentMib = sidecar.residentBytes / MIB;
  await sleep(1_000);
  expect(sidecar.residentBytes / MIB - residentMib).toBeLessThan(10);
  figure(`a WebSocket reader that takes nothing: ${((sent * 65_546) / MIB).toFixed(1)} MiB sent, mostly into sockets`);

  const got = createHash('sha256');
  let head = '';
  client.socket.on('data', (chunk: Buffer) => {
    let bytes = chunk;
    if (!head.includes('\r\n\r\n')) {
      head += chunk.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      bytes = chunk.subarray(chunk.length - (head.length - end - 4));
    }
    got.update(bytes);
  });
  client.socket.resume();
  await client.over(30_000);
  expect(got.digest('hex')).toBe(wanted.digest('hex'));
}, 60_000);

test('a frame that never ends is broken off a second after the policy flips, on both sides', async () => {
  const upstream = keep(
    await startUpstream({
      onRequest: (connection) => switched(connection, () => void connection.socket.write(frame(1).subarray(0, 1_000))),
    }),
  );
  const sidecar = keep(
    await startSidecar({
      mesh,
      inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }],
      policies: { 'p.yaml': allowing({}) },
    }),
  );
  await using client = await tlsClient(sidecar.inboundPort, web);
  client.write(ASK);
  await client.until(() => client.bytesReceived > 1_000, 5_000);
  // A frame of the caller that is not complete either.
  client.write(Buffer.from([0x82, 0x84, 0, 0, 0, 0, 1]));
  await sleep(200);
  const swappedAt = await swapPolicy(sidecar, 'deny.yaml', denying({ to: [{ operation: { paths: ['/x'] } }] }));
  await client.until(() => client.isClosed, 3_000);
  const passedMs = Date.now() - swappedAt;
  figure(`a frame without an end: broken off ${passedMs} ms after the swap was seen`);
  expect(passedMs).toBeLessThan(1_500);
  await eventually('the app to see a reset', () => upstream.connections.every(({ end }) => end === 'reset'));
  expect(await sidecar.logged((line) => line['path'] === '/x')).toMatchObject({ reason: 'revoked', response_code: 101 });
});
