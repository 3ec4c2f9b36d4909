/** CPU time of another process of this machine. */
import { readFileSync } from 'node:fs';

/** User and system time of all its threads so far, milliseconds; not of its children. */
export function cpuMsOf(pid: number): number {
  // Behind the name in parentheses the 12th and 13th values are utime and stime, in ticks of 10 ms (proc_pid_stat(5)).
  const values = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /u, '')
    .split(' ');
  return (Number(values[11]) + Number(values[12])) * 10;
}
