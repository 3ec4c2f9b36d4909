/**
 * Plants faults in a copy of the engine and has the suite find each of them. A few are tried in every run, all of them with
 * `POSTERN_MUTANTS=all` (a minute or two).
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startProcess } from '#test/support/processes.ts';

import { ENGINE_MUTANTS } from './engine-mutants.cases.ts';
import { MUTANTS } from './mutants.cases.ts';
import type { Mutant } from './mutants.cases.ts';

const isWhole = process.env['POSTERN_MUTANTS'] === 'all';
/** Every tenth, from all parts of the engine. */
const all = [...MUTANTS, ...ENGINE_MUTANTS];
const chosen = isWhole ? all : all.filter((_, index) => index % 10 === 0);

describe(`${chosen.length} of ${all.length} planted faults`, () => {
  let copy = '';

  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), 'postern-mutants-'));
    for (const folder of ['authz', 'base', 'test/conformance/policy'])
      cpSync(join(ROOT, folder), join(copy, folder), { recursive: true });
    for (const file of ['package.json', 'proxy/http/authority.ts', 'test/support/token-claims.ts'])
      cpSync(join(ROOT, file), join(copy, file), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    writeFileSync(join(copy, 'run.ts'), RUNNER);
  });

  afterAll(() => rmSync(copy, { recursive: true }));

  test('without a fault the suite is content', { timeout: 600_000 }, async () => {
    expect(await runSuite(copy)).toMatchObject({ code: 0 });
  });

  test.each(chosen.map((mutant) => ({ name: `${mutant.file}: ${mutant.search.slice(0, 60)}`, mutant })))(
    '$name',
    { timeout: 600_000 },
    async ({ mutant }) => {
      const file = join(copy, mutant.file);
      const before = readFileSync(file, 'utf8');
      writeFileSync(file, planted(before, mutant));
      try {
        const { code } = await runSuite(copy);
        expect(code, 'the suite did not notice').not.toBe(0);
      } finally {
        writeFileSync(file, before);
      }
    },
  );
});

function planted(text: string, { file, search, replacement }: Mutant): string {
  const parts = text.split(search);
  if (parts.length !== 2) throw new Error(`Cannot plant a fault in "${file}": "${search}" stands ${parts.length - 1} times`);
  return parts.join(replacement);
}

/** 1 when the suite fails, and whatever Node ends with when the engine does not even load; killed where a fault makes it loop. */
async function runSuite(folder: string): Promise<{ code: number | null; stdout: string }> {
  // By CPU time: a busy machine is no fault.
  const limited = `ulimit -t ${MOST_CPU_SECONDS}; exec "$0" "$1"`;
  const child = startProcess('/bin/sh', ['-c', limited, process.execPath, join(folder, 'run.ts')], { cwd: folder });
  const { code, stdout } = await child.exited;
  return { code, stdout };
}

const MOST_CPU_SECONDS = 60;
const ROOT = resolve(import.meta.dirname, '../../..');
const RUNNER = `import { runSuite } from './test/conformance/policy/suite.ts';
const failures = runSuite(2400, 7);
console.log(failures.join('\\n').slice(0, 10000));
process.exitCode = failures.length > 0 ? 1 : 0;
`;
