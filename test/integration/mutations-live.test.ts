/**
 * Random bytes against a running sidecar. The oracle is the upstream: whatever a caller sends, what arrives there is a request of our own
 * making, with our mark on it once; and the process goes on. The seed is printed; with `POSTERN_SEED` the same run is done again.
 */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { SMUGGLING_CASES } from '#test/conformance/http/smuggling.cases.ts';
import { statusOf, valuesOf } from '#test/support/http-reader.ts';
import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { Random } from '#test/support/random.ts';
import { plainClient, tlsClient, type RawClient } from '#test/support/raw-client.ts';
import { startUpstream, type RawUpstream } from '#test/support/raw-upstream.ts';
import { figure, IS_FULL, startSidecar, type Sidecar } from '#test/support/sidecar.ts';

const mesh = new MeshIdentities();
const seed = Number(process.env['POSTERN_SEED'] ?? Date.now() % 1_000_000);
let upstream: RawUpstream;
let sidecar: Sidecar;

beforeAll(async () => {
  upstream = await startUpstream();
  const forwardTo = `127.0.0.1:${upstream.port}`;
  sidecar = await startSidecar({
    mesh,
    inbound: [
      { mtls: 'STRICT', forwardTo },
      // On a port that detects, what is no HTTP would be raw TCP, and allowed.
      { mtls: 'DISABLE', protocol: 'http', forwardTo },
    ],
    timeouts: { head: '1s', bodyIdle: '1s', handshake: '1s' },
  });
});

afterAll(async () => {
  await sidecar[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

test(
  'whatever a caller sends, the upstream sees only requests that bear our mark once',
  async () => {
    const random = new Random(seed);
    const statuses = new Map<number, number>();
    let arrived = 0;
    for (let batch = 0; batch < BATCHES; batch++) {
      upstream.forget();
      await Promise.all(Array.from({ length: 16 }, () => attack(random, statuses)));
      for (const { reader } of upstream.connections) {
        expect({ seed, batch, fault: reader.fault }).toEqual({ seed, batch, fault: '' });
        for (const head of reader.heads)
          expect({ seed, head, marks: marksOf(head) }).toEqual({ seed, head, marks: [1, 1, 1, 1] });
      }
      for (const { fields } of upstream.requests) {
        expect(valuesOf(fields, 'content-length').length + valuesOf(fields, 'transfer-encoding').length).toBeLessThanOrEqual(1);
      }
      arrived += upstream.requests.length;
    }
    const counts = [...statuses].toSorted(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`);
    figure(
      `mutations: ${BATCHES * 16} connections, seed ${seed}, ${arrived} requests arrived, each marked once; answers ${counts.join(', ')}`,
    );
    expect(arrived).toBeGreaterThan(BATCHES);
    expect(sidecar.process.isRunning).toBe(true);
    // Every line of the log is an object still.
    expect(sidecar.log().length).toBeGreaterThan(arrived);
  },
  IS_FULL ? 600_000 : 60_000,
);

test('bytes that are no handshake, whole or broken off, end with their connection', async () => {
  const random = new Random(seed);
  const count = IS_FULL ? 2_000 : 300;
  for (let i = 0; i < count; i += 30) {
    await Promise.all(
      Array.from({ length: 30 }, async () => {
        const socket = connect(sidecar.inboundPort, '127.0.0.1').on('error', () => {});
        socket.resume();
        const hello = Buffer.from('160301007a010000760303', 'hex');
        const noise = Buffer.from(Array.from({ length: random.below(600) }, () => random.below(256)));
        socket.write(random.chance(0.5) ? Buffer.concat([hello, noise]) : noise);
        await sleep(random.below(20));
        if (random.chance(0.5)) socket.resetAndDestroy();
        else socket.destroy();
      }),
    );
  }
  await using client = await tlsClient(sidecar.inboundPort, { mesh, svid: mesh.svid('web') });
  expect(statusOf(await client.ask('GET /alive HTTP/1.1\r\nHost: a\r\n\r\n'))).toBe(200);
  figure(`broken handshakes: ${count}, the process goes on`);
});

/** One connection with one to three messages of the corpus, bent at random places and sent in random pieces. */
async function attack(random: Random, statuses: Map<number, number>): Promise<void> {
  const bytes = Buffer.concat(Array.from({ length: 1 + random.below(3) }, () => bent(random)));
  const client: RawClient = random.chance(0.3)
    ? await tlsClient(sidecar.inboundPort, { mesh, svid: mesh.svid('web') })
    : await plainClient(sidecar.inbound[1] ?? 0);
  for (let at = 0; at < bytes.length && !client.isOver;) {
    const end = random.chance(0.5) ? bytes.length : at + 1 + random.below(bytes.length - at);
    client.socket.write(bytes.subarray(at, end));
    at = end;
    if (random.chance(0.5)) await sleep(random.below(4));
  }
  if (random.chance(0.5)) client.socket.end();
  await Promise.race([client.over(2_500).catch(() => {}), sleep(60 + random.below(60))]);
  for (const message of client.reader.messages) statuses.set(statusOf(message), (statuses.get(statusOf(message)) ?? 0) + 1);
  await client[Symbol.asyncDispose]();
}

function bent(random: Random): Buffer {
  const rows = random.chance(0.6) ? ALLOWED : SMUGGLING_CASES;
  const row = rows[random.below(rows.length)];
  const bytes = Buffer.from(row === undefined ? '' : row.raw(random.below(3)));
  for (let i = random.below(3); i > 0 && bytes.length > 0; i--) {
    const at = random.below(bytes.length);
    const kind = random.next();
    if (kind < 0.4) bytes[at] = ODD[random.below(ODD.length)] ?? 0;
    else if (kind < 0.6) bytes[at] = random.below(256);
    else if (kind < 0.8) bytes.copy(bytes, at, random.below(bytes.length));
    else return bytes.subarray(0, at);
  }
  return bytes;
}

/** How often what every request of ours has stands in a head. */
function marksOf(head: string): number[] {
  return [
    /^host:/gim,
    /^x-forwarded-for: 127\.0\.0\.1\r$/gm,
    /^x-request-id: [0-9a-f-]{36}\r$/gm,
    /^[A-Z]+ [^ ]+ HTTP\/1\.1\r$/gm,
  ].map((mark) => head.match(mark)?.length ?? 0);
}

const ODD = Buffer.from('\r\n\0 \t:;,#%/\\.=0123456789abcdefchunkedCL', 'latin1');
const ALLOWED = SMUGGLING_CASES.filter(({ kind }) => kind === 'allowed');
const BATCHES = IS_FULL ? 1_000 : 40;
