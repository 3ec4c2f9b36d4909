/** What is kept of policies over a restart: the last good bundle and its revision, the last good policies of files. */
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, describe, expect, test } from 'vitest';

import { fieldOf, statusOf } from '#test/support/http-reader.ts';
import { MixedLoad } from '#test/support/mixed-load.ts';
import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { BundleSigner } from '#test/support/policy-bundles.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import {
  eventually,
  figure,
  policyYaml,
  Sidecar,
  startSidecar,
  type Settings,
  type SidecarOptions,
} from '#test/support/sidecar.ts';
import { http1Speaker, startHttpApp } from '#test/support/speakers.ts';

const mesh = new MeshIdentities();
const signer = new BundleSigner();
const disposables: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of disposables.splice(0).toReversed()) await each[Symbol.asyncDispose]();
});

describe('of a bundle', { timeout: 120_000 }, () => {
  test('a downgrade is refused after a restart, and the last good one is served', async () => {
    let sidecar = await startedWithBundle(signer.allowing(['/new'], { revision: 7 }));
    expect(await ask(sidecar, '/new')).toBe('200');
    expect(statSync(sidecar.path('kept')).mode & 0o777).toBe(0o700);
    for (const name of kept(sidecar)) expect(statSync(sidecar.path(`kept/${name}`)).mode & 0o777).toBe(0o600);
    sidecar = await again(sidecar, () => put(sidecar, signer.allowing(['/old'], { revision: 6 })));
    expect([await ask(sidecar, '/new'), await ask(sidecar, '/old')]).toEqual(['200', '403 denied_by_policy']);
    expect(await policyOf(sidecar)).toMatchObject({ state: 'ok', isKeptCopy: true, bundle: { revision: 7 } });
    expect(await faultCodes(sidecar)).toEqual(['bundle_downgrade']);
    put(sidecar, signer.allowing(['/newer'], { revision: 8 }));
    await eventually('revision 8', async () => (await ask(sidecar, '/newer')) === '200', 15_000);
    expect(await policyOf(sidecar)).toMatchObject({ isKeptCopy: false, faults: [] });
    expect(kept(sidecar).every((name) => name.includes('-0000000000000008.'))).toBe(true);
  });

  test.each<[string, (sidecar: Sidecar) => void, string]>([
    ['gone', (sidecar) => rmSync(sidecar.path('policy.bundle')), 'bundle_unreadable'],
    ['broken', (sidecar) => put(sidecar, Buffer.from('nothing')), 'bundle_format'],
    ['of a stranger', (sidecar) => put(sidecar, new BundleSigner().allowing(['/old'], { revision: 9 })), 'bundle_signer_unknown'],
  ])('the last good one is served after a restart when the source is %s', async (_, spoil, code) => {
    let sidecar = await startedWithBundle(signer.allowing(['/new'], { revision: 7 }));
    sidecar = await again(sidecar, () => spoil(sidecar));
    expect([await ask(sidecar, '/new'), await ask(sidecar, '/old')]).toEqual(['200', '403 denied_by_policy']);
    expect(await faultCodes(sidecar)).toEqual([code]);
  });

  test('the last good one ends as it would have, and is not served after it', async () => {
    let sidecar = await startedWithBundle(signer.allowing(['/new'], { revision: 7, expires: Date.now() + 12_000 }));
    sidecar = await again(sidecar, () => rmSync(sidecar.path('policy.bundle')));
    expect(await ask(sidecar, '/new')).toBe('200');
    await eventually('its end', async () => (await ask(sidecar, '/new')) === '503 policy_expired', 30_000);
    sidecar = await again(sidecar, () => {}, false);
    await eventually('the refusal', async () => (await faultCodes(sidecar)).includes('bundle_expired'), 10_000);
    expect(await policyOf(sidecar)).toMatchObject({ state: 'expired' });
    expect(await ask(sidecar, '/new')).toBe('503 policy_expired');
  });

  test('killed while bundles come in it starts again with what was in force, and with nothing older', async () => {
    // There is none below 1, and the first kill may come before any other is in force.
    let revision = 10;
    let renewed = 0;
    let sidecar = await startedWithBundle(signer.allowing(['/x'], { revision }));
    for (let kill = 0; kill < KILLS; kill++) {
      const killAt = performance.now() + 400 + ((kill * 67) % 300);
      const first = revision;
      let seen = 0;
      while (performance.now() < killAt) {
        put(sidecar, signer.allowing(['/x', `/only-${++revision}`], { revision }));
        seen = await bundleRevision(sidecar);
        await sleep(40);
      }
      // In whatever it is writing.
      for (const pid of childrenOf(sidecar.process.pid)) process.kill(pid, 'SIGKILL');
      const before = sidecar;
      sidecar = await again(before, () => rmSync(before.path('policy.bundle')));
      const kept = await bundleRevision(sidecar);
      expect(kept).toBeGreaterThanOrEqual(seen);
      if (kept > first) renewed++;
      expect(await policyOf(sidecar)).toMatchObject({ state: 'ok', isKeptCopy: true });
      put(sidecar, signer.allowing(['/old'], { revision: kept - 1 }));
      await eventually('the refusal', async () => (await faultCodes(sidecar)).includes('bundle_downgrade'), 10_000);
    }
    expect(renewed).toBeGreaterThan(0);
    figure(
      `${KILLS} kills, ${renewed} after bundles had come in, up to revision ${revision}: what was in force was kept each time`,
    );
  });

  test('a copy that was damaged is told and never served; its revision still counts', async () => {
    let sidecar = await startedWithBundle(signer.allowing(['/new'], { revision: 7 }));
    sidecar = await again(
      sidecar,
      () => {
        damage(sidecar, '.bundle');
        put(sidecar, signer.allowing(['/old'], { revision: 6 }));
      },
      false,
    );
    await eventually('the refusal', async () => (await faultCodes(sidecar)).includes('bundle_downgrade'), 10_000);
    expect(await faultCodes(sidecar)).toContain('PN0522');
    expect(await ask(sidecar, '/old')).toBe('503 policy_unavailable');
    put(sidecar, signer.allowing(['/new'], { revision: 7 }));
    await eventually('the good one', async () => (await ask(sidecar, '/new')) === '200', 15_000);
    // It is kept anew.
    sidecar = await again(sidecar, () => rmSync(sidecar.path('policy.bundle')));
    expect(await ask(sidecar, '/new')).toBe('200');
  });

  test('nothing is loaded when all that was kept is damaged', async () => {
    let sidecar = await startedWithBundle(signer.allowing(['/new'], { revision: 7 }));
    sidecar = await again(
      sidecar,
      () => {
        damage(sidecar, '.bundle');
        damage(sidecar, '.revision');
        put(sidecar, signer.allowing(['/old'], { revision: 6 }));
      },
      false,
    );
    await eventually('the refusal', async () => (await faultCodes(sidecar)).includes('bundle_state'), 10_000);
    expect(await ask(sidecar, '/old')).toBe('503 policy_unavailable');
    rmSync(sidecar.path('kept'), { recursive: true });
    sidecar.process.signal('SIGHUP');
    await eventually('the bundle', async () => (await ask(sidecar, '/old')) === '200', 15_000);
  });

  test('a folder that others may write to is not used', async () => {
    let sidecar = await startedWithBundle(signer.allowing(['/new'], { revision: 7 }));
    sidecar = await again(
      sidecar,
      () => {
        cpSync(sidecar.path('kept'), sidecar.path('open'), { recursive: true });
        rmSync(sidecar.path('kept'), { recursive: true });
        renameSync(sidecar.path('open'), sidecar.path('kept'));
        chmodSync(sidecar.path('kept'), 0o777);
      },
      false,
    );
    await eventually('the refusal', async () => (await faultCodes(sidecar)).includes('bundle_state'), 10_000);
    expect(await ask(sidecar, '/new')).toBe('503 policy_unavailable');
  });

  test('workers and a successor have the same, and lose no request', async () => {
    const sidecar = await startedWithBundle(signer.allowing([SPOKEN], { revision: 1 }), { concurrency: 2 });
    const load = new MixedLoad([http1Speaker(sidecar.inboundPort, { mesh, svid: mesh.svid('web') }, { perSecond: 100 })]);
    for (let revision = 2; revision <= 6; revision++) {
      put(sidecar, signer.allowing([SPOKEN, `/only-${revision}`], { revision }));
      if (revision === 4) sidecar.process.signal('SIGUSR2');
      await eventually(
        `revision ${revision} in both`,
        async () => {
          const { bundle, revision: whole, workers } = (await policyOf(sidecar)) as unknown as FleetPolicy; // as fleet-answers.ts joins them
          return bundle?.revision === revision && workers.every((worker) => worker.revision === whole);
        },
        40_000,
      );
    }
    await load.stop();
    figure(`bundles through workers and successors: ${load.describe()}`);
    expect(load.failures).toEqual([]);
    put(sidecar, signer.allowing(['/old'], { revision: 5 }));
    await eventually('the refusal', async () => (await faultCodes(sidecar)).includes('bundle_downgrade'), 15_000);
    expect(await sidecar.metric('postern_policy_refusals_total', 'bundle_downgrade')).toBe(1);
    // A worker that takes the place of another has the last good one.
    const { workers } = (await policyOf(sidecar)) as unknown as FleetPolicy; // the same
    const pid = workers[0]?.pid ?? 0;
    expect(pid).toBeGreaterThan(0);
    process.kill(pid, 'SIGKILL');
    await eventually(
      'another worker',
      async () => {
        const { workers: now } = (await policyOf(sidecar)) as unknown as FleetPolicy; // the same
        return now.length === 2 && now.every((worker) => worker.pid !== pid && worker.revision !== undefined);
      },
      20_000,
    );
    for (let i = 0; i < 8; i++) expect(await ask(sidecar, '/only-6')).toBe('200');
  });

  test('a process that takes over by SIGUSR2 goes on with the state', async () => {
    const sidecar = await startedWithBundle(signer.allowing([SPOKEN], { revision: 4 }));
    const load = new MixedLoad([http1Speaker(sidecar.inboundPort, { mesh, svid: mesh.svid('web') }, { perSecond: 100 })]);
    put(sidecar, signer.allowing(['/old'], { revision: 3 }));
    await eventually('the refusal', async () => (await faultCodes(sidecar)).includes('bundle_downgrade'), 15_000);
    sidecar.process.signal('SIGUSR2');
    await sidecar.process.waitForLine('handed over', 40_000);
    await eventually('the copy', async () => (await policyOf(sidecar))['isKeptCopy'] === true, 15_000);
    await load.stop();
    figure(`bundles through workers and successors: ${load.describe()}`);
    expect(load.failures).toEqual([]);
    expect(await faultCodes(sidecar)).toEqual(['bundle_downgrade']);
    expect([await ask(sidecar, SPOKEN), await ask(sidecar, '/old')]).toEqual(['200', '403 denied_by_policy']);
    const pid = Number(/"successor":(\d+)/.exec(sidecar.process.stderr)?.[1] ?? 0);
    process.kill(pid, 'SIGKILL');
  });
});

describe('of files', { timeout: 120_000 }, () => {
  test.each<[string, (sidecar: Sidecar) => void, string]>([
    ['gone', (sidecar) => rmSync(sidecar.path('policies'), { recursive: true }), 'PN0107'],
    ['empty', (sidecar) => rmSync(sidecar.path('policies/p.yaml')), 'PN0521'],
    ['at fault', (sidecar) => sidecar.put('policies/p.yaml', 'kind: Nonsense\n'), 'PN0204'],
  ])('the last good policies are served after a restart when they are %s', async (_, spoil, code) => {
    let sidecar = await startedWithFiles();
    sidecar = await again(sidecar, () => spoil(sidecar));
    expect([await ask(sidecar, '/files'), await ask(sidecar, '/other')]).toEqual(['200', '403 denied_by_policy']);
    expect(await policyOf(sidecar)).toMatchObject({ state: 'ok', isKeptCopy: true, bundle: null });
    expect(await faultCodes(sidecar)).toEqual([code]);
  });

  test('nothing is served of a copy that was damaged, or sealed under another identity key', async () => {
    let sidecar = await startedWithFiles();
    const copy = readFileSync(sidecar.path(`kept/${kept(sidecar)[0]}`));
    sidecar = await again(
      sidecar,
      () => {
        damage(sidecar, '.policies');
        sidecar.put('policies/p.yaml', 'kind: Nonsense\n');
      },
      false,
    );
    await eventually('the refusal', async () => (await faultCodes(sidecar)).includes('PN0522'), 10_000);
    expect(await ask(sidecar, '/files')).toBe('503 policy_unavailable');
    sidecar = await again(
      sidecar,
      () => {
        writeFileSync(sidecar.path(`kept/${kept(sidecar)[0]}`), copy);
        sidecar.putSvid(mesh.fresh('app'));
      },
      false,
    );
    await eventually('the refusal', async () => (await faultCodes(sidecar)).includes('PN0522'), 10_000);
    expect(await ask(sidecar, '/files')).toBe('503 policy_unavailable');
  });

  test('a rotation of the identity seals the copy anew', async () => {
    let sidecar = await startedWithFiles();
    const name = kept(sidecar)[0] ?? '';
    const before = readFileSync(sidecar.path(`kept/${name}`));
    sidecar.putSvid(mesh.fresh('app'));
    await eventually('another copy', () => !readFileSync(sidecar.path(`kept/${name}`)).equals(before), 15_000);
    sidecar = await again(sidecar, () => rmSync(sidecar.path('policies'), { recursive: true }));
    expect(await ask(sidecar, '/files')).toBe('200');
  });
});

interface FleetPolicy {
  readonly revision: string;
  readonly bundle: { readonly revision: number } | null;
  readonly workers: readonly { readonly pid: number; readonly revision?: string }[];
}

async function startedWithBundle(bundle: Uint8Array, more: Partial<SidecarOptions> = {}): Promise<Sidecar> {
  const { beforeStart, ...settings } = signer.settings({ lastKnownGood: 'kept' });
  return started({
    ...settings,
    ...more,
    beforeStart: (folder) => {
      beforeStart(folder);
      writeFileSync(join(folder, 'policy.bundle'), bundle);
    },
  });
}

async function startedWithFiles(): Promise<Sidecar> {
  const text = policyYaml('open', { rules: [{ to: [{ operation: { paths: ['/files'] } }] }] });
  const sidecar = await started({ policies: { 'p.yaml': text }, policySettings: { lastKnownGood: 'kept' } });
  expect(await ask(sidecar, '/files')).toBe('200');
  expect(await policyOf(sidecar)).toMatchObject({ isKeptCopy: false, faults: [] });
  return sidecar;
}

async function started(options: Partial<SidecarOptions>): Promise<Sidecar> {
  const upstream = await startHttpApp();
  disposables.push(upstream);
  const sidecar = await startSidecar({
    mesh,
    inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }],
    ...options,
  });
  disposables.push(sidecar);
  return sidecar;
}

/** Kills it, changes what lies there, and starts it again. */
async function again(sidecar: Sidecar, change: () => void, awaitsReady = true): Promise<Sidecar> {
  await sidecar.process.end('SIGKILL');
  rmSync(sidecar.path('admin.sock'), { force: true });
  change();
  const next = new Sidecar(sidecar.folder, { inbound: sidecar.inbound, outbound: sidecar.outbound, status: sidecar.statusPort });
  disposables.push(next);
  if (awaitsReady) await next.ready();
  else await eventually('its admin socket', () => existsSync(next.path('admin.sock')), 15_000);
  if (!awaitsReady) await next.process.waitForPort(next.inboundPort);
  return next;
}

function client(sidecar: Sidecar): ReturnType<typeof tlsClient> {
  return tlsClient(sidecar.inboundPort, { mesh, svid: mesh.svid('web') });
}

/** `200`, or status and reason. */
async function ask(sidecar: Sidecar, path: string): Promise<string> {
  await using asking = await client(sidecar);
  const response = await asking.ask(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  return [statusOf(response), fieldOf(response.fields, 'x-postern-reason')].filter((part) => part !== null).join(' ');
}

function put(sidecar: Sidecar, bytes: Uint8Array): void {
  writeFileSync(sidecar.path('policy.next'), bytes);
  renameSync(sidecar.path('policy.next'), sidecar.path('policy.bundle'));
}

function kept(sidecar: Sidecar): readonly string[] {
  return readdirSync(sidecar.path('kept'));
}

function damage(sidecar: Sidecar, end: string): void {
  const name = kept(sidecar).find((each) => each.endsWith(end)) ?? '';
  const bytes = readFileSync(sidecar.path(`kept/${name}`));
  const at = bytes.length >> 1;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 4, at);
  writeFileSync(sidecar.path(`kept/${name}`), bytes);
}

async function policyOf(sidecar: Sidecar): Promise<Settings> {
  return sidecar.adminRecord('/policy');
}

async function faultCodes(sidecar: Sidecar): Promise<readonly string[]> {
  const { faults } = (await policyOf(sidecar)) as { faults: readonly { code: string }[] }; // as proxy/admin/answers.ts writes it
  return faults.map(({ code }) => code);
}

async function bundleRevision(sidecar: Sidecar): Promise<number> {
  const { bundle } = (await policyOf(sidecar)) as { bundle: { revision: number } | null }; // as proxy/admin/answers.ts writes it
  return bundle?.revision ?? 0;
}

function childrenOf(pid: number): readonly number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
}

const KILLS = process.env['POSTERN_FULL'] === '1' ? 40 : 5;
/** What the callers of the load ask for. */
const SPOKEN = '/x';
