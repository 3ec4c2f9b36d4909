/**
 * Every byte of every body, both ways, under a load of random requests: through one sidecar and through two. The seed is printed; with
 * `POSTERN_SEED` the same run is done again.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';

import { startHashingApp, type HashingApp } from '#test/support/hashing-app.ts';
import { runIntegrityLoad } from '#test/support/integrity-load.ts';
import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { plainClient, tlsClient, type RawClient } from '#test/support/raw-client.ts';
import { figure, IS_FULL, startSidecar, type Sidecar } from '#test/support/sidecar.ts';

const mesh = new MeshIdentities();
let app: HashingApp;
let callee: Sidecar;
let caller: Sidecar;

beforeAll(async () => {
  app = await startHashingApp();
  callee = await startSidecar({ mesh, inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${app.port}` }] });
  caller = await startSidecar({
    mesh,
    account: 'web',
    outbound: [{ forwardTo: `127.0.0.1:${callee.inboundPort}`, expect: [mesh.id('app')] }],
  });
});

afterAll(async () => {
  await caller[Symbol.asyncDispose]();
  await callee[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
});

test.each([
  ['one hop, mTLS to the app', () => tlsClient(callee.inboundPort, { mesh, svid: mesh.svid('web') })],
  ['two hops, plaintext by mTLS to the app', () => plainClient(caller.outboundPort)],
] as const)(
  'bodies arrive unchanged in both directions: %s',
  async (name, connect: () => Promise<RawClient>) => {
    const seed = Number(process.env['POSTERN_SEED'] ?? (Date.now() % 9_000) + 1_000);
    const startedAt = performance.now();
    const result = await runIntegrityLoad({ app, connect, requests: REQUESTS, inFlight: 24, seed });
    const seconds = (performance.now() - startedAt) / 1000;
    figure(
      `integrity, ${name}: ${result.proved} of ${REQUESTS} proved, ${result.aborted} broken off on purpose, seed ${seed}, ` +
        `${(result.bytesSent / 1e6).toFixed(0)} MB sent, ${(result.bytesReceived / 1e6).toFixed(0)} MB received, ${seconds.toFixed(1)} s`,
    );
    expect(result.faults).toEqual([]);
    expect(result.proved).toBe(REQUESTS);
    expect(result.abortedButComplete).toBe(0);
    expect([caller.process.isRunning, callee.process.isRunning]).toEqual([true, true]);
  },
  IS_FULL ? 600_000 : 120_000,
);

const REQUESTS = IS_FULL ? 6_000 : 600;
