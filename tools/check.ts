/**
 * The one gate: what must hold of the tree before it is tested. Runs every part, two at a time, prints what is wrong and how long
 * each part took, and ends with 1 if any failed.
 *
 *     npm run check                 all parts
 *     npm run check -- types lint   these
 */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

interface Part {
  readonly name: string;
  readonly what: string;
  readonly command: readonly [string, ...string[]];
}

interface Result {
  readonly part: Part;
  readonly passed: boolean;
  readonly seconds: number;
  readonly output: string;
}

const ROOT = join(import.meta.dirname, '..');
const NODE = process.execPath;
const bin = (name: string): string => join(ROOT, 'node_modules/.bin', name);

/** The slowest first, so that two cores end together. */
const PARTS: readonly Part[] = [
  { name: 'types', what: 'TypeScript', command: [bin('tsc')] },
  { name: 'lint', what: 'oxlint with types', command: [bin('oxlint'), '--type-aware', '--deny-warnings'] },
  { name: 'unused', what: 'files, exports and packages that nothing uses', command: [bin('knip'), '--no-progress'] },
  { name: 'bundle', what: 'bundles build and hold allowed packages only', command: [NODE, 'tools/bundle.ts', '--check'] },
  { name: 'generated', what: 'generated files are up to date', command: [NODE, 'tools/generate.ts', '--check'] },
  { name: 'format', what: 'oxfmt', command: [bin('oxfmt'), '--check'] },
  { name: 'layers', what: 'the import table', command: [NODE, 'tools/layers.ts'] },
  { name: 'files', what: 'length and header of source files', command: [NODE, 'tools/source-files.ts'] },
  { name: 'docs', what: 'links lead somewhere, commands are run by a test', command: [NODE, 'tools/docs.ts'] },
  { name: 'changes', what: 'change fragments are well formed', command: [NODE, 'tools/changelog.ts', '--check'] },
];

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !PARTS.some((part) => part.name === name));
if (unknown.length > 0) {
  console.error(`Cannot check "${unknown.join(' ')}": the parts are ${PARTS.map(({ name }) => name).join(', ')}`);
  process.exit(64);
}

const queue = PARTS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
const failed: string[] = [];
const started = performance.now();
await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, work));

const total = ((performance.now() - started) / 1000).toFixed(1);
console.log(failed.length === 0 ? `check passed in ${total} s` : `check failed in ${total} s: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;

async function work(): Promise<void> {
  for (let part = queue.shift(); part !== undefined; part = queue.shift()) report(await run(part));
}

function run(part: Part): Promise<Result> {
  const [command, ...args] = part.command;
  const begun = performance.now();
  let output = '';
  const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], timeout: 240_000 });
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((settle) => {
    const end = (passed: boolean): void => settle({ part, passed, seconds: (performance.now() - begun) / 1000, output });
    child.once('error', (error) => {
      output += `Cannot start "${command}": ${error.message}; run npm ci\n`;
      end(false);
    });
    child.once('close', (code) => end(code === 0));
  });
}

function report({ part, passed, seconds, output }: Result): void {
  console.log(`${passed ? 'ok    ' : 'FAILED'} ${part.name.padEnd(10)} ${seconds.toFixed(1).padStart(5)} s  ${part.what}`);
  if (passed) return;
  failed.push(part.name);
  console.log(output.trimEnd().replaceAll(/^/gm, '    '));
}
