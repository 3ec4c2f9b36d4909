/** CPU time of a process from Linux's proc file system; other systems have no such files. */
import { readFileSync, readdirSync } from 'node:fs';

/** Microseconds on a CPU over the threads that live now, or null where that cannot be read. */
export function cpuMicroseconds(pid: number): number | null {
  try {
    let nanoseconds = 0;
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      // First field of schedstat: time spent on the CPU, in nanoseconds (proc(5)).
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ', 1)[0]);
    }
    return Number.isFinite(nanoseconds) ? nanoseconds / 1_000 : null;
  } catch {
    return null;
  }
}
