import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { docPages, findDocFaults } from './docs.ts';

test.each([
  ['lets pass a link to a file, a page, a heading', '[a](docs/b.md#x) [b](https://x.test/y) [c](#here)', []],
  ['tells of a link that leads nowhere', 'x\n[a](docs/c.md)', ['README.md:2: the link to "docs/c.md" leads nowhere']],
  ['takes no code for a link', '`[a](c.md)`\n```ts\n[a](c.md)\n```', []],
  [
    'tells of commands that nobody runs',
    '```sh\nls\n```',
    ['README.md:1: commands without a comment "run" or "not run: why" above them'],
  ],
  ['lets pass commands that say how they are run', '<!-- run -->\n```sh\nls\n```', []],
])('findDocFaults() %s', (_what, text, faults) => {
  const root = mkdtempSync(join(tmpdir(), 'docs-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'docs'));
  writeFileSync(join(root, 'docs/b.md'), '# B\n');
  writeFileSync(join(root, 'README.md'), text);
  expect(docPages(root)).toStrictEqual(['README.md', 'docs/b.md']);
  expect(findDocFaults(root, 'README.md')).toStrictEqual(faults);
});
