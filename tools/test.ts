/**
 * `npm test`: the unit, property, conformance and integration tests, without root and without a network. Says at the end what was
 * not run for want of a peer, and counts. Arguments are vitest's: `npm test -- certs/`, `npm test -- --project integration`.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { closingLine, readTestReport } from './test-report.ts';

const ROOT = join(import.meta.dirname, '..');
const OUT = join(ROOT, '.ci/out');
const REPORT = join(OUT, 'vitest.json');
const MISSING = join(OUT, 'missing');

mkdirSync(OUT, { recursive: true });
rmSync(REPORT, { force: true });
writeFileSync(MISSING, '');

const vitest = spawnSync(
  process.execPath,
  [
    join(ROOT, 'node_modules/vitest/vitest.mjs'),
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${REPORT}`,
    ...process.argv.slice(2),
  ],
  { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, POSTERN_TEST_MISSING: MISSING } },
);

const missing = new Set(readFileSync(MISSING, 'utf8').split('\n').filter(Boolean));
for (const note of [...missing].toSorted()) console.log(`skipped for want of ${note.replace('\t', ': ')}`);

const counts = readTestReport(REPORT);
console.log(closingLine(counts));
process.exitCode = vitest.status === 0 && counts.failed === 0 ? 0 : 1;
