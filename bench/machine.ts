/** Where and on what a run was made; without it no figure means anything. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { pinned } from './processes.ts';
import { execFileSync } from 'node:child_process';

export interface Cores {
  /** Null where processes cannot be pinned. */
  readonly proxy: number | null;
  readonly load: number | null;
}

export function machineLine(): string {
  return `${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, scheduler group nice ${groupNice()}`;
}

/** One core for the proxy under test, one for load and app. */
export function chooseCores(): Cores {
  if (availableParallelism() < 2) return { proxy: null, load: null };
  try {
    const [program = '', ...args] = pinned(['true'], 0);
    execFileSync(program, args, { stdio: 'ignore' });
    return { proxy: 0, load: 1 };
  } catch {
    return { proxy: null, load: null };
  }
}

function groupNice(): string {
  try {
    return /nice (-?\d+)/.exec(readFileSync('/proc/self/autogroup', 'utf8'))?.[1] ?? '0';
  } catch {
    return '0';
  }
}
