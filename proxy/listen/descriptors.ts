/**
 * The listening sockets of this process as the kernel sees them: descriptors that a parent or systemd gave it, and those that it can
 * give to a successor. Both ends of a handover hold one socket with one accept queue, so that no connection is lost between them.
 * State of the module, because descriptors belong to a process and to nothing within it.
 */
import { closeSync, readlinkSync } from 'node:fs';
import type { Server } from 'node:net';
import type { Log } from '#base/log.ts';
import type { ListenAddress } from '#proto/config/proxy.ts';
import { addressText } from '#proto/config/units.ts';
import { tableAddress, unixSockets, tcpListeners } from './socket-table.ts';

/** A listening socket under the text of its address, see `addressText`. */
export interface NamedDescriptor {
  readonly name: string;
  readonly fd: number;
}

/**
 * Takes over what the environment names: `POSTERN_SOCKETS` of our own handover, a JSON list of addresses in the order of the
 * descriptors from 3 on, or systemd's `LISTEN_FDS`. The variables are taken away, so that no child takes them for its own.
 */
export function adoptDescriptors(env: NodeJS.ProcessEnv): void {
  const names = env[SOCKETS_VARIABLE];
  const count = env['LISTEN_PID'] === String(process.pid) ? Number(env['LISTEN_FDS'] ?? 0) : 0;
  for (const variable of [SOCKETS_VARIABLE, 'LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[variable];
  if (names !== undefined) {
    // Written by `handoverEnvironment` of our parent.
    const list = JSON.parse(names) as readonly string[];
    for (const [index, name] of list.entries()) adopted.push({ name, fd: FIRST_DESCRIPTOR + index });
    return;
  }
  for (let fd = FIRST_DESCRIPTOR; fd < FIRST_DESCRIPTOR + count; fd++) adopted.push({ name: boundName(fd), fd });
}

/** The descriptor that was handed in for this address, or null. It is given once. */
export function takeDescriptor(address: ListenAddress): number | null {
  const at = indexFor(address);
  return at < 0 ? null : (adopted.splice(at, 1)[0]?.fd ?? null);
}

/** Whether a descriptor was handed in for this address and is not taken yet. */
export function isInherited(address: ListenAddress): boolean {
  return indexFor(address) >= 0;
}

/** Closes what was handed in and nobody listens on: connections would wait there for ever. */
export function closeUnclaimed(log: Log): void {
  const unclaimed = adopted.splice(0);
  if (unclaimed.length === 0) return;
  for (const { fd } of unclaimed) closeSync(fd);
  log.warn({ sockets: unclaimed.map(({ name }) => name) }, 'sockets that were handed in but are no listener are closed');
}

/** Remembers a server that listens, until it is closed. */
export function holdServer(name: string, server: Server): void {
  held.set(server, name);
  server.once('close', () => held.delete(server));
}

/** What a successor needs: every socket that this process listens on. */
export function heldDescriptors(): readonly NamedDescriptor[] {
  return [...held].flatMap(([server, name]) => {
    const fd = descriptorOf(server);
    return fd < 0 ? [] : [{ name, fd }];
  });
}

/** The variables that tell a child which descriptors it gets: those of `names`, in this order, from 3 on. */
export function handoverEnvironment(names: readonly string[]): Readonly<Record<string, string>> {
  return { [SOCKETS_VARIABLE]: JSON.stringify(names) };
}

/** The files of the Unix sockets that this process listens on. */
export function socketFiles(): readonly string[] {
  return [...held.values()].flatMap((name) => (name.startsWith(UNIX) ? [name.slice(UNIX.length)] : []));
}

function indexFor(address: ListenAddress): number {
  const name = addressText(address);
  const inTable = 'socket' in address ? null : tableAddress(address.host, address.port);
  return adopted.findIndex((each) => each.name === name || each.name === inTable);
}

function descriptorOf(server: Server): number {
  // Node shows the descriptor of a server's socket here and nowhere else.
  const { _handle: handle } = server as Server & { readonly _handle?: { readonly fd?: number } | null };
  return handle?.fd ?? -1;
}

/** To what a descriptor is bound: a path, or an address as the kernel's table shows it; '' when it is no listening socket. */
function boundName(fd: number): string {
  try {
    const inode = /^socket:\[(\d+)\]$/u.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1] ?? '';
    const path = unixSockets().get(inode);
    return path === undefined ? (tcpListeners().get(inode) ?? '') : `${UNIX}${path}`;
  } catch {
    return '';
  }
}

const SOCKETS_VARIABLE = 'POSTERN_SOCKETS';
const FIRST_DESCRIPTOR = 3;
const UNIX = 'unix:';

const adopted: NamedDescriptor[] = [];
const held = new Map<Server, string>();
