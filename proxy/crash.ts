/**
 * What nobody foresaw: told in one line of JSON like every other event, then the process ends with a status of its own. A process that
 * went on would serve with a state that nobody knows; whoever started it starts another.
 */
import { writeSync } from 'node:fs';

/** Makes it the end of this process. */
export function endOnFault(component: string): void {
  process.on('uncaughtException', (error: unknown) => endBy(component, error));
}

/** Tells the fault and ends the process. */
export function endBy(component: string, error: unknown): never {
  try {
    writeSync(STDERR, `${JSON.stringify(crashLine(component, error))}\n`);
  } catch {
    // Nobody reads any more.
  }
  process.exit(EXIT_FAULT);
}

/** One line; the message is cut, and values that an error carries beside it are not shown: they may be anything. */
function crashLine(component: string, error: unknown): object {
  const isError = error instanceof Error;
  const { message, name } = isError ? error : { message: String(error), name: typeof error };
  const frames = isError ? (error.stack ?? '').split('\n').filter((line) => /^\s+at /u.test(line)) : [];
  return {
    level: FATAL,
    time: new Date().toISOString(),
    component,
    pid: process.pid,
    error: `${name}: ${message.slice(0, MESSAGE_MAX)}`,
    stack: frames.slice(0, FRAMES_MAX).map((line) => line.trim()),
    msg: 'ends because of a fault of its own',
  };
}

/** sysexits.h EX_SOFTWARE. */
const EXIT_FAULT = 70;
/** As pino numbers it. */
const FATAL = 60;
const STDERR = 2;
const MESSAGE_MAX = 300;
const FRAMES_MAX = 20;
