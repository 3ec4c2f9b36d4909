import { afterEach, describe, expect, test, vi } from 'vitest';

import { freePort } from './free-port.ts';
import { peer } from './peers.ts';
import { runProcess, startProcess } from './processes.ts';

const node = process.execPath;

describe('startProcess()', () => {
  test('waits for a line, also for one that was already printed', async () => {
    await using child = startProcess(node, ['-e', 'console.log("one"); console.error("two"); setInterval(() => {}, 1000)']);
    expect(await child.waitForLine('one')).toBe('one');
    expect(await child.waitForLine(/^tw/)).toBe('two');
    expect(await child.waitForLine('one')).toBe('one');
  });

  test('waits for a port', async () => {
    const port = await freePort();
    await using child = startProcess(node, ['-e', `require("node:net").createServer().listen(${port}, "127.0.0.1")`]);
    await child.waitForPort(port);
    expect(child.isRunning).toBe(true);
  });

  test('tells what a process printed that ended before the line came', async () => {
    await using child = startProcess(node, ['-e', 'console.error("no such luck"); process.exit(3)']);
    await expect(child.waitForLine('ready')).rejects.toThrow(/it ended[^]*no such luck/);
    expect((await child.exited).code).toBe(3);
  });

  test('tells of a program that is not there', async () => {
    await using child = startProcess('/nowhere/at-all', []);
    await expect(child.waitForLine('ready')).rejects.toThrow(/ENOENT/);
  });

  test('ends a process that is stopped or ignores SIGTERM', async () => {
    const stubborn = startProcess(node, [
      '-e',
      'process.on("SIGTERM", () => {}); console.log("up"); setInterval(() => {}, 1000)',
    ]);
    await stubborn.waitForLine('up');
    stubborn.signal('SIGSTOP');
    expect((await stubborn.end('SIGTERM', 100)).signal).toBe('SIGKILL');
  });
});

test('runProcess() passes input and environment and collects both outputs', async () => {
  const script = 'process.stdin.pipe(process.stdout); console.error(process.env.WORD)';
  const exit = await runProcess(node, ['-e', script], { input: 'in', env: { WORD: 'said' } });
  expect(exit).toStrictEqual({ code: 0, signal: null, stdout: 'in', stderr: 'said\n' });
});

describe('peer()', () => {
  afterEach(() => vi.unstubAllEnvs());

  test('finds a program on PATH and answers null for one that is nowhere', () => {
    vi.stubEnv('POSTERN_PEERS', '');
    vi.stubEnv('POSTERN_TEST_MISSING', '');
    expect(peer('sh')).toMatch(/\/sh$/);
    expect(peer('no-such-peer')).toBeNull();
  });

  test('throws for one that is nowhere when none may be missing', () => {
    vi.stubEnv('POSTERN_PEERS', 'required');
    expect(() => peer('no-such-peer')).toThrow(/^Cannot run these tests without "peer no-such-peer"/);
  });
});
