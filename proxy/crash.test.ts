import { join } from 'node:path';

import { expect, test } from 'vitest';

import { runProcess } from '#test/support/processes.ts';

const MODULE = join(import.meta.dirname, 'crash.ts');

test.each([
  {
    why: 'a thrown error',
    script: `setTimeout(() => { throw Object.assign(new TypeError('no such thing'), { key: 'hidden' }); })`,
  },
  { why: 'a rejected promise', script: `Promise.reject(Object.assign(new TypeError('no such thing'), { key: 'hidden' }))` },
])('$why ends the process with 70 and one line that shows no value', async ({ script }) => {
  const program = `import { endOnFault } from ${JSON.stringify(MODULE)}; endOnFault('proxy'); ${script}; setInterval(() => {}, 1000);`;
  const { code, stderr } = await runProcess(process.execPath, ['--input-type=module', '-e', program]);
  expect(code).toBe(70);
  const lines = stderr.split('\n').filter((line) => line !== '');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    level: 60,
    component: 'proxy',
    error: 'TypeError: no such thing',
    stack: expect.arrayContaining([expect.stringMatching(/^at /u)]) as string[],
  });
  expect(stderr).not.toContain('hidden');
});

test('what is thrown and is no error ends it as well', async () => {
  const program = `import { endOnFault } from ${JSON.stringify(MODULE)}; endOnFault('proxy'); setTimeout(() => { throw 'nothing'; });`;
  const { code, stderr } = await runProcess(process.execPath, ['--input-type=module', '-e', program]);
  expect([code, JSON.parse(stderr)]).toEqual([70, expect.objectContaining({ error: 'string: nothing' })]);
});
