/**
 * Plants faults in a copy of the readers, the selection and the interpreter, and has the data-driven suite find each of them. A few
 * are tried in every run, all of them with `POSTERN_MUTANTS=all`.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startProcess } from '#test/support/processes.ts';

import { caseFailures } from './case-failures.ts';
import { SOURCE_MUTANTS } from './source-mutants.cases.ts';

const isWhole = process.env['POSTERN_MUTANTS'] === 'all';
/** Every eighth, from all parts. */
const chosen = isWhole ? SOURCE_MUTANTS : SOURCE_MUTANTS.filter((_, index) => index % 8 === 0);

describe(`${chosen.length} of ${SOURCE_MUTANTS.length} planted faults`, () => {
  let copy = '';

  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), 'postern-mutants-'));
    for (const folder of ['authz', 'base', 'proxy', 'proto', 'wire', 'cli/verbs', 'test/conformance/policy']) {
      cpSync(join(ROOT, folder), join(copy, folder), { recursive: true });
    }
    for (const file of ['package.json', 'cli/json-lines.ts', 'cli/exit.ts']) cpSync(join(ROOT, file), join(copy, file));
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    writeFileSync(join(copy, 'run.ts'), RUNNER);
  });

  afterAll(() => rmSync(copy, { recursive: true }));

  test('without a fault the suite is content', { timeout: 120_000 }, async () => {
    expect(caseFailures()).toEqual([]);
    expect(await runSuite(copy)).toMatchObject({ code: 0 });
  });

  test.each(chosen.map((mutant) => ({ name: `${mutant.file}: ${mutant.search.slice(0, 60)}`, mutant })))(
    '$name',
    { timeout: 120_000 },
    async ({ mutant: { file, replacement, search } }) => {
      const path = join(copy, file);
      const before = readFileSync(path, 'utf8');
      const parts = before.split(search);
      expect(parts.length, `"${search}" stands once`).toBe(2);
      writeFileSync(path, parts.join(replacement));
      try {
        const { code } = await runSuite(copy);
        expect(code, 'the suite did not notice').not.toBe(0);
      } finally {
        writeFileSync(path, before);
      }
    },
  );
});

async function runSuite(folder: string): Promise<{ code: number | null; stdout: string }> {
  const child = startProcess(process.execPath, [join(folder, 'run.ts')], { cwd: folder });
  const timer = setTimeout(() => child.signal('SIGKILL'), 60_000);
  const { code, stdout } = await child.exited;
  clearTimeout(timer);
  return { code, stdout };
}

const ROOT = resolve(import.meta.dirname, '../../..');
const RUNNER = `import { caseFailures } from './test/conformance/policy/case-failures.ts';
const failures = caseFailures();
console.log(failures.join('\\n').slice(0, 10000));
process.exitCode = failures.length > 0 ? 1 : 0;
`;
