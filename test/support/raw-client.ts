/** A caller that sends exactly the bytes it is told to, in the clear or by mutual TLS, and reports exactly what it got. */
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';

import type { IssuedSvid } from '#certs/authority/authority.ts';

import { HttpReader, statusOf, type Message } from './http-reader.ts';
import type { MeshIdentities } from './mesh-identities.ts';

export interface CallerIdentity {
  readonly mesh: MeshIdentities;
  readonly svid: IssuedSvid | null;
}

export class RawClient implements AsyncDisposable {
  readonly socket: Socket;
  readonly reader = new HttpReader('response');
  /** The peer's end was seen, orderly. */
  hasEnded = false;
  isClosed = false;
  /** Code of the socket's error, or ''. */
  error = '';
  bytesReceived = 0;
  #taken = 0;
  readonly #watchers = new Set<() => void>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.bytesReceived += chunk.length;
      this.reader.push(chunk);
      this.#wake();
    });
    socket.on('end', () => {
      this.hasEnded = true;
      this.reader.end();
      this.#wake();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error.code ?? error.message;
    });
    socket.on('close', () => {
      this.isClosed = true;
      this.#wake();
    });
  }

  /** The peer will send no more, or can't be reached any more. */
  get isOver(): boolean {
    return this.hasEnded || this.isClosed;
  }

  write(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** Sends a request and awaits its response. */
  async ask(bytes: string | Buffer, timeoutMs = 10_000): Promise<Message> {
    const text = typeof bytes === 'string' ? bytes : bytes.toString('latin1', 0, 10);
    this.reader.expect(text.slice(0, text.indexOf(' ')));
    this.write(bytes);
    return this.response(timeoutMs);
  }

  /** The next final response; throws when the connection ends before it is complete. */
  async response(timeoutMs = 10_000): Promise<Message> {
    for (;;) {
      await this.until(() => this.reader.messages.length > this.#taken || this.isOver, timeoutMs);
      const message = this.reader.messages[this.#taken];
      if (message === undefined) throw new Error(`Cannot await a response: ${this.describe()}`);
      this.#taken++;
      if (statusOf(message) >= 200) return message;
    }
  }

  /** Waits until the peer has ended the connection. */
  async over(timeoutMs = 10_000): Promise<void> {
    await this.until(() => this.isOver, timeoutMs);
  }

  async until(condition: () => boolean, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!condition()) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw new Error(`Cannot wait any longer than ${timeoutMs} ms: ${this.describe()}`);
      await this.#change(leftMs);
    }
  }

  describe(): string {
    const statuses = this.reader.messages.map(statusOf).join(',');
    return `responses [${statuses}] ended ${this.hasEnded} closed ${this.isClosed} error ${this.error} within ${this.reader.isWithin} fault ${this.reader.fault}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    if (!this.isClosed) await once(this.socket, 'close').catch(() => {});
  }

  #change(timeoutMs: number): Promise<void> {
    return new Promise((settle) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(done);
        settle();
      };
      const timer = setTimeout(done, timeoutMs);
      this.#watchers.add(done);
    });
  }

  #wake(): void {
    for (const watcher of this.#watchers) watcher();
  }
}

/** Connects in the clear. With `allowHalfOpen` the client keeps its own direction open when the peer ends. */
export async function plainClient(port: number, options: { allowHalfOpen?: boolean } = {}): Promise<RawClient> {
  const socket = connectTcp({ port, host: '127.0.0.1', noDelay: true, ...options });
  return opened(socket, 'connect');
}

export async function tlsClient(
  port: number,
  caller: CallerIdentity,
  options: { allowHalfOpen?: boolean; alpn?: string[] | null; servername?: string } = {},
): Promise<RawClient> {
  const client = await opened(tlsSocket(port, caller, options), 'secureConnect');
  return client;
}

/** The same without waiting for the handshake. */
export function tlsSocket(
  port: number,
  { mesh, svid }: CallerIdentity,
  options: { allowHalfOpen?: boolean; alpn?: string[] | null; servername?: string } = {},
): TLSSocket {
  const socket = connectTls({
    host: '127.0.0.1',
    port,
    ca: mesh.bundlePem,
    ...(svid === null ? {} : { cert: svid.certificatePem, key: svid.keyPem }),
    checkServerIdentity: () => undefined,
    ...(options.alpn === null ? {} : { ALPNProtocols: options.alpn ?? ['http/1.1'] }),
    ...(options.servername === undefined ? {} : { servername: options.servername }),
    // Declared for plain sockets only, and taken by both.
    ...({ allowHalfOpen: options.allowHalfOpen ?? false } as object),
  });
  socket.setNoDelay(true);
  return socket;
}

async function opened(socket: Socket, event: string): Promise<RawClient> {
  const client = new RawClient(socket);
  await once(socket, event);
  return client;
}
