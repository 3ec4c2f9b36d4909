/**
 * Every byte, both ways, whatever is spoken on either side: the bridges of HTTP, gRPC messages of 0 to 4 MiB, WebSocket frames, raw
 * TCP with half-close. The seed is printed; with `POSTERN_SEED` the same run is done again.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:tls';

import { expect, test } from 'vitest';

import { grpcClient, startGrpcApp, type Answer } from '#test/support/grpc-app.ts';
import { startHashingApp } from '#test/support/hashing-app.ts';
import { runHttp2IntegrityLoad } from '#test/support/integrity-load-h2.ts';
import { runIntegrityLoad, type IntegrityResult } from '#test/support/integrity-load.ts';
import { Random, seededBytes } from '#test/support/random.ts';
import { plainClient, tlsClient } from '#test/support/raw-client.ts';
import { figure, IS_FULL, startSidecar, type Sidecar } from '#test/support/sidecar.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { echo, startTcpApp, TcpConnection } from '#test/support/tcp-app.ts';
import { startEchoingApp, websocket } from '#test/support/websocket-peers.ts';

test.each([
  { from: 'http1', to: 'http2', hops: 1 },
  { from: 'http2', to: 'http1', hops: 1 },
  { from: 'http2', to: 'http2', hops: 1 },
  { from: 'http1', to: 'http1', hops: 2 },
  { from: 'http2', to: 'http2', hops: 2 },
] as const)(
  'bodies arrive unchanged in both directions: $from to $to over $hops hop(s)',
  async ({ from, to, hops }) => {
    const app = keep(await startHashingApp(5_000, to));
    const scheme = to === 'http2' ? 'h2c://' : '';
    const callee = keep(await startSidecar({ mesh, inbound: [{ mtls: 'STRICT', forwardTo: `${scheme}127.0.0.1:${app.port}` }] }));
    const outbound = [{ forwardTo: `127.0.0.1:${callee.inboundPort}`, expect: [mesh.id('app')] }];
    const caller = hops === 1 ? null : keep(await startSidecar({ mesh, account: 'web', outbound }));
    const port = caller?.outboundPort ?? callee.inboundPort;
    const load = { app, requests: REQUESTS, inFlight: 24, seed: SEED };
    const startedAt = performance.now();
    const result =
      from === 'http2'
        ? await runHttp2IntegrityLoad({ ...load, port, caller: caller === null ? web : null })
        : await runIntegrityLoad({ ...load, connect: () => (caller === null ? tlsClient(port, web) : plainClient(port)) });
    tell(`${from} to ${to}, ${hops} hop(s)`, result, startedAt);
    expect(result.faults).toEqual([]);
    expect(result.proved).toBe(REQUESTS);
    expect(result.abortedButComplete).toBe(0);
    expect([callee.process.isRunning, caller?.process.isRunning ?? true]).toEqual([true, true]);
  },
  timeoutMs(),
);

test(
  'gRPC messages of 0 to 4 MiB arrive unchanged, in streams of both directions',
  async () => {
    const app = keep(await startGrpcApp());
    const sidecar = await before(`h2c://127.0.0.1:${app.port}`);
    const client = grpcClient(sidecar.inboundPort, { mesh, account: 'web' });
    const random = new Random(SEED);
    let [messages, bytes] = [0, 0];
    const chat = async (): Promise<void> => {
      const call = client.Chat();
      const sent: string[] = [];
      const got: string[] = [];
      call.on('data', ({ payload }: Answer) => got.push(sha256(payload)));
      const over = once(call, 'end');
      for (let i = 0, count = 1 + random.below(6); i < count; i++) {
        const size = random.chance(0.1) ? 0 : random.chance(0.15) ? random.below(4 * 1024 * 1024 + 1) : random.below(60_000);
        const payload = seededBytes(SEED + messages++, size);
        bytes += size;
        sent.push(sha256(payload));
        if (!call.write({ payload })) await once(call, 'drain');
      }
      call.end();
      await over;
      expect(got).toEqual(sent);
    };
    while (messages < MESSAGES) await Promise.all(Array.from({ length: 8 }, chat));
    client.close();
    figure(`integrity, gRPC: ${messages} messages in streams, ${(bytes / 1e6).toFixed(0)} MB each way, seed ${SEED}`);
  },
  timeoutMs(),
);

test(
  'WebSocket frames arrive unchanged',
  async () => {
    const app = keep(await startEchoingApp());
    const sidecar = await before(`127.0.0.1:${app.port}`);
    const random = new Random(SEED);
    let frames = 0;
    const talk = async (): Promise<void> => {
      await using client = await websocket(sidecar.inboundPort, '/chat', web);
      for (let i = 0; i < 25; i++) {
        const data = seededBytes(SEED + frames++, random.chance(0.1) ? random.below(1024 * 1024) : random.below(70_000));
        expect(sha256(Buffer.from(await client.echo(data)))).toBe(sha256(data));
      }
    };
    while (frames < MESSAGES) await Promise.all(Array.from({ length: 8 }, talk));
    figure(`integrity, WebSocket: ${frames} messages each way, seed ${SEED}`);
  },
  timeoutMs(),
);

test(
  'raw TCP arrives unchanged, the end of one direction included',
  async () => {
    const app = keep(await startTcpApp(echo));
    const sidecar = await before(`127.0.0.1:${app.port}`, { protocol: 'tcp' });
    const random = new Random(SEED);
    let done = 0;
    const talk = async (): Promise<void> => {
      const { certificatePem, keyPem } = web.svid;
      const options = { cert: certificatePem, key: keyPem, rejectUnauthorized: false, allowHalfOpen: true };
      const socket = connect(sidecar.inboundPort, '127.0.0.1', options);
      await using client = new TcpConnection(socket, Number.MAX_SAFE_INTEGER);
      await once(socket, 'secureConnect');
      const data = seededBytes(SEED + done++, random.chance(0.2) ? random.below(2 * 1024 * 1024) : random.below(100_000));
      for (let at = 0; at < data.length;) {
        const piece = data.subarray(at, at + 1 + random.below(60_000));
        if (!socket.write(piece)) await once(socket, 'drain');
        at += piece.length;
      }
      // Our end comes back only behind everything else.
      socket.end();
      await client.over(30_000);
      expect(client.end).toBe('fin');
      expect(sha256(Buffer.from(client.text, 'latin1'))).toBe(sha256(data));
    };
    while (done < CONNECTIONS) await Promise.all(Array.from({ length: 8 }, talk));
    figure(`integrity, TCP: ${done} connections with half-close, seed ${SEED}`);
  },
  timeoutMs(),
);

async function before(forwardTo: string, more: Readonly<Record<string, unknown>> = {}): Promise<Sidecar> {
  return keep(await startSidecar({ mesh, inbound: [{ mtls: 'STRICT', forwardTo, ...more }] }));
}

function tell(name: string, result: IntegrityResult, startedAt: number): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  figure(
    `integrity, ${name}: ${result.proved} of ${REQUESTS} proved, ${result.aborted} broken off on purpose, seed ${SEED}, ` +
      `${(result.bytesSent / 1e6).toFixed(0)} MB sent, ${(result.bytesReceived / 1e6).toFixed(0)} MB received, ${seconds} s`,
  );
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function timeoutMs(): number {
  return IS_FULL ? 900_000 : 120_000;
}

const SEED = Number(process.env['POSTERN_SEED'] ?? (Date.now() % 9_000) + 1_000);
/** With the 12,000 of integrity.test.ts a full run has more than 20,000 exchanges. */
const REQUESTS = IS_FULL ? 2_000 : 200;
const MESSAGES = IS_FULL ? 2_000 : 150;
const CONNECTIONS = IS_FULL ? 1_000 : 60;
