/**
 * The processes of a run: started on one core each with their output in a file, waited for, stopped by pid with all their
 * descendants. Nothing that was not started here is ever signalled.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { openSync, closeSync, readFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { PosternError } from '#base/error.ts';
import { processTree } from './process-cost.ts';

export interface Command {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Loopback port whose opening means ready, unless `readyUrls` are given. */
  readonly port: number;
  /** Answer 200 when ready, all of them. */
  readonly readyUrls: readonly string[];
  /** Takes standard output and error. */
  readonly output: string;
}

export interface Running {
  readonly pid: number;
  readonly startMs: number;
  hasEnded(): boolean;
  stop(): Promise<void>;
}

/** Starts a process and resolves when it is ready. */
export async function startProcess(wanted: Command, core: number | null): Promise<Running> {
  const begun = performance.now();
  const [program = '', ...args] = pinned(wanted.command, core);
  const output = openSync(wanted.output, 'a');
  const child = spawn(program, args, { env: { ...process.env, ...wanted.env }, stdio: ['ignore', output, output] });
  closeSync(output);
  const pid = child.pid ?? 0;
  let ended = pid === 0;
  child.on('error', () => (ended = true));
  child.on('exit', () => (ended = true));
  live.add(child);
  const stop = (): Promise<void> => stopTree(child, () => ended);

  while (!(await isReady(wanted))) {
    if (ended || performance.now() - begun > READY_WITHIN_MS) {
      await stop();
      const told = readFileSync(wanted.output, 'utf8').slice(0, 400).trim();
      throw new PosternError(
        'bench_not_ready',
        `Cannot start "${wanted.command.slice(0, 4).join(' ')}": ${ended ? 'it ended' : 'not ready in time'}`,
        told || null,
      );
    }
    await sleep(10);
  }
  return { pid, startMs: performance.now() - begun, hasEnded: () => ended, stop };
}

/** The command line that runs on one core, where `taskset` is there to say so. */
export function pinned(command: readonly string[], core: number | null): string[] {
  return core === null ? [...command] : ['taskset', '-c', String(core), ...command];
}

export async function stopEverything(): Promise<void> {
  await Promise.all([...live].map((child) => stopTree(child, () => child.exitCode !== null || child.signalCode !== null)));
}

/** Keeps a child that was started elsewhere among those that `stopEverything` ends. */
export function adopt(child: ChildProcess): void {
  live.add(child);
}

/** Loopback ports that nothing listens on; free until somebody else takes them. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => server.on('error', reject).listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  // A listening TCP server has an AddressInfo, never a path or null.
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** The path of a program, from the peers' folder or the path, or null. */
export function findProgram(name: string): string | null {
  const folder = process.env['POSTERN_PEERS_DIR'];
  const path = [
    ...(folder === undefined ? [] : [`${folder}/bin`]),
    process.env['PATH'] ?? '',
    '/usr/sbin',
    '/usr/local/sbin',
  ].join(':');
  try {
    return execFileSync('sh', ['-c', 'command -v "$1"', 'sh', name], {
      env: { ...process.env, PATH: path },
      encoding: 'utf8',
    }).trim();
  } catch {
    return null;
  }
}

async function isReady(wanted: Command): Promise<boolean> {
  if (wanted.readyUrls.length === 0) return await isOpen(wanted.port);
  try {
    const answers = await Promise.all(wanted.readyUrls.map((url) => fetch(url, { signal: AbortSignal.timeout(1000) })));
    return answers.every((answer) => answer.status === 200);
  } catch {
    return false;
  }
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

async function stopTree(child: ChildProcess, hasEnded: () => boolean): Promise<void> {
  live.delete(child);
  if (hasEnded() || child.pid === undefined) return;
  const tree = processTree(child.pid).reverse();
  child.kill('SIGTERM');
  for (let waited = 0; waited < STOP_WITHIN_MS && !hasEnded(); waited += 20) await sleep(20);
  if (hasEnded()) return;
  for (const pid of tree) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // it ended by itself
    }
  }
}

const live = new Set<ChildProcess>();
// 10,000 rules take Envoy about a second and a compiler on a shared core several.
const READY_WITHIN_MS = 90_000;
const STOP_WITHIN_MS = 2000;
