/** No Docker engine is at hand where the tests run, so the file is read instead: what must hold of the image, not whether it builds. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { runProcess } from '#test/support/processes.ts';

const ROOT = join(import.meta.dirname, '..');
const instructions = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll('\\\n', ' ')
  .split('\n')
  .filter((line) => line.trim() !== '');
const lastStage = instructions.slice(instructions.findLastIndex((line) => line.startsWith('FROM ')));

test('the image is built in one stage and made in another, from pinned bases', () => {
  const bases = instructions.filter((line) => line.startsWith('FROM '));
  expect(bases.length).toBeGreaterThanOrEqual(2);
  for (const base of bases) expect(base).toMatch(/^FROM [a-z/]+:(?!latest)[\w.-]+( AS \w+)?$/);
});

test('the image runs as uid 1337, who is set before the entry point and not changed after', () => {
  const users = lastStage.filter((line) => line.startsWith('USER '));
  expect(users).toStrictEqual(['USER 1337:1337']);
  expect(lastStage.indexOf('USER 1337:1337')).toBeLessThan(lastStage.findIndex((line) => line.startsWith('ENTRYPOINT ')));
});

test('the image holds bundles only: nothing is installed in it and no sources are copied', () => {
  const copies = lastStage.filter((line) => /^(COPY|ADD) /.test(line));
  expect(copies.every((line) => line.startsWith('COPY --from=build '))).toBe(true);
  expect(copies.join(' ')).not.toMatch(/node_modules|\/src\/(base|wire|authz|certs|proto|proxy|cli)\b/);
  expect(lastStage.filter((line) => line.startsWith('RUN ')).join(' ')).not.toMatch(/\b(npm|apt-get|curl|wget)\b/);
});

test('the entry point and the signals reach the process itself', () => {
  expect(lastStage.find((line) => line.startsWith('ENTRYPOINT '))).toMatch(/^ENTRYPOINT \[/);
  expect(lastStage).toContain('STOPSIGNAL SIGTERM');
});

test('the health check is a command that the binary has, without a shell', async () => {
  const [check = '', ...others] = lastStage.filter((line) => line.startsWith('HEALTHCHECK '));
  expect(others).toEqual([]);
  const command: unknown = JSON.parse(check.slice(check.indexOf('[')));
  const entryPoint: unknown = JSON.parse(lastStage.find((line) => line.startsWith('ENTRYPOINT '))?.slice(11) ?? '[]');
  expect(command).toEqual([...(entryPoint as string[]), 'proxy-status', '--ready']); // an ENTRYPOINT is a list of words
  const { code, stdout } = await runProcess(process.execPath, [join(ROOT, 'bin/postern.js'), 'proxy-status', '--help']);
  expect([code, stdout]).toEqual([0, expect.stringContaining('--ready')]);
});

test('the command that is run by default finds its file by the environment', () => {
  expect(lastStage.at(-1)).toBe('CMD ["proxy"]');
  expect(lastStage.join('\n')).toContain('POSTERN_CONFIG=/etc/postern/postern.yaml');
});

test('what the build needs is let into it', () => {
  const ignored = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
  const { imports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { imports: Record<string, string> }; // npm's own
  const folders = Object.keys(imports).map((name) => name.slice(1, -2));
  for (const folder of [...folders.filter((name) => name !== 'test'), 'bin', 'package.json', 'package-lock.json', 'LICENSE'])
    expect(ignored, folder).toContain(`!${folder}`);
});

test('no secret is named, and keys stay out of the build', () => {
  expect(instructions.join('\n')).not.toMatch(/password|secret|token|BEGIN [A-Z ]*PRIVATE/i);
  const ignored = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
  expect(ignored[0]).toBe('*');
  expect(ignored).toEqual(expect.arrayContaining(['**/*.key', '**/*.pem']));
  for (const line of ignored.filter((rule) => rule.startsWith('!')))
    expect(existsSync(join(ROOT, line.slice(1))), line).toBe(true);
});
