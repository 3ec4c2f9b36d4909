/** Runs the commands of the README and the docs, as a reader would, and looks for the output that the page shows. */
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { runProcess } from '#test/support/processes.ts';
import { missingLine, readCommandBlocks } from '#tools/doc-commands.ts';
import { docPages } from '#tools/docs.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const place = mkdtempSync(join(tmpdir(), 'postern-docs-'));
const bin = makeBin();

afterAll(() => rmSync(place, { recursive: true, force: true }));

const pages = docPages(ROOT)
  .map((page) => ({ page, blocks: readCommandBlocks(readFileSync(join(ROOT, page), 'utf8')).filter(({ run }) => run !== null) }))
  .filter(({ blocks }) => blocks.length > 0);

test('the pages that are run are found', () => {
  expect(docPages(ROOT)).toContain('CONTRIBUTING.md');
});

describe.each(pages)('$page', ({ page, blocks }) => {
  let folder = mkdtempSync(join(place, 'page-'));

  test.each(blocks)(`${page}:$line runs and prints what it shows`, async ({ run, script, expected }) => {
    if (run?.folder) {
      folder = mkdtempSync(join(place, 'page-'));
      cpSync(join(ROOT, run.folder), folder, { recursive: true });
    }
    // Jobs that a block leaves in the background end with it.
    const text = `exec 2>&1; trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT; set -eo pipefail\n${script}\n`;
    const exit = await runProcess('bash', ['-c', text], {
      cwd: folder,
      env: { PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}`, NO_COLOR: '1' },
      timeoutMs: 55_000,
    });
    expect({ code: exit.code, missing: missingLine(expected, exit.stdout) }, exit.stdout).toStrictEqual({
      code: run?.exit ?? 0,
      missing: null,
    });
  });
});

/** `postern` and `npx postern` mean this checkout, wherever a block runs. */
function makeBin(): string {
  const folder = join(place, 'bin');
  mkdirSync(folder);
  const postern = `exec '${process.execPath}' '${join(ROOT, 'bin/postern.js')}' "$@"\n`;
  writeFileSync(join(folder, 'postern'), `#!/bin/sh\n${postern}`);
  writeFileSync(
    join(folder, 'npx'),
    `#!/bin/sh\n[ "$1" = postern ] || { echo "Cannot run \\"npx $1\\" here" >&2; exit 64; }\nshift\n${postern}`,
  );
  for (const name of ['postern', 'npx']) chmodSync(join(folder, name), 0o755);
  return folder;
}
