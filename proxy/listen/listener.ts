/** What every listener has in common: it binds, it counts, it stops. */
import { rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { PosternError } from '#base/error.ts';
import type { ListenAddress } from '#proto/config/proxy.ts';

export interface Listener {
  /** `inbound/127.0.0.1:15006`. */
  readonly name: string;
  /** Stops accepting. */
  close(): void;
}

/** Binds `server`; throws what the operator can mend. A Unix socket is made with mode 0600. */
export async function bind(server: Server, address: ListenAddress, what: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const failed = (error: NodeJS.ErrnoException): void =>
    reject(new PosternError('listen_failed', `Cannot listen on "${addressText(address)}" for ${what}: ${error.message}`));
  server.once('error', failed);
  if ('socket' in address) {
    rmSync(address.socket, { force: true });
    const umask = process.umask(0o177);
    server.listen({ path: address.socket, backlog: BACKLOG }, resolve);
    process.umask(umask);
  } else {
    server.listen({ host: address.host, port: address.port, backlog: BACKLOG }, resolve);
  }
  await promise;
  server.off('error', failed);
  // Accepting can fail for want of descriptors; what is open goes on.
  server.on('error', () => {});
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

/** A peer whose machine is gone ends its connections by this, whatever they wait for. */
export const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelay: 30_000 } as const;

const BACKLOG = 4_096;
