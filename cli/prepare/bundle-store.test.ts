import { createHash, generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeEach, expect, test } from 'vitest';

import { verificationKeyOf } from '#authz/bundle/keys.ts';
import type { BundleExpectation } from '#authz/bundle/read.ts';
import { writeBundle } from '#authz/bundle/write.ts';
import { allowingPaths, WORKLOAD } from '#test/support/policy-bundles.ts';
import { startProcess } from '#test/support/processes.ts';

import { BundleStore } from './bundle-store.ts';

const root = mkdtempSync(join(tmpdir(), 'postern-kept-'));
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const policy = allowingPaths(['/a']);
const other = allowingPaths(['/b']);
const wanted: BundleExpectation = { keys: [verificationKeyOf(publicKey)], workload: WORKLOAD, nowMs: 1_500, last: null };
let folder = '';
let next = 0;

beforeEach(() => {
  folder = join(root, String(next++));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

test('BundleStore gives back what it was given, and only the newest', () => {
  const store = new BundleStore(folder, wanted);
  expect(store.read()).toEqual({ last: null, copy: null, isLost: false, faults: [] });
  for (const revision of [1, 2, 3]) expect(save(store, revision)).toEqual({ isReused: false, fault: null });
  expect(store.read()).toMatchObject({
    last: { revision: 3 },
    copy: { ok: true, manifest: { revision: 3 } },
    isLost: false,
    faults: [],
  });
  expect(readdirSync(folder).length).toBe(2);
});

test('BundleStore remembers the highest revision, whoever writes last', () => {
  const store = new BundleStore(folder, wanted);
  save(store, 9);
  // A slower process that had accepted an older one before.
  save(store, 8);
  expect(store.read()).toMatchObject({ last: { revision: 9 }, copy: { ok: true, manifest: { revision: 9 } } });
});

test('BundleStore keeps no second bundle of one revision', () => {
  const store = new BundleStore(folder, wanted);
  save(store, 9);
  expect(save(store, 9, other)).toEqual({ isReused: true, fault: null });
  expect(store.read()).toMatchObject({ copy: { ok: true, policy: { revision: policy.revision } } });
});

test.each<[string, readonly string[], object]>([
  ['the copy', ['.bundle'], { last: { revision: 9 }, copy: null, isLost: false }],
  ['the record', ['.revision'], { last: { revision: 9 }, copy: { ok: true }, isLost: false }],
  ['both', ['.bundle', '.revision'], { last: null, copy: null, isLost: true }],
])('BundleStore tells when %s is damaged', (_, ends, want) => {
  const store = new BundleStore(folder, wanted);
  save(store, 9);
  for (const name of readdirSync(folder)) if (ends.some((end) => name.endsWith(end))) writeFileSync(join(folder, name), 'x');
  const read = store.read();
  expect(read).toMatchObject(want);
  expect(read.faults.map(({ code }) => code)).toEqual(ends.map(() => 'PN0522'));
});

test('BundleStore refuses an older copy under whatever name', () => {
  const store = new BundleStore(folder, wanted);
  save(store, 9);
  const name = readdirSync(folder).find((each) => each.endsWith('.bundle')) ?? '';
  writeFileSync(join(folder, name), bundleOf(7));
  expect(store.read()).toMatchObject({ last: { revision: 9 }, copy: null, faults: [{ code: 'PN0522' }] });
  writeFileSync(join(folder, name.replace(/9(?=\.bundle$)/, '7')), bundleOf(7));
  rmSync(join(folder, name));
  expect(store.read()).toMatchObject({ last: { revision: 9 }, copy: { ok: false, code: 'bundle_downgrade' } });
});

test('BundleStore keeps the revision when the key of the copy is no longer accepted', () => {
  save(new BundleStore(folder, wanted), 9);
  const later = new BundleStore(folder, { ...wanted, keys: [verificationKeyOf(generateKeyPairSync('ed25519').publicKey)] });
  expect(later.read()).toMatchObject({ last: { revision: 9 }, copy: null, isLost: false });
});

test('BundleStore keeps workloads apart', () => {
  save(new BundleStore(folder, wanted), 9);
  const workload = { ...WORKLOAD, namespace: 'bank' };
  expect(new BundleStore(folder, { ...wanted, workload }).read()).toMatchObject({ last: null, isLost: false, faults: [] });
});

test('BundleStore uses no folder that others may write to, and says so', () => {
  const store = new BundleStore(folder, wanted);
  save(store, 9);
  chmodSync(folder, 0o770);
  expect(store.read()).toMatchObject({ last: null, copy: null, isLost: true, faults: [{ code: 'PN0522' }] });
});

test('BundleStore tells what could not be written', () => {
  writeFileSync(folder, 'a file in its place');
  expect(save(new BundleStore(folder, wanted), 9)).toMatchObject({ isReused: false, fault: { code: 'PN0523' } });
});

test('BundleStore removes what a killed writer has left, and not what one is writing', () => {
  const store = new BundleStore(folder, { ...wanted, nowMs: Date.now() });
  save(store, 8);
  for (const name of ['.1.2.aside', '.1.3.aside']) writeFileSync(join(folder, name), 'x');
  utimesSync(join(folder, '.1.2.aside'), 1, 1);
  save(store, 9);
  expect(readdirSync(folder).filter((name) => name.endsWith('.aside'))).toEqual(['.1.3.aside']);
});

test('whatever moment a writer is killed at, what it said it had kept is kept, and whole', { timeout: 600_000 }, async () => {
  const module = (name: string): string => JSON.stringify(join(import.meta.dirname, name));
  const script = `
    import { BundleStore } from ${module('bundle-store.ts')};
    import { writeBundle } from ${module('../../authz/bundle/write.ts')};
    import { readSigningKey, verificationKeyOf } from ${module('../../authz/bundle/keys.ts')};
    import { allowingPaths, WORKLOAD } from ${module('../../test/support/policy-bundles.ts')};
    const key = readSigningKey(process.env.KEY);
    const store = new BundleStore(process.env.FOLDER, { keys: [verificationKeyOf(key)], workload: WORKLOAD, nowMs: 1500, last: null });
    const policy = allowingPaths(['/a']);
    for (let revision = Number(process.env.FROM); ; revision++) {
      const bundle = writeBundle(policy, { revision, notBefore: 1000, expires: 2000, workload: WORKLOAD }, key);
      const { fault } = store.save(bundle, { revision, digest: bundleDigest(bundle) });
      if (fault !== null) throw new Error(fault.message);
      process.stdout.write(revision + '\\n');
    }
    function bundleDigest(bundle) {
      const length = Buffer.from(bundle).readUInt32BE(12);
      return JSON.parse(Buffer.from(bundle).subarray(124, 124 + length).toString()).digest;
    }`;
  const env = { KEY: String(privateKey.export({ format: 'pem', type: 'pkcs8' })), FOLDER: folder };
  const store = new BundleStore(folder, wanted);
  let kept = 0;
  for (let round = 0; round < KILLS; round++) {
    const child = startProcess(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...env, FROM: String(kept + 1) },
    });
    await child.waitForLine(/^\d+$/m, 20_000);
    await sleep(createHash('sha256').update(String(round)).digest().readUInt8(0) / 12);
    const { stdout, stderr } = await child.end('SIGKILL');
    expect(stderr).toBe('');
    const said = Number(
      stdout
        .trim()
        .split('\n')
        .findLast((line) => /^\d+$/.test(line)),
    );
    const { copy, faults, last } = store.read();
    expect(faults).toEqual([]);
    expect(copy?.ok).toBe(true);
    expect(last?.revision).toBeGreaterThanOrEqual(said);
    kept = last?.revision ?? 0;
  }
  expect(kept).toBeGreaterThan(KILLS);
});

function save(store: BundleStore, revision: number, given = policy): ReturnType<BundleStore['save']> {
  const bytes = bundleOf(revision, given);
  const length = bytes.readUInt32BE(12);
  // The manifest follows the head of 124 bytes.
  const { digest } = JSON.parse(bytes.toString('utf8', 124, 124 + length)) as { digest: string }; // as writeBundle() wrote it
  return store.save(bytes, { revision, digest });
}

function bundleOf(revision: number, given = policy): Buffer {
  return Buffer.from(writeBundle(given, { revision, notBefore: 1_000, expires: 2_000, workload: WORKLOAD }, privateKey));
}

const KILLS = process.env['POSTERN_FULL'] === '1' ? 200 : 25;
