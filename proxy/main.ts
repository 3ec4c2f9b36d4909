/**
 * `postern proxy -c FILE`. Decides what this process is: a sidecar by itself, the supervisor of several data processes
 * (`spec.concurrency`), or one of those. It reads no YAML itself; a child, the preparer, gives it configuration and compiled policies.
 */
import { PosternError } from '#base/error.ts';
import { createLog } from '#base/log.ts';
import { PolicyFeed } from './config/policy-feed.ts';
import { LOG_LEVEL_VARIABLE, readSettings, workerLogLevel } from './config/settings.ts';
import { endBy, endOnFault } from './crash.ts';
import { adoptDescriptors } from './listen/descriptors.ts';
import { isWorker } from './supervisor/messages.ts';

/** Runs until a signal ends it. `argv` is what stands behind `postern proxy`. */
export async function main(argv: readonly string[]): Promise<void> {
  let isRunning = false;
  try {
    endOnFault('proxy');
    // Before there is anything to read again or to hand over they must not end us.
    for (const signal of ['SIGHUP', 'SIGUSR2']) process.on(signal, () => {});
    adoptDescriptors(process.env);
    await run(argv, () => (isRunning = true));
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
async function run(argv: readonly string[], running: () => void): Promise<void> {
  if (isWorker()) {
    running();
    const { runWorker } = await import('./supervisor/worker.ts');
    return runWorker(createLog('proxy', workerLogLevel(process.env)));
  }
  const { file, concurrency, logLevel } = readSettings(argv, process.env);
  process.env[LOG_LEVEL_VARIABLE] = logLevel;
  const log = createLog('proxy', logLevel);
  const feed = new PolicyFeed(file, concurrency, log);
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

const EXIT_USAGE = 64;
const EXIT_BAD_CONFIGURATION = 78;
