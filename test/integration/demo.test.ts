/** `postern demo` as a stranger runs it: the whole story, the commands that it offers, and what is left of it. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { expect, test } from 'vitest';

import { runProcess, startProcess } from '../support/processes.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const DEMO = [join(ROOT, 'bin', 'postern.js'), 'demo'];
const ENV = { NO_COLOR: '1', npm_lifecycle_event: undefined };

test('the demo tells nothing untrue, offers commands that work, and leaves nothing at Ctrl-C', { timeout: 150_000 }, async () => {
  await using demo = startProcess(process.execPath, DEMO, { cwd: ROOT, env: ENV });
  await demo.waitForLine('Ctrl-C ends', 120_000);
  expect(demo.stdout).not.toContain('×');
  expect(demo.stdout).toMatch(/\d\.\d\ds {2}√ cost of both sidecars: \+-?\d+\.\d\d ms p50/u);
  const folder = folderIn(demo.stdout);

  const commands = demo.stdout.split('\nTry')[1]?.match(/^ {2}(?:curl|npx) .*$/gmu) ?? [];
  expect(commands).toHaveLength(3);
  const wanted = [/^HTTP\/1.1 200 OK[^]*"order":"17"/u, /nearest: +shop\/orders#write/u, /WORKLOAD +shop\/orders/u];
  for (const [at, command] of commands.entries()) {
    const [program = ''] = command.trim().split(' ');
    // A machine without curl or npx still has all the rest.
    if (spawnSync(program, ['--version'], { stdio: 'ignore' }).error !== undefined) continue;
    const { stdout, stderr } = await runProcess('/bin/sh', ['-c', command], { cwd: ROOT, timeoutMs: 30_000 });
    expect(stdout, stderr).toMatch(wanted[at] ?? /never/u);
  }

  const { code, stdout, stderr } = await demo.end('SIGINT', 10_000);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain('are gone, nothing left');
  expect(remains(folder)).toEqual([]);
});

test.each(['SIGKILL', 'SIGTERM'] as const)('the demo leaves nothing when it gets %s in the middle', async (signal) => {
  await using demo = startProcess(process.execPath, DEMO, { cwd: ROOT, env: ENV });
  await demo.waitForLine('apps run', 30_000);
  const folder = folderIn(demo.stdout);
  expect(remains(folder).length).toBeGreaterThan(1);
  await demo.end(signal, 10_000);
  const until = performance.now() + 10_000;
  while (remains(folder).length > 0 && performance.now() < until) await sleep(50);
  expect(remains(folder)).toEqual([]);
});

function folderIn(text: string): string {
  return /everything in (\S+)/u.exec(text)?.[1] ?? '/nowhere';
}

/** The folder of a run, and the processes that name it. */
function remains(folder: string): string[] {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,args='], { encoding: 'utf8' });
  const processes = stdout.split('\n').filter((line) => line.includes(folder));
  return existsSync(folder) ? [folder, ...processes] : processes;
}
