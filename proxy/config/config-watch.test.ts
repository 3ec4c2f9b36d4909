import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { expect, onTestFinished, test } from 'vitest';

import { changedSince, ConfigWatch } from './config-watch.ts';

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'watch-'));
  onTestFinished(() => rmSync(made, { recursive: true }));
  mkdirSync(join(made, 'policies'));
  writeFileSync(join(made, 'policies/a.yaml'), 'a');
  writeFileSync(join(made, 'proxy.yaml'), 'a');
  return made;
}

/** Times of the notices since the watch began. */
function watched(paths: readonly string[], pollMs = 60_000): number[] {
  const times: number[] = [];
  const startedAt = performance.now();
  const watch = new ConfigWatch({ paths, pollMs, onChange: () => times.push(performance.now() - startedAt) });
  onTestFinished(() => watch.close());
  return times;
}

async function noticed(times: readonly number[], withinMs: number): Promise<boolean> {
  const until = performance.now() + withinMs;
  while (times.length === 0 && performance.now() < until) await sleep(5);
  return times.length > 0;
}

test.each([
  ['a file that is written', (at: string) => writeFileSync(join(at, 'policies/a.yaml'), 'other')],
  [
    'a file that is replaced',
    (at: string) => (writeFileSync(join(at, 'next'), 'other'), renameSync(join(at, 'next'), join(at, 'policies/a.yaml'))),
  ],
  ['a file that is new', (at: string) => writeFileSync(join(at, 'policies/b.yaml'), 'b')],
  ['a file that is gone', (at: string) => rmSync(join(at, 'policies/a.yaml'))],
  ['the configuration file itself', (at: string) => writeFileSync(join(at, 'proxy.yaml'), 'other')],
  ['a folder that is gone', (at: string) => rmSync(join(at, 'policies'), { recursive: true })],
] as const)('ConfigWatch sees %s', async (_what, change) => {
  const at = folder();
  const times = watched([join(at, 'proxy.yaml'), join(at, 'policies')]);
  await sleep(20);
  change(at);
  expect(await noticed(times, 1_000)).toBe(true);
});

test('ConfigWatch sees a link that is flipped, as Kubernetes does', async () => {
  const at = folder();
  for (const version of ['1', '2']) {
    mkdirSync(join(at, `policies/..v${version}`));
    writeFileSync(join(at, `policies/..v${version}/p.yaml`), version);
  }
  symlinkSync('..v1', join(at, 'policies/..data'));
  symlinkSync('..data/p.yaml', join(at, 'policies/p.yaml'));
  const times = watched([join(at, 'policies')]);
  await sleep(20);
  symlinkSync('..v2', join(at, 'policies/..next'));
  renameSync(join(at, 'policies/..next'), join(at, 'policies/..data'));
  expect(await noticed(times, 1_000)).toBe(true);
});

test('ConfigWatch sees a change in a folder where a log is written all the time', async () => {
  const at = folder();
  const times = watched([join(at, 'proxy.yaml'), join(at, 'policies')]);
  const noise = setInterval(() => {
    appendFileSync(join(at, 'access.log'), 'line\n');
    appendFileSync(join(at, 'policies/editor.log'), '');
  }, 3);
  onTestFinished(() => clearInterval(noise));
  await sleep(100);
  times.length = 0;
  writeFileSync(join(at, 'policies/a.yaml'), 'other');
  expect(await noticed(times, 600)).toBe(true);
});

test('ConfigWatch looks by itself where no notice comes', async () => {
  const at = folder();
  // Nothing was there to be watched when it began.
  const times = watched([join(at, 'later/policies')], 50);
  mkdirSync(join(at, 'later/policies'), { recursive: true });
  expect(await noticed(times, 1_000)).toBe(true);
});

test('ConfigWatch tells nothing when nothing changed', async () => {
  const at = folder();
  const times = watched([join(at, 'proxy.yaml'), join(at, 'policies')], 20);
  writeFileSync(join(at, 'access.log'), 'line\n');
  await sleep(200);
  expect(times).toEqual([]);
});

test.each([
  ['a file that is written', (at: string) => writeFileSync(join(at, 'policies/a.yaml'), 'other'), true],
  ['a file that is new in a folder', (at: string) => writeFileSync(join(at, 'policies/b.yaml'), 'b'), true],
  ['a file that is gone', (at: string) => rmSync(join(at, 'proxy.yaml')), true],
  ['an older file that took its place', (at: string) => renameSync(join(at, 'old.yaml'), join(at, 'proxy.yaml')), true],
  ['nothing', () => {}, false],
] as const)('changedSince() sees %s', async (_what, change, want) => {
  const at = folder();
  writeFileSync(join(at, 'old.yaml'), 'a');
  await sleep(60);
  const sinceMs = Date.now();
  await sleep(10);
  change(at);
  expect(changedSince([join(at, 'proxy.yaml'), join(at, 'policies'), join(at, 'policies/a.yaml')], sinceMs)).toBe(want);
});
