/**
 * Keeps the last descriptors of the process for what has to work also then: status, admin, logs, and the upstream connections of what was
 * accepted already. The kernel gives the lowest free number, so that a high one means that nearly all below it are taken.
 */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';

/** Whether an accepted connection takes a descriptor of those that are kept. */
export function isAmongLastDescriptors(socket: Socket): boolean {
  // Node shows a socket's descriptor here and nowhere else.
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly fd?: number } | null };
  return (handle?.fd ?? 0) >= (softLimit ??= readSoftLimit()) - KEPT;
}

/** `RLIMIT_NOFILE`; Node raises the soft limit to the hard one when it starts. */
function readSoftLimit(): number {
  try {
    const soft = /^Max open files\s+(\d+)/mu.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return soft === undefined ? Infinity : Number(soft);
  } catch {
    return Infinity;
  }
}

const KEPT = 64;

let softLimit: number | null = null;
