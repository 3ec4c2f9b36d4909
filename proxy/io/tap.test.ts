/** Reading by the tap and by events: every byte, in order, with pauses, and the end. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';

import { describe, expect, onTestFinished, test } from 'vitest';

import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { Random, seededBytes } from '#test/support/random.ts';
import {
  connectShared,
  readProvisionally,
  resumeReading,
  resumeShared,
  selfTestTap,
  SHARED_READ_BUFFER,
  shareReads,
  startReading,
  type Reader,
} from './tap.ts';

const body = seededBytes(1, 3_000_000);
const wanted = createHash('sha256').update(body).digest('hex');
const svid = new MeshIdentities().svid('app');

/** Takes what comes, stopping now and then, until the end; resolves with the hash. */
function reading(
  start: (reader: { onBytes(bytes: Buffer, end: number): boolean; onEnd(): void }) => void,
  resume: () => void,
): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const random = new Random(5);
  const hash = createHash('sha256');
  start({
    onBytes(bytes, end) {
      hash.update(bytes.subarray(0, end));
      if (!random.chance(0.1)) return true;
      setTimeout(resume, random.below(5));
      return false;
    },
    onEnd: () => resolve(hash.digest('hex')),
  });
  return promise;
}

async function accepted(isTls: boolean): Promise<{ socket: Socket; client: Socket }> {
  const server = isTls
    ? createTlsServer({ cert: svid.certificatePem, key: svid.keyPem, allowHalfOpen: true })
    : createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A server that listens on TCP has such an address.
  const { port } = server.address() as AddressInfo;
  const coming = once(server, isTls ? 'secureConnection' : 'connection') as Promise<[Socket]>; // what the event brings
  const client = isTls ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }) : connect(port, '127.0.0.1');
  const [socket] = await coming;
  onTestFinished(() => {
    client.destroy();
    socket.destroy();
    server.close();
  });
  return { socket, client };
}

// The tap is not in use before its trial: the order of these is meant.
describe.each(['events', 'the tap'])('reading by %s', (way) => {
  test.each(['plain', 'TLS'])('a %s socket brings every byte and the end, through any number of pauses', async (kind) => {
    if (way === 'the tap') expect(await selfTestTap(5_000)).toBe(true);
    const { socket, client } = await accepted(kind === 'TLS');
    const hash = reading(
      (reader) => startReading(socket, reader),
      () => resumeReading(socket),
    );
    client.end(body);
    expect(await hash).toBe(wanted);
    // Its own direction is open still.
    socket.end('answer');
    const [answer] = (await once(client, 'data')) as [Buffer]; // what the event brings
    expect(answer.toString()).toBe('answer');
  });
});

test.each(['plain', 'TLS'])(
  'shareReads() has a %s socket bring the rest in the shared buffer, from the midst of a read on',
  async (kind) => {
    expect(await selfTestTap(5_000)).toBe(true);
    const { socket, client } = await accepted(kind === 'TLS');
    let shared = 0;
    let own = 0;
    const hash = reading(
      (reader) => {
        const counting: Reader = {
          onBytes(bytes, end) {
            if (bytes === SHARED_READ_BUFFER) shared += end;
            else own += end;
            return reader.onBytes(bytes, end);
          },
          onEnd: () => reader.onEnd(),
        };
        // As a connection whose protocol is found out: the first reader makes place for the second.
        const first = readProvisionally(socket, {
          onBytes(bytes, end) {
            startReading(socket, counting);
            shareReads(socket, counting);
            return first.onBytes(bytes, end);
          },
          onEnd() {},
        });
      },
      () => resumeReading(socket),
    );
    client.end(body);
    expect(await hash).toBe(wanted);
    expect(own).toBeLessThanOrEqual(64 * 1024);
    expect(own + shared).toBe(body.length);
  },
);

test('connectShared() brings every byte and the end, through any number of pauses', async () => {
  const server = createServer((peer) => peer.end(body));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A server that listens on TCP has such an address.
  const { port } = server.address() as AddressInfo;
  let socket: Socket | null = null;
  const hash = reading(
    (reader) => (socket = connectShared({ port, host: '127.0.0.1', allowHalfOpen: true }, reader)),
    () => {
      if (socket !== null) resumeShared(socket);
    },
  );
  onTestFinished(() => {
    socket?.destroy();
    server.close();
  });
  expect(await hash).toBe(wanted);
});

test('resuming a socket that is gone does nothing', async () => {
  const { socket } = await accepted(false);
  startReading(socket, { onBytes: () => false, onEnd() {} });
  socket.destroy();
  expect(() => {
    resumeReading(socket);
    resumeShared(socket);
  }).not.toThrow();
});
