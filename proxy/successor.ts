/**
 * Upgrade of a process that runs by itself: it starts another, with the program as it lies on disk now, gives it its listening sockets,
 * and lets go of them once the other one serves. If that doesn't come to pass the other is ended and nothing has changed.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { PosternError } from '#base/error.ts';
import { handoverEnvironment, heldDescriptors } from './listen/descriptors.ts';

/** What a successor tells its predecessor. */
type SuccessorMessage = { readonly kind: 'serving' } | { readonly kind: 'waiting'; readonly reason: string };

/** Whether this process was started to take over from another. */
export function isSuccessor(): boolean {
  return process.env[SUCCESSOR_VARIABLE] !== undefined && process.send !== undefined;
}

/** Tells the predecessor that it may let go. */
export function tellServing(): void {
  const message: SuccessorMessage = { kind: 'serving' };
  delete process.env[SUCCESSOR_VARIABLE];
  // A predecessor that is gone needs to be told nothing.
  if (!process.connected) return;
  process.send?.(message, undefined, undefined, () => {
    if (process.connected) process.disconnect?.();
  });
}

/** Tells the predecessor why we can't take over, and that we end. */
export async function tellFailed(reason: string): Promise<void> {
  const message: SuccessorMessage = { kind: 'waiting', reason };
  if (!process.connected) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  process.send?.(message, undefined, undefined, () => resolve());
  await promise;
}

/**
 * Starts a successor and waits until it serves; resolves with its pid.
 *
 * @throws {PosternError} when it doesn't; it is gone by then
 */
export async function startSuccessor(): Promise<number> {
  const sockets = heldDescriptors();
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    stdio: ['ignore', 'inherit', 'inherit', ...sockets.map(({ fd }) => fd), 'ipc'],
    env: { ...process.env, ...handoverEnvironment(sockets.map(({ name }) => name)), [SUCCESSOR_VARIABLE]: '1' },
  });
  try {
    await serving(child);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  child.unref();
  return child.pid ?? 0;
}

async function serving(child: ChildProcess): Promise<void> {
  let reason = '';
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const failed = (why: string): void =>
    reject(new PosternError('upgrade_failed', `Cannot hand over: ${why}${reason === '' ? '' : `: ${reason}`}`));
  child.on('message', (message) => {
    const told = message as SuccessorMessage; // our own child, started from our own files, sends nothing else
    if (told.kind === 'serving') resolve();
    else reason = told.reason;
  });
  child.once('error', (error) => failed(error.message));
  child.once('exit', (code, signal) => failed(`the successor ended with ${signal ?? `code ${code}`}`));
  const timer = setTimeout(() => failed(`the successor does not serve after ${READY_MS} ms`), READY_MS);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
  }
}

const SUCCESSOR_VARIABLE = 'POSTERN_SUCCESSOR';
/** Longer than a successor waits itself for identity and policy, see `runAlone`. */
const READY_MS = 60_000;
