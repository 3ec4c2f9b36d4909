/**
 * What every source file keeps to and no linter knows: at most 400 lines (generated files and tables of cases exempt), a header
 * that says what it is, nothing left unfinished.
 *
 *     node tools/source-files.ts        prints each fault and ends with 1 if there is one
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Every fault below the given root, as `path:line: what`. */
export function findFileFaults(root: string): readonly string[] {
  const paths = globSync(PATTERNS, { cwd: root, exclude: (path) => EXCLUDED.test(path) });
  return paths.toSorted().flatMap((path) => faultsOf(path, readFileSync(join(root, path), 'utf8')));
}

function faultsOf(path: string, text: string): readonly string[] {
  const lines = text.trimEnd().split('\n');
  const found: string[] = [];
  if (lines.length > MOST_LINES && !CASES.test(path))
    found.push(`${path}:1: ${lines.length} lines, at most ${MOST_LINES} are wanted`);
  if (!path.endsWith('.test.ts') && !HEADER.test(text)) found.push(`${path}:1: no header comment that says what the file is`);
  for (const [index, line] of lines.entries()) {
    const word = UNFINISHED.exec(line);
    if (word !== null) found.push(`${path}:${index + 1}: unfinished by its own words: ${word[0]}`);
  }
  return found;
}

const MOST_LINES = 400;
const PATTERNS = ['{base,wire,authz,certs,proto,proxy,control,cli,test,bench,tools}/**/*.ts', '{bin,cli}/**/*.js', '*.ts'];
const EXCLUDED = /(^|[/\\])(node_modules|generated)$/;
const CASES = /\.cases\.ts$|[/\\]cases[/\\]/;
const HEADER = /^(#!.*\n)?\/\*\*/;
const UNFINISHED = /\b(TO-?DO|FIX-?ME|XX[X])\b/;

if (import.meta.main) {
  const faults = findFileFaults(join(import.meta.dirname, '..'));
  for (const fault of faults) console.log(fault);
  process.exitCode = faults.length === 0 ? 0 : 1;
}
