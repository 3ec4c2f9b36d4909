import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { systemClock } from '#base/clock.ts';

import { createIntermediate, createRoot, issueSvid } from '../authority/authority.ts';
import type { Authority, IssuedSvid } from '../authority/authority.ts';
import type { IdentityFault, IdentitySnapshot } from './assemble.ts';
import { FileIdentitySource } from './files.ts';
import type { FileSourceOptions } from './files.ts';

const HOUR_MS = 3_600_000;
const ID = 'spiffe://a.test/ns/app/sa/app';

let folder = '';
let root: Authority;
let changes: IdentitySnapshot[] = [];
let faults: IdentityFault[] = [];
let source: FileIdentitySource | null = null;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-identity-'));
  root = createRoot({ trustDomain: 'a.test', atMs: Date.now(), lifetimeMs: HOUR_MS });
  changes = [];
  faults = [];
});

afterEach(() => {
  source?.close();
  source = null;
  rmSync(folder, { recursive: true, force: true });
});

describe('FileIdentitySource.open()', () => {
  test('reads certificate, key and bundle', async () => {
    const svid = place(folder, root);
    source = await open();
    expect(source.snapshot).toMatchObject({ generation: 1, bundleGeneration: 1 });
    expect(source.snapshot.svid.spiffeId.uri).toBe(ID);
    expect(source.snapshot.svid.certificatePem).toBe(svid.certificatePem);
    expect(source.snapshot.bundles.of('a.test')?.pem).toBe(root.bundlePem);
  });

  test.each([
    { why: 'a missing key', spoil: () => unlinkSync(path('key.pem')), code: 'file_unreadable' },
    { why: "another certificate's key", spoil: () => write('key.pem', issue(root).keyPem), code: 'key_mismatch' },
    { why: 'an empty bundle', spoil: () => write('ca.pem', ''), code: 'bundle_empty' },
    { why: "another domain's bundle", spoil: () => write('ca.pem', other().bundlePem), code: 'issuer_missing' },
    { why: 'an SVID of another domain', spoil: () => place(folder, other(), 'b.test', false), code: 'trust_domain_mismatch' },
    {
      why: 'an expired certificate',
      spoil: () => place(folder, root, 'a.test', true, Date.now() - 2 * HOUR_MS),
      code: 'expired',
    },
    { why: 'a file that is no PEM', spoil: () => write('cert.pem', 'x'), code: 'certificate_not_pem' },
    { why: 'a huge file', spoil: () => write('ca.pem', ' '.repeat(1_048_577)), code: 'file_too_large' },
  ])('refuses $why', async ({ spoil, code }) => {
    place(folder, root);
    spoil();
    await expect(open()).rejects.toMatchObject({ code });
  });
});

describe('FileIdentitySource', () => {
  test.each([
    { how: 'written in place', put: (name: string, text: string) => write(name, text) },
    {
      how: 'renamed into place',
      put: (name: string, text: string) => {
        write(`.${name}.new`, text);
        renameSync(path(`.${name}.new`), path(name));
      },
    },
  ])('takes a certificate and key $how without waiting for the next poll', async ({ put }) => {
    place(folder, root);
    source = await open();
    const next = issue(root);
    put('cert.pem', next.certificatePem);
    put('key.pem', next.keyPem);
    expect(await soon(() => changes.length > 0)).toBe(true);
    expect(changes).toHaveLength(1);
    expect(source.snapshot).toBe(changes[0]);
    expect(changes[0]).toMatchObject({ generation: 2, bundleGeneration: 1 });
    expect(changes[0]?.svid.keyPem).toBe(next.keyPem);
    expect(faults).toEqual([]);
  });

  test('takes a folder whose link is flipped, as Kubernetes does it', async () => {
    mkdirSync(path('v1'));
    mkdirSync(path('v2'));
    place(path('v1'), root);
    symlinkSync('v1', path('..data'));
    for (const name of ['cert.pem', 'key.pem', 'ca.pem']) symlinkSync(join('..data', name), path(name));
    source = await open();
    const next = place(path('v2'), root);
    symlinkSync('v2', path('..data_tmp'));
    renameSync(path('..data_tmp'), path('..data'));
    expect(await soon(() => changes.length > 0)).toBe(true);
    expect(source.snapshot.svid.certificatePem).toBe(next.certificatePem);
    // And once more, now that another folder is watched.
    rmSync(path('v1'), { recursive: true });
    mkdirSync(path('v1'));
    const third = place(path('v1'), root);
    symlinkSync('v1', path('..data_tmp'));
    renameSync(path('..data_tmp'), path('..data'));
    expect(await soon(() => changes.length > 1)).toBe(true);
    expect(source.snapshot.svid.certificatePem).toBe(third.certificatePem);
  });

  test('takes files behind a linked folder that is flipped elsewhere', async () => {
    mkdirSync(path('releases'));
    for (const name of ['one', 'two']) mkdirSync(path(`releases/${name}`));
    place(path('releases/one'), root);
    symlinkSync('releases/one', path('current'));
    source = await open({ base: path('current') });
    const next = place(path('releases/two'), root);
    symlinkSync('releases/two', path('current.new'));
    renameSync(path('current.new'), path('current'));
    expect(await soon(() => changes.length > 0)).toBe(true);
    expect(source.snapshot.svid.certificatePem).toBe(next.certificatePem);
  });

  test('finds a change by polling when the folder was replaced', async () => {
    mkdirSync(path('certs'));
    place(path('certs'), root);
    source = await open({ base: path('certs'), pollMs: 100 });
    renameSync(path('certs'), path('old'));
    mkdirSync(path('certs'));
    const next = place(path('certs'), root);
    expect(await soon(() => changes.length > 0)).toBe(true);
    expect(source.snapshot.svid.certificatePem).toBe(next.certificatePem);
  });

  test('keeps the old pair while only half of the new one is there, and says so once', async () => {
    const first = place(folder, root);
    source = await open({ pollMs: 100 });
    const next = issue(root);
    write('cert.pem', next.certificatePem);
    expect(await soon(() => faults.length > 0)).toBe(true);
    await sleep(350);
    expect(faults).toMatchObject([{ code: 'key_mismatch', file: path('key.pem') }]);
    expect(changes).toEqual([]);
    expect(source.snapshot.svid.certificatePem).toBe(first.certificatePem);
    write('key.pem', next.keyPem);
    expect(await soon(() => changes.length > 0)).toBe(true);
    expect(source.snapshot.svid.keyPem).toBe(next.keyPem);
  });

  test('tells nothing of a rotation whose files come 100 ms apart', async () => {
    place(folder, root);
    source = await open();
    const next = issue(root);
    write('key.pem', next.keyPem);
    await sleep(100);
    write('cert.pem', next.certificatePem);
    expect(await soon(() => changes.length > 0)).toBe(true);
    expect(faults).toEqual([]);
  });

  test('counts bundles apart from the SVID', async () => {
    place(folder, root);
    source = await open();
    const second = createRoot({ trustDomain: 'a.test', atMs: Date.now(), lifetimeMs: HOUR_MS });
    write('ca.pem', root.bundlePem + second.bundlePem);
    expect(await soon(() => changes.length > 0)).toBe(true);
    expect(changes[0]).toMatchObject({ generation: 2, bundleGeneration: 2 });
    expect(changes[0]?.bundles.generation).toBe(2);
  });

  test('refuses a bundle that no longer vouches for our own certificate', async () => {
    place(folder, root);
    source = await open();
    write('ca.pem', createRoot({ trustDomain: 'a.test', atMs: Date.now(), lifetimeMs: HOUR_MS }).bundlePem);
    expect(await soon(() => faults.length > 0)).toBe(true);
    expect(source.snapshot.bundles.of('a.test')?.pem).toBe(root.bundlePem);
  });

  test('takes a certificate that was not yet valid once its time has come', async () => {
    place(folder, root);
    const clock = { nowMs: () => nowMs, monotonicMs: () => performance.now() };
    let nowMs = Date.now();
    source = await open({ pollMs: 50, clock });
    const next = issueSvid(root, {
      spiffeId: ID,
      atMs: nowMs,
      lifetimeMs: HOUR_MS / 2,
      overrides: () => ({ notBeforeMs: nowMs + 60_000 }),
    });
    write('cert.pem', next.certificatePem);
    write('key.pem', next.keyPem);
    expect(await soon(() => faults.length > 0)).toBe(true);
    expect(faults).toMatchObject([{ code: 'not_yet_valid' }]);
    nowMs += 61_000;
    expect(await soon(() => changes.length > 0)).toBe(true);
  });

  test('does not stir when files are rewritten with the same content, or others change', async () => {
    const svid = place(folder, root);
    source = await open({ pollMs: 50 });
    for (let round = 0; round < 10; round++) {
      write('cert.pem', svid.certificatePem);
      write('access.log', 'x'.repeat(round));
      await sleep(10);
    }
    await sleep(200);
    expect(changes).toEqual([]);
    expect(faults).toEqual([]);
  });

  test('reload() reads at once, and reports a fault again', async () => {
    place(folder, root);
    source = await open({ pollMs: 60_000 });
    unlinkSync(path('key.pem'));
    await source.reload();
    await source.reload();
    expect(faults.length).toBeGreaterThanOrEqual(2);
    expect(new Set(faults.map((each) => each.code))).toEqual(new Set(['file_unreadable']));
  });

  test('proves each of 40 rotations, none lost and none doubled', async () => {
    place(folder, root);
    source = await open();
    const intermediate = createIntermediate(root, { atMs: Date.now(), lifetimeMs: HOUR_MS });
    for (let round = 1; round <= 40; round++) {
      const next = place(folder, round % 2 === 0 ? root : intermediate);
      expect(await soon(() => source?.snapshot.svid.certificatePem === next.certificatePem)).toBe(true);
    }
    expect(changes).toHaveLength(40);
    expect(source.snapshot.generation).toBe(41);
  });

  test('is silent after close()', async () => {
    place(folder, root);
    source = await open({ pollMs: 20 });
    source.close();
    place(folder, root);
    await sleep(200);
    expect(changes).toEqual([]);
  });
});

function open(more: Partial<FileSourceOptions> & { readonly base?: string } = {}): Promise<FileIdentitySource> {
  const { base = folder, ...options } = more;
  return FileIdentitySource.open({
    files: { certificate: join(base, 'cert.pem'), key: join(base, 'key.pem'), bundles: { 'a.test': join(base, 'ca.pem') } },
    trustDomain: 'a.test',
    clock: systemClock,
    pollMs: 60_000,
    onChange: (snapshot) => changes.push(snapshot),
    onRefused: (fault) => faults.push(fault),
    ...options,
  });
}

/** Writes a new SVID of `authority`, and its bundle. */
function place(into: string, authority: Authority, domain = 'a.test', withBundle = true, atMs = Date.now()): IssuedSvid {
  const svid = issue(authority, domain, atMs);
  writeFileSync(join(into, 'cert.pem'), svid.certificatePem);
  writeFileSync(join(into, 'key.pem'), svid.keyPem);
  if (withBundle) writeFileSync(join(into, 'ca.pem'), authority.bundlePem);
  return svid;
}

function issue(authority: Authority, domain = 'a.test', atMs = Date.now()): IssuedSvid {
  return issueSvid(authority, { spiffeId: `spiffe://${domain}/ns/app/sa/app`, atMs, lifetimeMs: HOUR_MS / 2 });
}

function other(): Authority {
  return createRoot({ trustDomain: 'b.test', atMs: Date.now(), lifetimeMs: HOUR_MS });
}

function path(name: string): string {
  return join(folder, name);
}

function write(name: string, text: string): void {
  writeFileSync(path(name), text);
}

async function soon(isTrue: () => boolean): Promise<boolean> {
  const deadline = performance.now() + LIMIT_MS;
  while (performance.now() < deadline) {
    if (isTrue()) return true;
    await sleep(5);
  }
  return isTrue();
}

/** Well below the time between two polls; on a machine that does nothing else a change is in force within 0.3 s. */
const LIMIT_MS = 4_000;
