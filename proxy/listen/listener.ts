/** What every listener has in common: it binds, it counts, it stops. */
import { chmodSync, renameSync } from 'node:fs';
import type { Server } from 'node:net';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { PosternError } from '#base/error.ts';
import type { ListenAddress } from '#proto/config/proxy.ts';
import { holdServer, takeDescriptor } from './descriptors.ts';

export interface Listener {
  /** `inbound/127.0.0.1:15006`. */
  readonly name: string;
  /** Stops accepting. */
  close(): void;
}

/**
 * Binds the server of a listener, or goes on with the socket that this process was given for the address. Throws what the operator can
 * mend.
 */
export async function bind(server: Server, address: ListenAddress, what: string): Promise<void> {
  server.on('connection', countAccepted);
  await listenOn(server, address, what);
  const { promise, resolve } = Promise.withResolvers<void>();
  closing.add(promise);
  server.once('close', () => {
    closing.delete(promise);
    resolve();
  });
}

/** Resolves when the listeners are closed and the last of the connections that they accepted has ended. */
export async function listenersClosed(): Promise<void> {
  await Promise.all(closing);
}

/** The same for what is not the data path: status and admin. A Unix socket is made with mode 0600. */
export async function listenOn(server: Server, address: ListenAddress, what: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const failed = (error: NodeJS.ErrnoException): void =>
    reject(new PosternError('listen_failed', `Cannot listen on "${addressText(address)}" for ${what}: ${error.message}`));
  server.once('error', failed);
  const given = takeDescriptor(address);
  if (given !== null) server.listen({ fd: given }, BACKLOG, resolve);
  else if ('socket' in address) listenOnPath(server, address.socket, resolve, failed);
  else server.listen({ host: address.host, port: address.port, backlog: BACKLOG }, resolve);
  await promise;
  server.off('error', failed);
  // Accepting can fail for want of descriptors; what is open goes on.
  server.on('error', () => {});
  holdServer(addressText(address), server);
}

/**
 * Resolves in a turn of the event loop in which no listener had a connection to accept: a socket that is closed in this very turn takes
 * hardly anybody with it. A closed socket's queue is lost. Gives up after `timeoutMs` of connections without a pause.
 */
export async function acceptQueuesEmpty(timeoutMs: number): Promise<void> {
  const until = performance.now() + timeoutMs;
  // Each turn accepts one connection of each listener that has one. The turn in which we were called may be past that already.
  for (let quietTurns = 0; quietTurns < 2 && performance.now() < until; quietTurns++) {
    const before = accepted;
    await nextTurn();
    if (accepted !== before) quietTurns = -1;
  }
}

export function addressText(address: ListenAddress): string {
  if ('socket' in address) return `unix:${address.socket}`;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** An IPv4 address in IPv6 clothes, as a dual-stack listener shows it, is the IPv4 address. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return '';
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address;
}

/**
 * Made under another name and renamed: so it replaces what a predecessor left in one step, and is open to nobody else at any moment.
 * Node removes the file of a socket that it closes by the name under which it was made; the successor's is not that.
 */
function listenOnPath(server: Server, path: string, done: () => void, failed: (error: NodeJS.ErrnoException) => void): void {
  const made = join(dirname(path), `.p${process.pid.toString(36)}`);
  const umask = process.umask(0o177);
  server.listen({ path: made, backlog: BACKLOG }, () => {
    try {
      chmodSync(made, 0o600);
      renameSync(made, path);
      done();
    } catch (error) {
      failed(error as NodeJS.ErrnoException); // node:fs throws no other
    }
  });
  process.umask(umask);
}

function countAccepted(): void {
  accepted++;
}

/** A peer whose machine is gone ends its connections by this, whatever they wait for. */
export const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelay: 30_000 } as const;

const BACKLOG = 4_096;

/** Connections that the listeners of this process have accepted. */
let accepted = 0;
/** The ends of the listeners. */
const closing = new Set<Promise<void>>();
