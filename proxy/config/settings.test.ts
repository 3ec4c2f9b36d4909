import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { readSettings } from './settings.ts';

let file = '';
beforeAll(() => {
  file = join(mkdtempSync(join(tmpdir(), 'postern-settings-')), 'proxy.yaml');
  writeFileSync(file, '');
});
afterAll(() => rmSync(join(file, '..'), { recursive: true }));

describe('readSettings()', () => {
  test.each([
    { why: 'the file alone', argv: ['-c', 'a.yaml'], env: {}, want: { concurrency: null, logLevel: 'info' } },
    { why: 'both forms of a flag', argv: ['--config=a.yaml', '--concurrency', '4'], env: {}, want: { concurrency: 4 } },
    { why: 'a variable', argv: ['-c', 'a.yaml'], env: { POSTERN_PROXY_CONCURRENCY: '3' }, want: { concurrency: 3 } },
    {
      why: 'a flag against a variable',
      argv: ['-c', 'a.yaml', '--log-level=warn'],
      env: { POSTERN_PROXY_LOG_LEVEL: 'debug' },
      want: { logLevel: 'warn' },
    },
    { why: 'an empty variable', argv: ['-c', 'a.yaml'], env: { POSTERN_PROXY_CONCURRENCY: '' }, want: { concurrency: null } },
  ])('takes $why', ({ argv, env, want }) => {
    expect(readSettings(argv, env)).toMatchObject({ file: join(process.cwd(), 'a.yaml'), ...want });
  });

  test('finds the file by $POSTERN_CONFIG', () => {
    expect(readSettings([], { POSTERN_CONFIG: file }).file).toBe(file);
  });

  test.each([
    { argv: ['--confg', 'x'], want: 'unknown argument "--confg"' },
    { argv: ['x'], want: 'unknown argument "x"' },
    { argv: ['-c'], want: 'unknown argument "-c"' },
    { argv: ['--config='], want: 'unknown argument "--config="' },
    { argv: ['-c', 'a.yaml', '--concurrency', '0'], want: 'the concurrency "0"' },
    { argv: ['-c', 'a.yaml', '--concurrency=65'], want: 'the concurrency "65"' },
    { argv: ['-c', 'a.yaml', '--log-level', 'loud'], want: 'the log level "loud"' },
    { argv: [], want: 'no configuration file' },
  ])('refuses $argv', ({ argv, want }) => {
    const read = (): unknown => readSettings(argv, { POSTERN_CONFIG: '/nowhere/proxy.yaml' });
    expect(read).toThrow(want);
    expect(read).toThrow(expect.objectContaining({ code: 'usage' }) as Error);
  });
});
