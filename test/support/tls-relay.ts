/** Lends a caller's certificate to a program that has none: what it says in the clear goes on by mutual TLS, byte for byte. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

import { tlsSocket, type CallerIdentity } from './raw-client.ts';

export class TlsRelay implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: ReadonlySet<Socket>;

  constructor(server: Server, sockets: ReadonlySet<Socket>) {
    this.#server = server;
    this.#sockets = sockets;
    // A server that listens on TCP has such an address.
    this.port = (server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close').catch(() => {});
  }
}

/** Relays to `port` of loopback as `caller`, offering `alpn`. */
export async function startTlsRelay(port: number, caller: CallerIdentity, alpn: string[]): Promise<TlsRelay> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = tlsSocket(port, caller, { allowHalfOpen: true, alpn });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    near.pipe(far);
    far.pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return new TlsRelay(server, sockets);
}
