import { describe, expect, test } from 'vitest';

import { missingLine, readCommandBlocks } from './doc-commands.ts';

const PAGE = `# Page

<!-- run: in=examples/first exit=65 -->
\`\`\`console
$ npx postern policy validate \\
>   -f policies/
orders.yaml:3:5: …
...
\`\`\`

<!-- run -->
\`\`\`sh
postern version
\`\`\`

<!-- not run: needs a cluster -->

\`\`\`console
$ kubectl apply -f x.yaml
\`\`\`

\`\`\`yaml
a: 1
\`\`\`

\`\`\`sh
rm -rf /
\`\`\`
`;

test('readCommandBlocks() reads commands, what they print, and how they are run', () => {
  expect(readCommandBlocks(PAGE)).toStrictEqual([
    {
      line: 4,
      script: 'npx postern policy validate \\\n  -f policies/',
      expected: ['orders.yaml:3:5: …'],
      run: { folder: 'examples/first', exit: 65 },
      notRun: null,
    },
    { line: 12, script: 'postern version', expected: [], run: { folder: null, exit: 0 }, notRun: null },
    { line: 18, script: 'kubectl apply -f x.yaml', expected: [], run: null, notRun: 'needs a cluster' },
    { line: 26, script: 'rm -rf /', expected: [], run: null, notRun: null },
  ]);
});

describe('missingLine()', () => {
  test.each([
    ['sees lines in order', ['a', 'c'], 'a\nb\nc\n', null],
    ['tells of a line that is not there', ['a', 'x'], 'a\nb\n', 'x'],
    ['tells of a line that comes too early', ['b', 'a'], 'a\nb\n', 'a'],
    ['takes … for any text', ['12:… 403 (…)'], '12:04:01 403 (denied)', null],
    ['takes other characters as they are', ['a.c'], 'abc', 'a.c'],
  ])('%s', (_what, expected, output, missing) => {
    expect(missingLine(expected, output)).toBe(missing);
  });
});
