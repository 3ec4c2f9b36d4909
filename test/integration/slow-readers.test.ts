/** Callers that ask for a gigabyte and take nothing of it: each costs what is under way, not what it asked for. */
import { once } from 'node:events';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';

import { expect, onTestFinished, test } from 'vitest';

import { statusOf } from '#test/support/http-reader.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import { eventually, figure, IS_FULL, startSidecar } from '#test/support/sidecar.ts';
import { GET, keep, mesh, MIB, web } from '#test/support/sidecar-pair.ts';

const READERS = IS_FULL ? 2_000 : 200;
/** What one may cost: one read of the app's, what TLS makes of it, and the connection itself. */
const EACH_KIB = 320;

test.each([
  { by: 'HTTP/1.1', connections: READERS, open: openHttp1 },
  { by: 'HTTP/2', connections: READERS / 100, open: openHttp2 },
])(
  `${READERS} slow readers by $by are bounded, and others are served`,
  async ({ by, connections, open }) => {
    const port = await startEndlessApp();
    const sidecar = keep(await startSidecar({ mesh, inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${port}` }] }));
    const askOther = async (): Promise<number> => {
      await using other = await tlsClient(sidecar.inboundPort, { mesh, svid: mesh.svid('other') });
      return statusOf(await other.ask(GET));
    };
    expect(await askOther()).toBe(200);
    const before = sidecar.residentBytes;
    for (let opened = 0; opened < connections; opened += 20) {
      await Promise.all(Array.from({ length: Math.min(20, connections - opened) }, () => open(sidecar.inboundPort)));
    }
    let [peak, last] = [0, 0];
    await eventually(
      'memory to settle',
      async () => {
        const now = sidecar.residentBytes;
        const isStill = Math.abs(now - last) < 2 * MIB;
        last = now;
        peak = Math.max(peak, now);
        await new Promise((settle) => setTimeout(settle, 500));
        return isStill;
      },
      30_000,
    );
    const eachKib = (peak - before) / 1024 / READERS;
    figure(
      `${READERS} slow readers of 1 GiB by ${by}: RSS ${(before / MIB).toFixed(0)} -> ${(peak / MIB).toFixed(0)} MiB, ${eachKib.toFixed(0)} KiB each`,
    );
    expect(await askOther()).toBe(200);
    expect(eachKib).toBeLessThan(EACH_KIB);
  },
  IS_FULL ? 240_000 : 90_000,
);

/** An app that answers `/large` with a gigabyte, as fast as it is taken. */
async function startEndlessApp(): Promise<number> {
  const chunk = Buffer.alloc(64 * 1024);
  const server = createServer((request, response) => {
    if (request.url !== '/large') return void response.end('ok');
    response.writeHead(200, { 'content-length': 1024 * MIB });
    const more = (): void => {
      while (response.write(chunk)) if (response.destroyed) return;
      response.once('drain', more);
    };
    more();
  });
  server.listen(0, '127.0.0.1', 4_096);
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port; // it listens on TCP
}

async function openHttp1(port: number): Promise<void> {
  const { certificatePem: cert, keyPem: key } = web.svid;
  const socket: TLSSocket = connectTls({ port, host: '127.0.0.1', cert, key, rejectUnauthorized: false });
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  socket.write('GET /large HTTP/1.1\r\nHost: app.test\r\n\r\n');
  await once(socket, 'readable');
}

/** A hundred streams on one connection. */
async function openHttp2(port: number): Promise<void> {
  const { certificatePem: cert, keyPem: key } = web.svid;
  const session: ClientHttp2Session = connectHttp2(`https://127.0.0.1:${port}`, { cert, key, rejectUnauthorized: false });
  onTestFinished(() => session.destroy());
  session.on('error', () => {});
  await once(session, 'remoteSettings');
  const streams = Array.from({ length: 100 }, () => session.request({ ':path': '/large', ':authority': 'app.test' }));
  for (const stream of streams) stream.on('error', () => {});
  await Promise.all(streams.map((stream) => once(stream, 'response')));
}
