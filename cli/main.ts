/**
 * The `postern` command: from arguments to an exit status. Nothing is loaded before it is needed; `postern proxy -c FILE` loads
 * neither commander nor a YAML reader, because the process that it becomes is the data path.
 */
import { EXIT, ExitError } from './exit.ts';
import type { VerbStreams } from './verbs/verb.ts';

/**
 * Runs one command.
 *
 * @param argv  the arguments after the program's name
 * @returns the exit status; never rejects for what an operator can mend
 */
export async function main(argv: readonly string[]): Promise<number> {
  const io: VerbStreams = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr };
  // A reader that has seen enough (`| head`) is no error of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  return run(argv, io);
}

/** Like `main`, with the streams given. */
export async function run(argv: readonly string[], io: VerbStreams): Promise<number> {
  try {
    if (isPlainProxy(argv)) {
      const { main: runProxy } = await import('#proxy/main.ts');
      await runProxy(argv.slice(1));
      return Number(process.exitCode ?? EXIT.ok);
    }
    const { runProgram } = await import('./program.ts');
    return await runProgram(argv, io);
  } catch (error) {
    return report(error, io);
  }
}

function report(error: unknown, io: VerbStreams): number {
  const hint = hintOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const isOurs = error instanceof ExitError || hasCode(error);
  io.stderr.write(`error: ${message}\n${hint === null ? '' : `  fix: ${hint}\n`}`);
  if (error instanceof ExitError) return error.status;
  // What nobody foresaw is shown with its place; it is a bug of ours.
  if (!isOurs && error instanceof Error) io.stderr.write(`${error.stack ?? ''}\n`);
  return isOurs ? EXIT.other : EXIT.internal;
}

function hasCode(error: unknown): boolean {
  return error instanceof Error && error.name === 'PosternError';
}

function hintOf(error: unknown): string | null {
  return error instanceof Error && 'hint' in error && typeof error.hint === 'string' ? error.hint : null;
}

/** `proxy` with nothing beside its file; help, `--check` and mistakes are commander's. */
function isPlainProxy(argv: readonly string[]): boolean {
  if (argv[0] !== 'proxy') return false;
  if (argv.length === 2) return argv[1]?.startsWith('--config=') === true;
  return (
    argv.length === 1 || (argv.length === 3 && (argv[1] === '-c' || argv[1] === '--config') && argv[2]?.startsWith('-') === false)
  );
}
