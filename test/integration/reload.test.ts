/**
 * Policies and identity that change under load: no request fails, each change is proved to be in force, a request that was begun before
 * keeps the revision it began with; and what is wrong is refused while the last good set goes on deciding.
 */
import { mkdirSync, rmSync, symlinkSync, renameSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';

import { afterEach, describe, expect, test } from 'vitest';

import { startHashingApp } from '#test/support/hashing-app.ts';
import { statusOf, valuesOf } from '#test/support/http-reader.ts';
import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { plainClient, tlsClient, tlsSocket, type RawClient } from '#test/support/raw-client.ts';
import { startUpstream } from '#test/support/raw-upstream.ts';
import {
  eventually,
  figure,
  IS_FULL,
  policyYaml,
  startSidecar,
  type Sidecar,
  type SidecarOptions,
} from '#test/support/sidecar.ts';
import { SteadyLoad } from '#test/support/steady-load.ts';
import { startTlsPeer } from '#test/support/tls-peer.ts';

const mesh = new MeshIdentities();
const disposables: AsyncDisposable[] = [];
const keep = <T extends AsyncDisposable>(each: T): T => {
  disposables.push(each);
  return each;
};

afterEach(async () => {
  for (const each of disposables.splice(0).toReversed()) await each[Symbol.asyncDispose]();
});

const LONG = IS_FULL ? 1_200_000 : 90_000;
const STEADY = 'GET /steady HTTP/1.1\r\nHost: app.test\r\n\r\n';
const web = { mesh, svid: mesh.svid('web') };

/** The policy that allows what is steady and one path of its own. */
function numbered(number: number): string {
  return policyYaml('numbered', {
    action: 'ALLOW',
    rules: [{ to: [{ operation: { paths: ['/steady', '/held', `/swap/${number}`] } }] }],
  });
}

async function sidecarWith(options: Partial<SidecarOptions>): Promise<Sidecar> {
  const upstream = keep(await startUpstream());
  return keep(await startSidecar({ mesh, inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }], ...options }));
}

async function statusFor(client: RawClient, path: string): Promise<number> {
  return statusOf(await client.ask(`GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`));
}

test(
  'policies are swapped at 200 requests a second: none fails, each swap is proved, a request begun before keeps its revision',
  async () => {
    const sidecar = await sidecarWith({ policies: { 'p.yaml': numbered(0) } });
    const load = new SteadyLoad(() => tlsClient(sidecar.inboundPort, web), 200, 8, STEADY);
    await using probe = await tlsClient(sidecar.inboundPort, web);
    expect(await statusFor(probe, '/swap/0')).toBe(200);
    const times: number[] = [];
    let kept = 0;
    for (let swap = 1; swap <= SWAPS; swap++) {
      // Begun under the policy before.
      const isHeld = swap % 5 === 0;
      const held = isHeld ? await tlsClient(sidecar.inboundPort, web) : null;
      const before = isHeld ? await sidecar.adminRecord('/policy') : {};
      held?.write(`POST /held HTTP/1.1\r\nHost: a\r\nUser-Agent: held-${swap}\r\nContent-Length: 4\r\n\r\nab`);
      if (isHeld) await sleep(20);

      const writtenAt = performance.now();
      sidecar.put('policies/p.yaml', numbered(swap));
      while ((await statusFor(probe, `/swap/${swap}`)) !== 200) {
        if (performance.now() - writtenAt > 10_000)
          throw new Error(`Cannot see swap ${swap}: ${sidecar.process.stderr.slice(-2000)}`);
        await sleep(4);
      }
      times.push(performance.now() - writtenAt);
      expect(await statusFor(probe, `/swap/${swap - 1}`)).toBe(403);

      if (held === null) continue;
      held.write('cd');
      expect(statusOf(await held.response())).toBe(200);
      const line = await sidecar.logged((each) => each['user_agent'] === `held-${swap}`);
      const after = await sidecar.adminRecord('/policy');
      expect(line['policy_revision']).toBe(before['revision']);
      expect(after['revision']).not.toBe(before['revision']);
      kept++;
      await held[Symbol.asyncDispose]();
    }
    await load.stop();
    times.sort((a, b) => a - b);
    figure(
      `policy swaps: ${SWAPS} seen after median ${ms(times[times.length >> 1])}, p95 ${ms(times[Math.floor(times.length * 0.95)])}, ` +
        `most ${ms(times.at(-1))}; ${kept} requests kept their revision; ${load.sent} requests, ${load.failures.length} failed`,
    );
    expect(load.failures).toEqual([]);
    expect(times[times.length >> 1]).toBeLessThan(500);
    expect(times.filter((each) => each > 500).length).toBeLessThanOrEqual(LATE_MAX * SWAPS);
  },
  LONG,
);

test(
  'our SVID is rotated at 200 requests a second in both roles: none fails, each new serial is seen',
  async () => {
    const sidecar = await sidecarWith({});
    const peer = keep(await startTlsPeer(mesh.svid('app')));
    const caller = keep(
      await startSidecar({ mesh, account: 'web', outbound: [{ forwardTo: `127.0.0.1:${peer.port}`, expect: [mesh.id('app')] }] }),
    );
    const load = new SteadyLoad(() => tlsClient(sidecar.inboundPort, web), 130, 6, STEADY);
    const calls = new SteadyLoad(() => plainClient(caller.outboundPort), 70, 4, STEADY);
    const times: number[] = [];
    const callTimes: number[] = [];
    for (let rotation = 1; rotation <= ROTATIONS; rotation++) {
      const next = mesh.fresh('app');
      const nextCaller = mesh.fresh('web');
      const startedAt = performance.now();
      sidecar.putSvid(next);
      caller.putSvid(nextCaller);
      const wanted = serialOf(next.certificate.x509.serialNumber);
      while ((await serverSerial(sidecar.inboundPort)) !== wanted) {
        if (performance.now() - startedAt > 10_000) throw new Error(`Cannot see rotation ${rotation}`);
      }
      times.push(performance.now() - startedAt);
      const wantedOfCaller = serialOf(nextCaller.certificate.x509.serialNumber);
      await eventually(
        'the new serial at the peer',
        () => peer.connections.some(({ clientSerial }) => serialOf(clientSerial) === wantedOfCaller),
        10_000,
      );
      callTimes.push(performance.now() - startedAt);
    }
    await Promise.all([load.stop(), calls.stop()]);
    times.sort((a, b) => a - b);
    callTimes.sort((a, b) => a - b);
    figure(
      `SVID rotations: ${ROTATIONS}, new serial to callers after median ${ms(times[times.length >> 1])}, most ${ms(times.at(-1))}; ` +
        `to the peer after median ${ms(callTimes[callTimes.length >> 1])}, most ${ms(callTimes.at(-1))}; ` +
        `${load.sent + calls.sent} requests, ${load.failures.length + calls.failures.length} failed`,
    );
    expect([...load.failures, ...calls.failures]).toEqual([]);
    expect(times[times.length >> 1]).toBeLessThan(500);
    expect(times.filter((each) => each > 500).length).toBeLessThanOrEqual(LATE_MAX * ROTATIONS);
  },
  LONG,
);

test(
  'POSTs on connections that were idle about as long as the app keeps them never fail',
  async () => {
    const app = keep(await startHashingApp(5_000));
    const sidecar = keep(await startSidecar({ mesh, inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${app.port}` }] }));
    const failures: string[] = [];
    let posts = 0;
    for (let round = 0; round < IDLE_ROUNDS; round++) {
      await Promise.all(
        Array.from({ length: IDLE_CONNECTIONS }, async (_, index) => {
          // Each caller has a pool of its own, and so an upstream connection whose idle time is known. Half of them are idle for
          // about the app's 5 s, half for about the 4 s after which we let go of one.
          const svid = mesh.svid(`idle-${index}`);
          const idleMs = (index % 2 === 0 ? 4_900 : 3_900) + (200 * index) / IDLE_CONNECTIONS;
          const client = await tlsClient(sidecar.inboundPort, { mesh, svid });
          try {
            for (let i = 0; i < 2; i++) {
              if (i > 0) await sleep(idleMs);
              const response = await client.ask(`POST /hash/${index}/10 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello`);
              if (statusOf(response) !== 200) failures.push(`${idleMs}: ${response.head}`);
              posts++;
            }
          } catch (error) {
            failures.push(`${idleMs}: ${String(error)}`);
          } finally {
            await client[Symbol.asyncDispose]();
          }
        }),
      );
    }
    figure(`POSTs on idle connections: ${posts / 2} after 3.9 to 4.1 s and 4.9 to 5.1 s, ${failures.length} failed`);
    expect(failures).toEqual([]);
  },
  LONG,
);

describe('policies that are wrong', () => {
  test('the last good set goes on deciding, and says so', async () => {
    const sidecar = await sidecarWith({ policies: { 'p.yaml': numbered(1) } });
    await using client = await tlsClient(sidecar.inboundPort, web);
    const good = await sidecar.adminRecord('/policy');
    sidecar.put('policies/p.yaml', numbered(2).replace('ALLOW', 'ALLOWED'));
    await sidecar.process.waitForLine('policy refused', 5_000);
    const refused = await sidecar.adminRecord('/policy');
    expect(refused['revision']).toBe(good['revision']);
    expect(JSON.stringify(refused['faults'])).toMatch(/p\.yaml.*"line":\d+,"column":\d+/);
    expect(await statusFor(client, '/swap/1')).toBe(200);
    expect((await sidecar.status('/healthz/ready')).code).toBe(200);
    expect(sidecar.process.stderr).toMatch(/p\.yaml:\d+:\d+/);

    // One document that is wrong takes the whole new set with it.
    sidecar.put('policies/q.yaml', policyYaml('all', { action: 'ALLOW', rules: [{}] }));
    await sleep(700);
    expect(await statusFor(client, '/swap/9')).toBe(403);

    // None left at all: the last good set stays, and that is told.
    rmSync(sidecar.path('policies/q.yaml'));
    rmSync(sidecar.path('policies/p.yaml'));
    await sidecar.process.waitForLine('no policy document is left', 5_000);
    expect(await statusFor(client, '/swap/1')).toBe(200);
    rmSync(sidecar.path('policies'), { recursive: true });
    await sleep(700);
    expect(await statusFor(client, '/swap/1')).toBe(200);
    expect(await statusFor(client, '/swap/2')).toBe(403);

    mkdirSync(sidecar.path('policies'));
    sidecar.put('policies/p.yaml', numbered(3));
    await eventually('the mended set', async () => (await statusFor(client, '/swap/3')) === 200, 6_000);
    expect((await sidecar.adminRecord('/policy'))['faults']).toEqual([]);
  });

  test.each([
    ['an empty folder', {}, {}],
    ['a folder that is not there', {}, { files: ['nowhere/'] }],
    ['nothing but faults', { 'p.yaml': 'kind: [' }, {}],
    ['no source at all', {}, { files: [] }],
  ] as const)('%s at the start denies everything and is not ready', async (_why, policies, policySettings) => {
    const sidecar = await sidecarWith({ policies, policySettings, awaitsReady: false });
    await sidecar.process.waitForPort(sidecar.inboundPort, 20_000);
    await using client = await tlsClient(sidecar.inboundPort, web);
    const response = await client.ask(STEADY);
    expect([statusOf(response), ...valuesOf(response.fields, 'x-postern-reason')]).toEqual([503, 'policy_unavailable']);
    expect(await sidecar.status('/healthz/ready')).toMatchObject({
      code: 503,
      body: expect.stringContaining('policy') as string,
    });
    expect((await sidecar.status('/healthz/live')).code).toBe(200);
    if ('files' in policySettings) return;
    // It mends itself.
    sidecar.put('policies/p.yaml', numbered(1));
    await eventually('the mended set', async () => (await statusFor(client, '/swap/1')) === 200, 6_000);
    expect((await sidecar.status('/healthz/ready')).code).toBe(200);
  });

  test('documents that select another workload deny, unless it is said otherwise', async () => {
    const other = policyYaml('other', { selector: { matchLabels: { app: 'other' } }, action: 'ALLOW', rules: [{}] });
    const strict = await sidecarWith({ policies: { 'p.yaml': other } });
    await using client = await tlsClient(strict.inboundPort, web);
    expect(await statusFor(client, '/x')).toBe(403);
    const lenient = await sidecarWith({ policies: { 'p.yaml': other }, policySettings: { whenNoneSelects: 'allow' } });
    await using second = await tlsClient(lenient.inboundPort, web);
    expect(await statusFor(second, '/x')).toBe(200);
  });

  test('a folder whose link is flipped, as Kubernetes does, is seen', async () => {
    const sidecar = await sidecarWith({ policies: { 'first.yaml': numbered(1) } });
    for (const version of [1, 2]) {
      mkdirSync(sidecar.path(`policies/..v${version}`));
      writeFileSync(sidecar.path(`policies/..v${version}/p.yaml`), numbered(version));
    }
    symlinkSync('..v1', sidecar.path('policies/..data'));
    symlinkSync('..data/p.yaml', sidecar.path('policies/p.yaml'));
    rmSync(sidecar.path('policies/first.yaml'));
    await using client = await tlsClient(sidecar.inboundPort, web);
    await eventually('the linked file', async () => (await statusFor(client, '/swap/1')) === 200, 6_000);
    symlinkSync('..v2', sidecar.path('policies/..next'));
    const flippedAt = performance.now();
    renameSync(sidecar.path('policies/..next'), sidecar.path('policies/..data'));
    await eventually('the flip', async () => (await statusFor(client, '/swap/2')) === 200, 6_000);
    figure(`flipped link seen after ${ms(performance.now() - flippedAt)}`);
    expect(performance.now() - flippedAt).toBeLessThan(2_000);
  });
});

test('a change is seen while the policies are read anew because another file came', { timeout: 120_000 }, async () => {
  const sidecar = await sidecarWith({ policies: { 'p.yaml': numbered(1) } });
  await using client = await tlsClient(sidecar.inboundPort, web);
  for (let version = 2; version <= 12; version++) {
    sidecar.put(
      `policies/other-${version}.yaml`,
      policyYaml(`other-${version}`, { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/never'] } }] }] }),
    );
    // From before the reading begins to after it has ended.
    await sleep(25 + version * 8);
    sidecar.put('policies/p.yaml', numbered(version));
    await eventually(`version ${version}`, async () => (await statusFor(client, `/swap/${version}`)) === 200, 10_000);
    expect(await statusFor(client, `/swap/${version - 1}`)).toBe(403);
  }
});

describe('identity files that are wrong', () => {
  test('the last good identity stays, and says so; the mended one is taken', async () => {
    const sidecar = await sidecarWith({});
    const before = serialOf(mesh.svid('app').certificate.x509.serialNumber);
    const [one, two] = [mesh.fresh('app'), mesh.fresh('app')];
    sidecar.put('server.pem', one.certificatePem);
    sidecar.put('server.key', two.keyPem);
    await sidecar.process.waitForLine('identity refused', 5_000);
    expect(await serverSerial(sidecar.inboundPort)).toBe(before);
    expect((await sidecar.adminRecord('/identity'))['fault']).not.toBeNull();
    sidecar.put('server.pem', 'no certificate');
    await sleep(400);
    expect(await serverSerial(sidecar.inboundPort)).toBe(before);
    sidecar.putSvid(one);
    const wanted = serialOf(one.certificate.x509.serialNumber);
    await eventually('the mended identity', async () => (await serverSerial(sidecar.inboundPort)) === wanted, 6_000);
    expect((await sidecar.adminRecord('/identity'))['fault']).toBeNull();
  });

  test('a sidecar without identity waits for it, and ends by SIGTERM meanwhile', async () => {
    const upstream = keep(await startUpstream());
    const inbound = [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }];
    const waiting = keep(await startSidecar({ mesh, account: null, inbound, awaitsReady: false }));
    expect(await waiting.status('/healthz/ready')).toMatchObject({
      code: 503,
      body: expect.stringContaining('identity') as string,
    });
    waiting.process.signal('SIGHUP');
    waiting.putSvid(mesh.svid('app'));
    await waiting.ready(10_000);
    const ended = keep(await startSidecar({ mesh, account: null, inbound, awaitsReady: false }));
    expect(await ended.process.end('SIGTERM', 8_000)).toMatchObject({ code: 0, signal: null });
  });

  test('a peer whose root leaves the bundle loses its pooled connection at once', async () => {
    const peer = keep(await startTlsPeer(mesh.svid('app')));
    const caller = keep(
      await startSidecar({ mesh, account: 'web', outbound: [{ forwardTo: `127.0.0.1:${peer.port}`, expect: [mesh.id('app')] }] }),
    );
    await using client = await plainClient(caller.outboundPort);
    expect(statusOf(await client.ask(STEADY))).toBe(200);
    const other = new MeshIdentities();
    caller.put('cluster.local.pem', other.bundlePem);
    caller.putSvid(other.fresh('web'));
    await eventually('the end of the pooled connection', () => peer.connections.every(({ socket }) => socket.destroyed), 3_000);
    const bytes = peer.bytes;
    const refused = await client.ask(STEADY);
    expect([statusOf(refused), ...valuesOf(refused.fields, 'x-postern-reason')]).toEqual([502, 'upstream_identity']);
    expect(peer.bytes).toBe(bytes);
  });
});

/** Serial of the certificate that a new handshake is shown. */
async function serverSerial(port: number): Promise<string> {
  const socket: TLSSocket = tlsSocket(port, web);
  await once(socket, 'secureConnect');
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialOf(serialNumber ?? '');
}

function serialOf(text: string): string {
  return text.toLowerCase().replace(/^0+/, '');
}

function ms(value: number | undefined): string {
  return `${(value ?? 0).toFixed(0)} ms`;
}

const SWAPS = IS_FULL ? 1_000 : 20;
const ROTATIONS = IS_FULL ? 200 : 10;
const IDLE_ROUNDS = IS_FULL ? 5 : 1;
const IDLE_CONNECTIONS = IS_FULL ? 100 : 40;
/** Share of changes that may take longer than 500 ms where other work has the processor. */
const LATE_MAX = IS_FULL ? 0.02 : 0.2;
