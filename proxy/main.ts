/**
 * `postern proxy -c FILE`. Decides what this process is: a sidecar by itself, the supervisor of several data processes
 * (`spec.concurrency`), or one of those. It reads no YAML itself; a child, the preparer, gives it configuration and compiled policies.
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { PosternError } from '#base/error.ts';
import { createLog, type Log } from '#base/log.ts';
import { PolicyFeed } from './config/policy-feed.ts';
import { endBy, endOnFault } from './crash.ts';
import { adoptDescriptors } from './listen/descriptors.ts';
import { isWorker } from './supervisor/messages.ts';

/** Runs until a signal ends it. `argv` is what stands behind `postern proxy`. */
export async function main(argv: readonly string[]): Promise<void> {
  const log = createLog('proxy');
  let isRunning = false;
  try {
    const file = isWorker() ? '' : resolve(configPath(argv));
    adoptDescriptors(process.env);
    endOnFault('proxy');
    // Before there is anything to read again or to hand over they must not end us.
    for (const signal of ['SIGHUP', 'SIGUSR2']) process.on(signal, () => {});
    await run(file, log, () => (isRunning = true));
  } catch (error) {
    if (!(error instanceof PosternError)) endBy('proxy', error);
    process.stderr.write(`${error.message}${error.hint === null ? '' : `\n  fix: ${error.hint}`}\n`);
    process.exitCode = error.code === 'usage' ? EXIT_USAGE : EXIT_BAD_CONFIGURATION;
    await tellPredecessor(error.message);
    // What listens already would keep the process.
    if (isRunning) process.exit();
  }
}

/** What a role needs is loaded when it is known: a supervisor has no use for the data path. */
async function run(file: string, log: Log, running: () => void): Promise<void> {
  if (isWorker()) {
    running();
    const { runWorker } = await import('./supervisor/worker.ts');
    return runWorker(log);
  }
  const feed = new PolicyFeed(file, log);
  const answer = await feed.prepare();
  running();
  if (answer.config.concurrency > 1) {
    const { Supervisor } = await import('./supervisor/supervisor.ts');
    return new Supervisor(feed, log).run(answer);
  }
  const { runAlone } = await import('./alone.ts');
  return runAlone(feed, answer, log);
}

async function tellPredecessor(reason: string): Promise<void> {
  const { isSuccessor, tellFailed } = await import('./successor.ts');
  if (isSuccessor()) await tellFailed(reason);
}

function configPath(argv: readonly string[]): string {
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] ?? '';
    const value =
      argument === '-c' || argument === '--config' ? argv[++i] : argument.startsWith('--config=') ? argument.slice(9) : null;
    if (typeof value === 'string' && value !== '') return value;
    throw new PosternError('usage', `Cannot start the proxy: unknown argument "${argument}"`, 'postern proxy -c FILE');
  }
  const found = [process.env['POSTERN_CONFIG'], './postern.yaml', '/etc/postern/postern.yaml'].find(
    (path) => path !== undefined && existsSync(path),
  );
  if (found !== undefined) return found;
  throw new PosternError('usage', 'Cannot start the proxy: no configuration file', 'postern proxy -c FILE');
}

const EXIT_USAGE = 64;
const EXIT_BAD_CONFIGURATION = 78;
