import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, describe, expect, test } from 'vitest';

import { LoadLoop } from './loop.ts';
import type { LoadCounts } from './protocol.ts';

let server: Server | null = null;
let loop: LoadLoop | null = null;

afterEach(() => {
  loop?.stop();
  server?.closeAllConnections();
  server?.close();
});

describe('LoadLoop', () => {
  test.each<{ why: string; answer: RequestListener; want: (counts: LoadCounts) => boolean }>([
    {
      why: 'an answer by its status',
      answer: (_, response) => response.writeHead(418).end(),
      want: ({ sent, failed, hung, targets }) => failed === 0 && hung === 0 && targets[0]?.byStatus['418'] === sent,
    },
    { why: 'a reset as failed', answer: (request) => request.socket.destroy(), want: ({ sent, failed }) => failed === sent },
    {
      why: 'a response that breaks off as failed',
      answer: (request, response) => {
        response.writeHead(200, { 'content-length': 9 }).write('half');
        setTimeout(() => request.socket.destroy(), 5);
      },
      want: ({ sent, failed, targets }) => failed === sent && targets[0]?.byStatus['200'] === undefined,
    },
    { why: 'silence as hung', answer: () => {}, want: ({ sent, hung, failed }) => hung === sent && failed === 0 },
  ])('counts $why', async ({ answer, want }) => {
    const port = await serve(answer);
    loop = new LoadLoop({ targets: [target(port)], perSecond: 100, hangMs: 150, onChange: () => {} });
    await sleep(250);
    const counts = await loop.nextWindow();
    expect(counts.sent).toBeGreaterThan(3);
    expect(counts, JSON.stringify(counts)).toSatisfy(want);
  });

  test('keeps the rate and tells each change of the answer once', async () => {
    let status = 200;
    const port = await serve((_, response) => setTimeout(() => response.writeHead(status).end(), 20));
    const changes: number[] = [];
    loop = new LoadLoop({ targets: [target(port)], perSecond: 200, onChange: (_, seen) => changes.push(seen) });
    await sleep(300);
    status = 403;
    await sleep(300);
    status = 200;
    await sleep(300);
    const { sent, seconds } = await loop.nextWindow();
    expect(changes).toEqual([200, 403, 200]);
    expect(sent / seconds).toBeGreaterThan(60);
    expect(sent / seconds).toBeLessThan(260);
  });
});

function target(port: number) {
  return { name: 'it', port, method: 'GET', path: '/' };
}

async function serve(answer: RequestListener): Promise<number> {
  server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
