/**
 * The listening sockets of a sidecar with several workers. The supervisor binds them and never accepts: each worker listens on its own
 * one of each TCP address (`SO_REUSEPORT`, the kernel spreads connections), and when it dies the socket and what waits in its queue go
 * to the worker that replaces it. A Unix socket, and a socket that this process was given itself, is shared by all.
 */
import { chmodSync, closeSync, renameSync, rmSync } from 'node:fs';
import { lookup } from 'node:dns/promises';
import * as net from 'node:net';
import { dirname, join } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import { PosternError } from '#base/error.ts';
import type { ListenAddress, ProxyConfig } from '#proto/config/proxy.ts';
import { addressText } from '#proto/config/units.ts';
import { takeDescriptor, type NamedDescriptor } from '../listen/descriptors.ts';

export class Sockets {
  /** By address; `perWorker` has one for each, by number. */
  readonly #shared = new Map<string, Socket>();
  readonly #perWorker = new Map<string, { readonly address: net.AddressInfo; readonly sockets: Map<number, Socket> }>();

  /** Binds what `config` names and is not bound yet. Throws what the operator can mend. */
  async bind(config: ProxyConfig): Promise<void> {
    for (const address of listenAddresses(config)) {
      const name = addressText(address);
      if (this.#shared.has(name) || this.#perWorker.has(name)) continue;
      const given = takeDescriptor(address);
      if (given !== null) this.#shared.set(name, { fd: given, close: () => closeSync(given) });
      else if ('socket' in address) this.#shared.set(name, bindPath(address.socket));
      else {
        const { address: ip, family } = await lookup(address.host);
        const first = bindPort({ address: ip, family: `IPv${family}`, port: address.port }, name);
        this.#perWorker.set(name, { address: first.address, sockets: new Map([[0, first]]) });
      }
    }
  }

  /** What the worker of this number gets. */
  ofWorker(worker: number): readonly NamedDescriptor[] {
    const own = [...this.#perWorker].map(([name, { address, sockets }]) => {
      const socket = sockets.get(worker) ?? bindPort(address, name);
      sockets.set(worker, socket);
      return { name, fd: socket.fd };
    });
    return [...own, ...[...this.#shared].map(([name, { fd }]) => ({ name, fd }))];
  }

  /** Lets go of a worker's own sockets: nobody is to be kept waiting in their queues. */
  releaseWorker(worker: number): void {
    for (const { sockets } of this.#perWorker.values()) {
      sockets.get(worker)?.close();
      sockets.delete(worker);
    }
  }

  /** Lets go of what `config` does not name any more. */
  releaseAllBut(config: ProxyConfig): void {
    const named = new Set(listenAddresses(config).map(addressText));
    for (const [name, { close }] of this.#shared) {
      if (named.has(name)) continue;
      close();
      this.#shared.delete(name);
      removeFile(name);
    }
    for (const [name, { sockets }] of this.#perWorker) {
      if (named.has(name)) continue;
      for (const { close } of sockets.values()) close();
      this.#perWorker.delete(name);
    }
  }

  /** Lets go of all; the workers' own descriptors stay open. */
  release(): void {
    for (const { close } of this.#shared.values()) close();
    for (const { sockets } of this.#perWorker.values()) for (const { close } of sockets.values()) close();
    this.#perWorker.clear();
  }

  /** Removes the files of Unix sockets, once nobody accepts from them. */
  removeFiles(): void {
    for (const name of this.#shared.keys()) removeFile(name);
  }
}

interface Socket {
  readonly fd: number;
  readonly close: () => void;
}

/** A bound socket as Node holds it. */
interface Handle {
  readonly fd: number;
  close(): void;
  getsockname(into: Partial<net.AddressInfo>): number;
}

function listenAddresses({ inbound, outbound, hbone }: ProxyConfig): ListenAddress[] {
  return [...inbound, ...outbound, ...(hbone === null ? [] : [hbone])].map(({ listen }) => listen);
}

/** Bound, not listening: that is the worker's. */
function bindPort(wanted: net.AddressInfo, name: string): Socket & { readonly address: net.AddressInfo } {
  const family = wanted.family === 'IPv6' ? 6 : 4;
  const handle = opened(createHandle(wanted.address, wanted.port, family, undefined, REUSE_PORT), name);
  const address: Partial<net.AddressInfo> = {};
  // An address in use is told only by listening; the socket then has no port.
  if (handle.getsockname(address) !== 0 || address.port === undefined || address.port === 0) {
    handle.close();
    throw listenFailed(name, 'address already in use');
  }
  return { fd: handle.fd, close: () => handle.close(), address: { ...wanted, port: address.port } };
}

/** With mode 0600, made under another name and renamed, so that it replaces what a predecessor left in one step. */
function bindPath(path: string): Socket {
  const made = join(dirname(path), `.p${process.pid.toString(36)}`);
  const umask = process.umask(0o177);
  const handle = opened(createHandle(made, -1, -1), `unix:${path}`);
  process.umask(umask);
  chmodSync(made, 0o600);
  renameSync(made, path);
  return { fd: handle.fd, close: () => handle.close() };
}

function opened(handle: Handle | number, name: string): Handle {
  if (typeof handle !== 'number') return handle;
  throw listenFailed(name, getSystemErrorMap().get(handle)?.[1] ?? `error ${handle}`);
}

function listenFailed(name: string, why: string): PosternError {
  return new PosternError('listen_failed', `Cannot listen on "${name}": ${why}`);
}

function removeFile(name: string): void {
  if (name.startsWith(UNIX)) rmSync(name.slice(UNIX.length), { force: true });
}

/** The way in which Node's own cluster binds for its workers; nothing that is documented binds without accepting. */
const { _createServerHandle: createHandle } = net as unknown as {
  // Node 26 has it with this signature; `workers.test.ts` fails where it does not.
  readonly _createServerHandle: (ip: string, port: number, type: number, fd?: number, flags?: number) => Handle | number;
};

const REUSE_PORT = 2;
const UNIX = 'unix:';
