/**
 * What processes cost, read from the proc file system: CPU time of every thread and descendant, time spent runnable without
 * running, memory, and how busy the core was with others. Numbers only; it starts and signals nothing.
 */
import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessCost {
  readonly userUs: number;
  readonly systemUs: number;
  /** Runnable without running, over the threads of the process itself. */
  readonly waitedUs: number;
}

export interface ProcessMemory {
  readonly rssKb: number;
  readonly anonymousKb: number;
}

/** The process and all its living descendants. */
export function processTree(pid: number): number[] {
  const tree = [pid];
  for (const thread of entries(`/proc/${pid}/task`)) {
    const children = text(`/proc/${pid}/task/${thread}/children`).trim();
    if (children !== '') tree.push(...children.split(' ').flatMap((child) => processTree(Number(child))));
  }
  return tree;
}

/**
 * CPU time of a process, its living descendants and those that ended and were waited for, so that a helper process which comes
 * and goes within a window is counted. The kernel scales these ticks to the exact run time; their step is 10 ms.
 */
export function processCost(pid: number): ProcessCost {
  let user = 0;
  let system = 0;
  let waitedNs = 0;
  for (const one of processTree(pid)) {
    const stat = text(`/proc/${one}/stat`);
    // Field 2 is the program's name in brackets and may hold blanks; utime, stime, cutime, cstime are fields 14 to 17.
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    user += (fields[11] ?? 0) + (fields[13] ?? 0);
    system += (fields[12] ?? 0) + (fields[14] ?? 0);
  }
  for (const thread of entries(`/proc/${pid}/task`)) {
    waitedNs += Number(text(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[1] ?? 0);
  }
  return { userUs: user * TICK_US, systemUs: system * TICK_US, waitedUs: waitedNs / 1000 };
}

/** CPU time of the process alone, in microseconds. */
export function ownCpuUs(pid: number): number {
  const stat = text(`/proc/${pid}/stat`);
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  return ((fields[11] ?? 0) + (fields[12] ?? 0)) * TICK_US;
}

export function processMemory(pid: number): ProcessMemory {
  let rssKb = 0;
  let anonymousKb = 0;
  for (const one of processTree(pid)) {
    const status = text(`/proc/${one}/status`);
    rssKb += Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
    anonymousKb += Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? 0);
  }
  return { rssKb, anonymousKb };
}

/** Microseconds since boot that a core was busy, whoever used it. */
export function coreBusyUs(core: number): number {
  const line = text('/proc/stat')
    .split('\n')
    .find((one) => one.startsWith(`cpu${core} `));
  const [user = 0, nice = 0, system = 0, , , interrupt = 0, softInterrupt = 0, stolen = 0] = (line ?? '')
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + interrupt + softInterrupt + stolen) * TICK_US;
}

/** Share of the last ten seconds in which somebody on this machine waited for a CPU, in per cent. */
export function cpuPressure(): number {
  return Number(/some avg10=([\d.]+)/.exec(text('/proc/pressure/cpu'))?.[1] ?? 0);
}

function text(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return ''; // the process or thread has ended meanwhile
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

// USER_HZ, the same on every Linux that Node runs on.
const TICK_US = 10_000;
