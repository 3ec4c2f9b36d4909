/** The operational log of a process: JSON lines on standard error, few of them. Requests have a log of their own (proxy/report). */
import { pino, type Logger } from 'pino';

export type Log = Logger;

export function createLog(component: string, level = 'info'): Log {
  return pino(
    { level, base: { component, pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: false, minLength: 0 }),
  );
}
