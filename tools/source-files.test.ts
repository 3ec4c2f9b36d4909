import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { findFileFaults } from './source-files.ts';

const HEADER = '/** A file. */\n';

test.each([
  [
    'tells of a file that is too long',
    'wire/a.ts',
    HEADER + 'x();\n'.repeat(400),
    ['wire/a.ts:1: 401 lines, at most 400 are wanted'],
  ],
  ['lets pass 400 lines', 'wire/a.ts', HEADER + 'x();\n'.repeat(399), []],
  ['lets pass a long table of cases', 'wire/h1/smuggling.cases.ts', HEADER + 'x();\n'.repeat(900), []],
  ['lets pass what is generated', 'proto/generated/a.ts', 'x();\n'.repeat(900), []],
  ['tells of a file without a header', 'base/a.ts', 'x();\n', ['base/a.ts:1: no header comment that says what the file is']],
  ['wants no header of a test', 'base/a.test.ts', 'x();\n', []],
  ['reads a header below #!', 'bin/a.js', `#!/usr/bin/env node\n${HEADER}`, []],
  [
    'tells of what is unfinished',
    'cli/a.ts',
    `${HEADER}\n// TO${'DO'} later\n`,
    [`cli/a.ts:3: unfinished by its own words: TO${'DO'}`],
  ],
])('findFileFaults() %s', (_what, path, text, faults) => {
  const root = mkdtempSync(join(tmpdir(), 'source-files-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
  expect(findFileFaults(root)).toStrictEqual(faults);
});
