/**
 * Checks the pages: every relative link leads to a file, and every block of commands says how a test runs it or why none does
 * (tools/doc-commands.ts; test/docs/commands.test.ts runs them).
 *
 *     node tools/docs.ts        prints each fault and ends with 1 if there is one
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { readCommandBlocks } from './doc-commands.ts';

/** The pages that are read by people, relative to the root. */
export function docPages(root: string): readonly string[] {
  return globSync(['*.md', 'docs/**/*.md', 'bench/**/*.md', 'changes/*.md'], {
    cwd: root,
    exclude: ['**/node_modules/**'],
  }).toSorted();
}

export function findDocFaults(root: string, page: string): readonly string[] {
  const text = readFileSync(join(root, page), 'utf8');
  const faults: string[] = [];
  for (const { line, run, notRun } of readCommandBlocks(text)) {
    if (run === null && notRun === null)
      faults.push(`${page}:${line}: commands without a comment "run" or "not run: why" above them`);
  }
  for (const [index, line] of withoutCode(text).entries()) {
    for (const [, target = ''] of line.matchAll(/\]\(([^)\s]+)\)/g)) {
      const [path = ''] = target.split('#');
      if (path === '' || /^[a-z]+:/.test(path) || existsSync(join(root, dirname(page), path))) continue;
      faults.push(`${page}:${index + 1}: the link to "${target}" leads nowhere`);
    }
  }
  return faults;
}

/** The lines, with those inside of fences and what is between backquotes taken out. */
function withoutCode(text: string): readonly string[] {
  let isInside = false;
  return text.split('\n').map((line) => {
    if (line.startsWith('```')) isInside = !isInside;
    return isInside ? '' : line.replaceAll(/`[^`]*`/g, '');
  });
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..');
  const faults = docPages(root).flatMap((page) => findDocFaults(root, page));
  for (const fault of faults) console.log(fault);
  process.exitCode = faults.length === 0 ? 0 : 1;
}
