/**
 * Child processes of the demo. Each leads a process group of its own, so that a signal reaches what it started as well, and
 * Ctrl-C in the terminal reaches the demo alone, which then ends them in order.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { PosternError } from '#base/error.ts';

import { Guard } from './guard.ts';

export interface ProcessRequest {
  readonly name: string;
  /** Arguments to this very Node. */
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Gets both outputs. */
  readonly output: string;
  readonly hasIpc?: boolean;
}

export interface DemoProcess {
  readonly name: string;
  readonly pid: number;
  readonly child: ChildProcess;
  /** The end of what it printed. */
  tail(): string;
}

export class Processes {
  readonly #guard: Guard;
  readonly #started: DemoProcess[] = [];
  readonly #running = new Map<number, DemoProcess>();
  #isStopping = false;

  constructor(folder: string) {
    this.#guard = new Guard(folder);
    process.on('exit', this.killAll);
  }

  start({ name, args, cwd, env = {}, output, hasIpc = false }: ProcessRequest): DemoProcess {
    if (this.#isStopping) throw new PosternError('demo_spawn', `Cannot start "${name}": the demo is ending`);
    const file = openSync(output, 'a', 0o600);
    const child = spawn(process.execPath, args, {
      cwd,
      env: { ...process.env, ...env },
      detached: true,
      stdio: ['ignore', file, file, ...(hasIpc ? (['ipc'] as const) : [])],
    });
    closeSync(file);
    const { pid } = child;
    if (pid === undefined) throw new PosternError('demo_spawn', `Cannot start "${name}": found no process`);
    const started = { name, pid, child, tail: () => readFileSync(output, 'utf8').slice(-TAIL) };
    this.#guard.add(pid);
    this.#running.set(pid, started);
    this.#started.push(started);
    child.on('error', () => {});
    child.once('exit', () => {
      // What it started does not outlive it; later the number may be somebody else's.
      signalGroup(pid, 'SIGKILL');
      this.#running.delete(pid);
      this.#guard.drop(pid);
    });
    return started;
  }

  get running(): readonly DemoProcess[] {
    return [...this.#running.values()];
  }

  /** Those that have ended; while nobody asked them to, there should be none. */
  get ended(): readonly DemoProcess[] {
    return this.#started.filter(({ pid }) => !this.#running.has(pid));
  }

  /** Asks all to end, kills what does not, and waits. Returns the pids that are alive nevertheless; wanted is none. */
  async stop(): Promise<number[]> {
    this.#isStopping = true;
    for (const { child } of this.running) child.kill('SIGTERM');
    const until = performance.now() + GRACE_MS;
    while (this.#running.size > 0 && performance.now() < until) await sleep(20);
    this.killAll();
    const leftUntil = performance.now() + KILL_MS;
    while (this.#alive().length > 0 && performance.now() < leftUntil) await sleep(20);
    return this.#alive();
  }

  /** For the last moment, after the folder is gone. */
  async dismissGuard(): Promise<void> {
    process.off('exit', this.killAll);
    await this.#guard.dismiss();
  }

  readonly killAll = (): void => {
    for (const pid of this.#running.keys()) signalGroup(pid, 'SIGKILL');
  };

  #alive(): number[] {
    return this.#started.map(({ pid }) => pid).filter(isGroupAlive);
  }
}

/** Whether anything of the group still runs. What has ended and waits for a slow init to ask for its status does not. */
function isGroupAlive(group: number): boolean {
  if (!signalGroup(group, 0)) return false;
  if (process.platform !== 'linux') return true;
  const pids = readdirSync('/proc').filter((name) => /^\d+$/u.test(name));
  return pids.some((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      // State, parent and process group stand behind the program's name, which may hold blanks and brackets.
      const [state, , pgrp] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return Number(pgrp) === group && state !== 'Z' && state !== 'X';
    } catch {
      return false;
    }
  });
}

/** Whether there was a process of the group to signal. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch {
    return false;
  }
}

const GRACE_MS = 3_000;
const KILL_MS = 1_000;
const TAIL = 2_000;
