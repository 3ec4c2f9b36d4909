/** What several outlets write by way of the one shared buffer arrives byte for byte, however slowly the other end reads. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, onTestFinished, test } from 'vitest';

import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { Random, seededBytes } from '#test/support/random.ts';
import { flushOutlets, Outlet, scratch, SCRATCH_BYTES } from './outlet.ts';
import { SHARED_READ_BUFFER } from './tap.ts';

interface Link {
  readonly outlet: Outlet;
  readonly socket: Socket;
  /** What was written, by hash. */
  readonly sent: ReturnType<typeof createHash>;
  readonly received: ReturnType<typeof createHash>;
  bytesSent: number;
  bytesReceived: number;
  /** The other end stops reading, and goes on. */
  stall(): void;
  goOn(): void;
}

describe.each(['plain', 'TLS'])('outlets of %s sockets', (kind) => {
  test.each([1, 2, 3])('write what they were given, seed %i', async (seed) => {
    const random = new Random(seed);
    const links = await Promise.all(Array.from({ length: 3 }, () => link(kind === 'TLS', random)));
    // One of them reads nothing until all is written: its socket holds on to what the kernel does not take.
    const [stalled] = links;
    stalled?.stall();
    for (let event = 0; event < 900; event++) {
      // Within one event of the loop several outlets take turns in the buffer.
      for (let i = 1 + random.below(6); i > 0; i--) {
        const target = links[random.below(links.length)];
        if (target !== undefined) write(target, random);
      }
      flushOutlets();
      if (random.chance(0.3)) await sleep(random.below(3));
      const blocked = links.find((each) => each !== stalled && each.outlet.isBlocked);
      if (blocked !== undefined && random.chance(0.7)) await once(blocked.socket, 'drain');
    }
    for (const { socket } of links) socket.end();
    stalled?.goOn();
    await Promise.all(links.map((each) => finished(each)));
    expect(links.map(({ bytesReceived }) => bytesReceived)).toEqual(links.map(({ bytesSent }) => bytesSent));
    for (const { sent, received } of links) expect(received.digest('hex')).toBe(sent.digest('hex'));
  });

  test('keep everything back until they are released', async () => {
    const [each] = [await link(kind === 'TLS', new Random(1))];
    each.outlet.hold();
    write(each, new Random(2));
    const at = each.outlet.reserve(4);
    scratch.write('held', at, 'latin1');
    each.sent.update('held');
    each.bytesSent += 4;
    each.outlet.commit(at + 4);
    flushOutlets();
    // The buffer is used by others meanwhile.
    scratch.fill(0);
    await sleep(60);
    expect(each.bytesReceived).toBe(0);
    each.outlet.release();
    each.socket.end();
    await finished(each);
    expect(each.received.digest('hex')).toBe(each.sent.digest('hex'));
  });
});

/** One write of a random kind and size; what was written from is overwritten afterwards where an outlet may not keep it. */
function write(each: Link, random: Random): void {
  const length = random.chance(0.15) ? random.below(60_000) : random.below(random.chance(0.5) ? 300 : 20_000);
  const bytes = seededBytes(random.below(1_000_000), length);
  each.sent.update(bytes);
  each.bytesSent += length;
  const way = random.next();
  if (way < 0.4 && length <= SCRATCH_BYTES / 2) {
    const at = each.outlet.reserve(length + 10);
    bytes.copy(scratch, at);
    each.outlet.commit(at + length);
  } else if (way < 0.7) {
    // As an upstream's read, which the next read overwrites.
    bytes.copy(SHARED_READ_BUFFER, 0);
    each.outlet.append(SHARED_READ_BUFFER, 0, length);
    flushOutlets();
    SHARED_READ_BUFFER.fill(0xee, 0, length);
  } else {
    const padded = Buffer.concat([Buffer.alloc(3), bytes, Buffer.alloc(5)]);
    each.outlet.append(padded, 3, 3 + length);
  }
}

async function link(isTls: boolean, random: Random): Promise<Link> {
  const received = createHash('sha256');
  const svid = MESH.svid('app');
  const options = { cert: svid.certificatePem, key: svid.keyPem };
  let made: Link | null = null;
  let end: Socket | null = null;
  let isStalled = false;
  const accept = (socket: Socket): void => {
    end = socket;
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      received.update(chunk);
      if (made !== null) made.bytesReceived += chunk.length;
      if (!random.chance(0.02)) return;
      socket.pause();
      setTimeout(() => isStalled || socket.resume(), random.below(15));
    });
  };
  const server = isTls ? createTlsServer(options, accept) : createServer(accept);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A server that listens on TCP has such an address.
  const { port } = server.address() as AddressInfo;
  const socket = isTls ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }) : connect(port, '127.0.0.1');
  await once(socket, isTls ? 'secureConnect' : 'connect');
  socket.resume();
  onTestFinished(() => {
    socket.destroy();
    server.close();
  });
  made = {
    outlet: new Outlet(socket, isTls),
    socket,
    sent: createHash('sha256'),
    received,
    bytesSent: 0,
    bytesReceived: 0,
    stall: () => {
      isStalled = true;
      end?.pause();
    },
    goOn: () => {
      isStalled = false;
      end?.resume();
    },
  };
  const { outlet } = made;
  socket.on('drain', () => (outlet.isBlocked = false));
  return made;
}

async function finished(each: Link): Promise<void> {
  for (let i = 0; i < 500 && each.bytesReceived < each.bytesSent; i++) await sleep(10);
}

const MESH = new MeshIdentities();
