/**
 * Authorizers that misbehave on the wire: whatever comes from one, nothing is let through, the request is answered in time, and the next
 * question gets its answer. And workloads that fail after the answer: a request that is tried again is asked about again.
 */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

import { describe, expect, onTestFinished, test } from 'vitest';

import { ALL_ASKED, startAsked } from '#test/support/asked-sidecar.ts';
import { ALLOWED } from '#test/support/ext-authz.ts';
import { h2TlsClient, head } from '#test/support/h2-client.ts';
import { statusOf } from '#test/support/http-reader.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import { ok, startUpstream, type RawUpstream } from '#test/support/raw-upstream.ts';
import { startSidecar, type Sidecar } from '#test/support/sidecar.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';

const GET = 'GET /asked/a HTTP/1.1\r\nHost: app.test\r\n\r\n';
const ALLOW = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';

/** What the authorizer does with a connection that has asked; then it is good again. */
type Misbehaviour = (socket: Socket) => void;

const ANSWERS: readonly (readonly [string, Misbehaviour])[] = [
  ['closes without a word', (socket) => void socket.end()],
  ['resets', (socket) => void socket.resetAndDestroy()],
  ['says nothing', () => {}],
  ['says it byte by byte for ever', dribble('HTTP/1.1 200 OK\r\nX-Slow: ')],
  ['answers with garbage', (socket) => void socket.write('\0\0\0\0 200 OK\r\n\r\n')],
  ['answers with another protocol', (socket) => void socket.write('SSH-2.0-OpenSSH_9\r\n')],
  ['ends within the head', (socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-')],
  ['ends within the body', (socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!')],
  [
    'frames its answer twice',
    (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello'),
  ],
  [
    'frames it both ways',
    (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
  ],
  ['sends a head without an end', (socket) => void socket.write(`HTTP/1.1 200 OK\r\n${'x-a: b\r\n'.repeat(10_000)}`)],
  [
    'sends a body without an end',
    (socket) => void socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n${'x'.repeat(400_000)}`),
  ],
  ['only informs', (socket) => void socket.write('HTTP/1.1 100 Continue\r\n\r\n'.repeat(2_000))],
  [
    'switches protocols',
    (socket) => void socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
  ],
  ['answers with a status that is none', (socket) => void socket.write('HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n')],
];

describe.each(['HTTP', 'gRPC'])('an authorizer that speaks %s', (kind) => {
  test('may say what it likes: nothing passes but what is allowed', async () => {
    let misbehave: Misbehaviour | null = null;
    const port = await authorizerOf((socket) => (misbehave === null ? void socket.write(ALLOW) : misbehave(socket)));
    const settings = { service: '127.0.0.1', port, timeout: '400ms' };
    const { sidecar, upstream } = await start(
      kind === 'HTTP' ? { envoyExtAuthzHttp: settings } : { envoyExtAuthzGrpc: settings },
    );
    for (const [what, how] of ANSWERS) {
      misbehave = how;
      upstream.requests.length = 0;
      await using client = await tlsClient(sidecar.inboundPort, web);
      const begunMs = performance.now();
      expect([what, statusOf(await client.ask(GET))]).toEqual([what, 403]);
      expect(performance.now() - begunMs).toBeLessThan(2_500);
      expect(upstream.requests).toHaveLength(0);
      misbehave = null;
      // By gRPC an answer of HTTP/1.1 is garbage as well.
      expect([what, statusOf(await client.ask(GET))]).toEqual([what, kind === 'HTTP' ? 200 : 403]);
    }
    const denials = sidecar.log().filter((line) => line['decision'] === 'deny');
    expect(denials.filter((line) => !String(line['decision_code']).startsWith('provider_'))).toEqual([]);
    expect(sidecar.process.isRunning).toBe(true);
  }, 60_000);
});

describe('a request that is tried again after the answer', () => {
  test('is asked about again, over HTTP/1.1 and HTTP/2', async () => {
    const upstream = keep(await startUpstream());
    let isDropped = false;
    upstream.behaviour = {
      onRequest: (connection, request) => {
        if (isDropped && connection.answered > 1) {
          isDropped = false;
          connection.socket.resetAndDestroy();
        } else connection.write(ok(request.startLine));
      },
    };
    const { sidecar, authorizer } = await startAsked(`127.0.0.1:${upstream.port}`, () => ALLOWED, {}, { policies: ALL_ASKED });
    await using client = await tlsClient(sidecar.inboundPort, web);
    expect(statusOf(await client.ask(GET))).toBe(200);
    isDropped = true;
    expect(statusOf(await client.ask(GET))).toBe(200);
    expect(authorizer.checks).toHaveLength(3);

    await using h2 = await h2TlsClient(sidecar.inboundPort, web);
    expect((await h2.ask(head('GET', '/asked/a'))).status).toBe(200);
    isDropped = true;
    expect((await h2.ask(head('GET', '/asked/a'))).status).toBe(200);
    expect(authorizer.checks).toHaveLength(6);
  });
});

async function start(authorizer: object): Promise<{ sidecar: Sidecar; upstream: RawUpstream }> {
  const upstream = keep(await startUpstream());
  const sidecar = keep(
    await startSidecar({
      mesh,
      inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }],
      policies: ALL_ASKED,
      policySettings: { whenNoneSelects: 'allow' },
      spec: { authorizers: [{ name: 'outside', ...authorizer }] },
    }),
  );
  return { sidecar, upstream };
}

async function authorizerOf(answer: Misbehaviour): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('data', () => answer(socket));
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port; // it listens on TCP
}

function dribble(text: string): Misbehaviour {
  return (socket) => {
    socket.write(text);
    const timer = setInterval(() => socket.write('x'), 50);
    socket.on('close', () => clearInterval(timer));
  };
}
