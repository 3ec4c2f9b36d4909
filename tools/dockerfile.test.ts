/** No Docker engine is at hand where the tests run, so the file is read instead: what must hold of the image, not whether it builds. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

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
  expect(lastStage.some((line) => line.startsWith('HEALTHCHECK'))).toBe(false);
});

test('no secret is named, and keys stay out of the build', () => {
  expect(instructions.join('\n')).not.toMatch(/password|secret|token|BEGIN [A-Z ]*PRIVATE/i);
  const ignored = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
  expect(ignored[0]).toBe('*');
  expect(ignored).toEqual(expect.arrayContaining(['**/*.key', '**/*.pem']));
  for (const line of ignored.filter((rule) => rule.startsWith('!')))
    expect(existsSync(join(ROOT, line.slice(1))), line).toBe(true);
});
