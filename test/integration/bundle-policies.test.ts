/** A sidecar whose policies come as a signed bundle: swapped under traffic, refused with each code, expired by the clock. */
import { createHash } from 'node:crypto';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';

import { HEAD } from '#authz/bundle/layout.ts';
import { BUNDLE_REFUSALS } from '#authz/bundle/read.ts';
import { fieldOf, statusOf } from '#test/support/http-reader.ts';
import { startHeldApp } from '#test/support/held-app.ts';
import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { allowingPaths, BundleSigner } from '#test/support/policy-bundles.ts';
import { tlsClient, type RawClient } from '#test/support/raw-client.ts';
import { startUpstream } from '#test/support/raw-upstream.ts';
import { eventually, figure, startSidecar, type Settings, type Sidecar } from '#test/support/sidecar.ts';
import { SteadyLoad } from '#test/support/steady-load.ts';
import { websocket } from '#test/support/websocket-peers.ts';

const mesh = new MeshIdentities();
const signer = new BundleSigner();
const disposables: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of disposables.splice(0).toReversed()) await each[Symbol.asyncDispose]();
});

test('bundles are swapped under traffic and nothing fails', { timeout: 120_000 }, async () => {
  const sidecar = await started({ concurrency: 1 });
  const load = new SteadyLoad(() => client(sidecar), 200, 4, 'GET /always HTTP/1.1\r\nHost: a\r\n\r\n');
  await using asking = await client(sidecar);
  const seenMs: number[] = [];
  for (let revision = 2; revision <= 12; revision++) {
    const before = performance.now();
    put(sidecar, signer.allowing(['/always', `/only-${revision}`], { revision }));
    await eventually('the new bundle', async () => (await ask(asking, `/only-${revision}`)).status === 200, 15_000);
    seenMs.push(Math.round(performance.now() - before));
    expect((await ask(asking, `/only-${revision - 1}`)).status).toBe(403);
    expect(await policyOf(sidecar)).toMatchObject({ state: 'ok', faults: [], bundle: { revision }, isKeptCopy: false });
  }
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(load.sent).toBeGreaterThan(100);
  figure(`bundles swapped: ${seenMs.length}, seen after ${seenMs.join(' ')} ms; ${load.sent} requests, 0 failed`);
});

test('every refusal is told by its code, and the last good bundle goes on', { timeout: 180_000 }, async () => {
  const sidecar = await started({ concurrency: 2 });
  await using asking = await client(sidecar);
  const good = allowingPaths(['/always']);
  const wrong = allowingPaths(['/wrong']);
  const six = (policy = wrong): Uint8Array => signer.sign(policy, { revision: 6 });
  const cases: readonly [keyof typeof BUNDLE_REFUSALS, Uint8Array | null][] = [
    ['bundle_unreadable', null],
    ['bundle_size', Buffer.alloc(64 * 1_048_576 + 1)],
    ['bundle_format', six().subarray(0, -1)],
    ['bundle_version', edited(six(), (bytes) => bytes.writeUInt32BE(9, HEAD.version))],
    ['bundle_signer_unknown', new BundleSigner().sign(wrong, { revision: 6 })],
    ['bundle_signature', edited(six(), (bytes) => bytes.writeUInt8(1, HEAD.signature))],
    ['bundle_manifest', signer.signAnew(six(), (bytes) => bytes.write('[', HEAD.parts))],
    ['bundle_digest', signer.signAnew(six(), (bytes) => bytes.writeUInt8(1 ^ (bytes.at(-1) ?? 0), bytes.length - 1))],
    ['bundle_workload', signer.sign(wrong, { revision: 6, workload: { namespace: 'bank' } })],
    ['bundle_not_yet_valid', signer.sign(wrong, { revision: 6, notBefore: Date.now() + 600_000 })],
    ['bundle_expired', signer.sign(wrong, { revision: 6, expires: Date.now() - 1_000 })],
    ['bundle_downgrade', signer.sign(good, { revision: 4 })],
    ['bundle_revision_reused', signer.sign(wrong, { revision: 5 })],
    ['bundle_policy', signer.signAnew(six(), moveBorder)],
    ['bundle_selftest', six({ ...wrong, wasm: good.wasm })],
  ];
  // The rest have tests of their own.
  const others = ['bundle_key', 'bundle_state'];
  expect([...cases.map(([code]) => code), ...others].toSorted()).toEqual(Object.keys(BUNDLE_REFUSALS).toSorted());
  put(sidecar, signer.sign(good, { revision: 5 }));
  await eventually('revision 5', async () => (await bundleRevision(sidecar)) === 5, 15_000);
  for (const [code, bytes] of cases) {
    if (bytes === null) rmSync(sidecar.path('policy.bundle'));
    else put(sidecar, bytes);
    await eventually(`the refusal ${code}`, async () => (await faultCodes(sidecar)).includes(code), 15_000);
    expect(await sidecar.metric('postern_policy_refusals_total', code)).toBe(1);
    expect(await policyOf(sidecar)).toMatchObject({ state: 'ok', bundle: { revision: 5 } });
    expect((await ask(asking, '/always')).status).toBe(200);
    expect((await ask(asking, '/wrong')).status).toBe(403);
  }
  // Keys that are none.
  sidecar.put('signer.pem', 'nothing');
  await eventually('the refusal bundle_key', async () => (await faultCodes(sidecar)).includes('bundle_key'), 15_000);
  expect((await ask(asking, '/always')).status).toBe(200);
  sidecar.put('signer.pem', signer.publicPem);
  put(sidecar, signer.sign(wrong, { revision: 7 }));
  await eventually('the next good one', async () => (await bundleRevision(sidecar)) === 7, 15_000);
  expect(await faultCodes(sidecar)).toEqual([]);
  expect((await ask(asking, '/wrong')).status).toBe(200);
  const lines = sidecar.process.stderr.split('\n').filter((line) => line.includes('bundle_signature'));
  expect(lines.length).toBeGreaterThan(0);
});

test('a bundle ends by the clock alone, and everything is denied', { timeout: 120_000 }, async () => {
  const ends = Date.now() + 15_000;
  const sidecar = await started({}, signer.allowing(['/always'], { revision: 1, expires: ends }));
  await using asking = await client(sidecar);
  expect((await ask(asking, '/always')).status).toBe(200);
  await eventually('its end', async () => (await ask(asking, '/always')).status === 503, 40_000);
  const late = Date.now() - ends;
  expect(late).toBeGreaterThanOrEqual(0);
  expect(await ask(asking, '/always')).toEqual({ status: 503, reason: 'policy_expired' });
  expect((await sidecar.status('/healthz/ready')).body).toContain('no policy in force: expired');
  expect(await policyOf(sidecar)).toMatchObject({ state: 'expired', bundle: { revision: 1 } });
  expect((await sidecar.logged(({ reason }) => reason === 'policy_expired'))['response_flags']).toBe('PEX');
  figure(`a bundle ended ${late} ms after its time at the latest`);
  // The same policies under the next number.
  put(sidecar, signer.allowing(['/always'], { revision: 2 }));
  await eventually('the next bundle', async () => (await ask(asking, '/always')).status === 200, 15_000);
  expect((await sidecar.status('/healthz/ready')).code).toBe(200);
});

test('what is open when a bundle ends is ended with it', { timeout: 60_000 }, async () => {
  const app = await startHeldApp();
  disposables.push(app);
  const ends = Date.now() + 12_000;
  const inbound = [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${app.port}` }];
  const sidecar = await started({ inbound }, signer.allowing(['/ws'], { revision: 1, expires: ends }));
  await using open = await websocket(sidecar.inboundPort, '/ws', { mesh, svid: mesh.svid('web') });
  expect(await open.echo('still')).toBe('still');
  expect(await open.over(ends - Date.now() + 10_000)).toMatchObject({ code: 1008 });
  const late = Date.now() - ends;
  expect(late).toBeGreaterThanOrEqual(0);
  expect(await sidecar.metric('postern_revoked_total')).toBe(1);
  figure(`a WebSocket was closed ${late} ms after the end of its bundle`);
});

test('the same policies signed anew go on beyond the former end', { timeout: 120_000 }, async () => {
  const ends = Date.now() + 12_000;
  const sidecar = await started({}, signer.allowing(['/always'], { revision: 1, expires: ends }));
  await using asking = await client(sidecar);
  put(sidecar, signer.allowing(['/always'], { revision: 2 }));
  await eventually('revision 2', async () => (await bundleRevision(sidecar)) === 2, 15_000);
  while (Date.now() < ends + 1_500) expect((await ask(asking, '/always')).status).toBe(200);
});

test('a bundle of the future begins by the clock alone', { timeout: 120_000 }, async () => {
  const sidecar = await started({});
  await using asking = await client(sidecar);
  const begins = Date.now() + 8_000;
  put(sidecar, signer.allowing(['/soon'], { revision: 2, notBefore: begins }));
  await eventually('its refusal', async () => (await faultCodes(sidecar)).includes('bundle_not_yet_valid'), 15_000);
  expect((await ask(asking, '/always')).status).toBe(200);
  await eventually('its beginning', async () => (await ask(asking, '/soon')).status === 200, 30_000);
  expect(Date.now()).toBeGreaterThanOrEqual(begins);
});

test('no flip of a bit comes into force', { timeout: 180_000 }, async () => {
  const sidecar = await started({});
  const bundle = signer.allowing(['/flipped'], { revision: 2 });
  const seed = Number(process.env['POSTERN_SEED'] ?? Date.now() % 100_000);
  const tries = 40;
  let refused = 0;
  for (let i = 0; i < tries; i++) {
    const hash = createHash('sha256').update(`${seed} ${i}`).digest();
    const at = hash.readUInt32BE(0) % (bundle.length * 8);
    put(
      sidecar,
      edited(bundle, (bytes) => bytes.writeUInt8((bytes[at >> 3] ?? 0) ^ (1 << (at & 7)), at >> 3)),
    );
    const total = refused;
    await eventually(
      `bit ${at} of seed ${seed} to be refused`,
      async () => {
        refused = await sidecar.metric('postern_policy_refusals_total');
        return refused > total;
      },
      15_000,
    );
    expect(await bundleRevision(sidecar)).toBe(1);
  }
  figure(`${tries} flips of a bit, seed ${seed}: all refused`);
  put(sidecar, bundle);
  await eventually('the bundle as it is', async () => (await bundleRevision(sidecar)) === 2, 15_000);
});

test('postern ps tells the bundle and why another was refused', { timeout: 60_000 }, async () => {
  const sidecar = await started({});
  put(sidecar, new BundleSigner().allowing(['/a'], { revision: 2 }));
  await eventually('its refusal', async () => (await faultCodes(sidecar)).includes('bundle_signer_unknown'), 15_000);
  const { statusText } = await import('#cli/verbs/proxy-status.ts');
  const [config, policy, identity] = await Promise.all(['/config', '/policy', '/identity'].map((path) => sidecar.admin(path)));
  // What the admin interface answers is what `postern ps` shows.
  const text = statusText({ config, policy, identity, connections: [] } as Parameters<typeof statusText>[0], Date.now());
  expect(text).toMatch(/^BUNDLE {4}revision 1, expires in \d+\w+, signed by [0-9a-f]{16}$/m);
  expect(text).toMatch(/^REFUSED {3}new policies: .*signed with a key that is not configured/m);
});

async function started(options: Settings, bundle = signer.allowing(['/always'], { revision: 1 })): Promise<Sidecar> {
  const upstream = await startUpstream();
  disposables.push(upstream);
  const { beforeStart, ...settings } = signer.settings();
  const sidecar = await startSidecar({
    mesh,
    inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }],
    ...settings,
    ...options,
    beforeStart: (folder) => {
      beforeStart(folder);
      writeFileSync(`${folder}/policy.bundle`, bundle);
    },
  });
  disposables.push(sidecar);
  return sidecar;
}

function client(sidecar: Sidecar): Promise<RawClient> {
  return tlsClient(sidecar.inboundPort, { mesh, svid: mesh.svid('web') });
}

async function ask(asking: RawClient, path: string): Promise<{ status: number; reason: string | null }> {
  const response = await asking.ask(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  return { status: statusOf(response), reason: fieldOf(response.fields, 'x-postern-reason') };
}

function put(sidecar: Sidecar, bytes: Uint8Array): void {
  writeFileSync(sidecar.path('policy.next'), bytes);
  renameSync(sidecar.path('policy.next'), sidecar.path('policy.bundle'));
}

function edited(given: Uint8Array, edit: (bytes: Buffer) => void): Uint8Array {
  const bytes = Buffer.from(given);
  edit(bytes);
  return bytes;
}

/** The policy ends a byte earlier, and the module begins there. */
function moveBorder(bytes: Buffer): void {
  bytes.writeUInt32BE(bytes.readUInt32BE(HEAD.lengths + 4) - 1, HEAD.lengths + 4);
  bytes.writeUInt32BE(bytes.readUInt32BE(HEAD.lengths + 8) + 1, HEAD.lengths + 8);
}

async function policyOf(sidecar: Sidecar): Promise<Settings> {
  return sidecar.adminRecord('/policy');
}

async function bundleRevision(sidecar: Sidecar): Promise<number> {
  const { bundle } = (await policyOf(sidecar)) as { bundle: { revision: number } | null }; // as proxy/admin/answers.ts writes it
  return bundle?.revision ?? 0;
}

async function faultCodes(sidecar: Sidecar): Promise<readonly string[]> {
  const { faults } = (await policyOf(sidecar)) as { faults: readonly { code: string }[] }; // as proxy/admin/answers.ts writes it
  return faults.map(({ code }) => code);
}
