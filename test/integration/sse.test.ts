/**
 * Responses that last: server-sent events and answers that trickle live for as long as both ends like, each event arrives when it was sent,
 * and the end of either side is the other's.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { expect, onTestFinished, test } from 'vitest';

import { h2Session } from '#test/support/h2-websocket.ts';
import { plainClient, tlsClient } from '#test/support/raw-client.ts';
import { eventually, startSidecar, type Sidecar } from '#test/support/sidecar.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';

const EVENTS = 4;
/** Longer than the silence that a request body may have here. */
const PAUSE_MS = 1_300;

async function startEvents(): Promise<{ port: number; gone: string[] }> {
  const gone: string[] = [];
  const server: Server = createServer((request, response) => {
    response.on('close', () => {
      if (!response.writableFinished) gone.push(request.url ?? '');
    });
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    void (async () => {
      for (let i = 0; i < EVENTS && !response.destroyed; i++) {
        await sleep(PAUSE_MS);
        response.write(`data: ${Date.now()}\n\n`);
      }
      response.end();
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  // A server that listens on TCP has such an address.
  return { port: (server.address() as AddressInfo).port, gone };
}

async function before(port: number): Promise<Sidecar> {
  const timeouts = { bodyIdle: '1s', idle: '1s', response: '2s' };
  return keep(await startSidecar({ mesh, inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${port}` }], timeouts }));
}

/** How late each event of a text was, milliseconds, by the time at which it was complete. */
class Watch {
  readonly lateMs: number[] = [];
  #text = '';

  take(text: string): void {
    this.#text += text;
    for (let end = this.#text.indexOf('\n\n'); end >= 0; end = this.#text.indexOf('\n\n')) {
      const sent = Number(/data: (\d+)/.exec(this.#text.slice(0, end))?.[1] ?? 0);
      this.lateMs.push(Date.now() - sent);
      this.#text = this.#text.slice(end + 2);
    }
  }
}

test('over HTTP/1.1, by one sidecar and by two, no event waits and no silence ends it', async () => {
  const { port } = await startEvents();
  const sidecar = await before(port);
  const outer = keep(
    await startSidecar({
      mesh,
      account: 'web',
      outbound: [{ forwardTo: `127.0.0.1:${sidecar.inboundPort}`, expect: [mesh.id('app')] }],
      timeouts: { bodyIdle: '1s', response: '2s' },
    }),
  );
  const clients = [keep(await tlsClient(sidecar.inboundPort, web)), keep(await plainClient(outer.outboundPort))];
  await Promise.all(
    clients.map(async (client) => {
      const watch = new Watch();
      client.socket.on('data', (chunk: Buffer) => watch.take(chunk.toString('latin1')));
      const response = await client.ask('GET /events HTTP/1.1\r\nHost: a\r\n\r\n', 20_000);
      expect(response.body.toString().match(/data:/g)).toHaveLength(EVENTS);
      expect(watch.lateMs).toHaveLength(EVENTS);
      expect(watch.lateMs.toSorted((a, b) => a - b)[EVENTS >> 1]).toBeLessThan(100);
    }),
  );
}, 60_000);

test('over HTTP/2 as well, beside others of its connection', async () => {
  const { port } = await startEvents();
  const sidecar = await before(port);
  const session = await h2Session(sidecar.inboundPort, web);
  onTestFinished(() => session.destroy());
  const streams = await Promise.all(
    ['/a', '/b'].map(async (path) => {
      const stream = session.request({ ':path': path, ':authority': 'a' });
      const watch = new Watch();
      stream.setEncoding('latin1').on('data', (text: string) => watch.take(text));
      await once(stream, 'end');
      return watch.lateMs;
    }),
  );
  for (const lateMs of streams) {
    expect(lateMs).toHaveLength(EVENTS);
    expect(lateMs.toSorted((a, b) => a - b)[EVENTS >> 1]).toBeLessThan(100);
  }
}, 60_000);

test('a caller that goes away ends it for the app', async () => {
  const { port, gone } = await startEvents();
  const sidecar = await before(port);
  const client = await tlsClient(sidecar.inboundPort, web);
  client.write('GET /left HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.until(() => client.bytesReceived > 0, 5_000);
  await client[Symbol.asyncDispose]();
  await eventually('the app to see it', () => gone.includes('/left'));
  expect(await sidecar.logged((line) => line['path'] === '/left')).toMatchObject({ reason: 'downstream_closed' });
});
