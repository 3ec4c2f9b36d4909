/** Real WebSocket ends (`ws`) for tests: an app that echoes, and clients that come by mutual TLS or in the clear. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import WebSocket, { WebSocketServer, type ClientOptions, type RawData, type ServerOptions } from 'ws';

import type { CallerIdentity } from './raw-client.ts';

/** An app whose WebSockets send back what they get. */
export class EchoingApp implements AsyncDisposable {
  readonly server: WebSocketServer;

  constructor(options: ServerOptions) {
    this.server = new WebSocketServer({ port: 0, host: '127.0.0.1', ...options });
    this.server.on('connection', (socket) => {
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
      socket.on('error', () => {});
    });
  }

  get port(): number {
    // A server that listens on TCP has such an address.
    return (this.server.address() as AddressInfo).port;
  }

  get open(): number {
    return this.server.clients.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.server.clients) client.terminate();
    this.server.close();
    await once(this.server, 'close').catch(() => {});
  }
}

export async function startEchoingApp(options: ServerOptions = {}): Promise<EchoingApp> {
  const app = new EchoingApp(options);
  await once(app.server, 'listening');
  return app;
}

/** One open WebSocket and what came over it. */
export class WebsocketClient implements AsyncDisposable {
  readonly socket: WebSocket;
  readonly messages: { readonly data: Buffer; readonly isBinary: boolean }[] = [];
  /** Code and reason of the end, null while it is open. */
  closed: { readonly code: number; readonly reason: string } | null = null;
  #woken = Promise.withResolvers<void>();
  #taken = 0;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data, isBinary) => {
      this.messages.push({ data: bytesOf(data), isBinary });
      this.#wake();
    });
    socket.on('error', () => {});
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.#wake();
    });
  }

  /** The next message; throws when the WebSocket ends before it. */
  async next(timeoutMs = 10_000): Promise<{ readonly data: Buffer; readonly isBinary: boolean }> {
    await this.#until(() => this.messages.length > this.#taken || this.closed !== null, timeoutMs);
    const message = this.messages[this.#taken];
    if (message === undefined)
      throw new Error(`Cannot await a message: closed with ${this.closed?.code} "${this.closed?.reason}"`);
    this.#taken++;
    return message;
  }

  async echo(data: string | Buffer): Promise<string | Buffer> {
    this.socket.send(data);
    const { data: answer, isBinary } = await this.next();
    return isBinary ? answer : answer.toString();
  }

  async over(timeoutMs = 10_000): Promise<{ readonly code: number; readonly reason: string }> {
    await this.#until(() => this.closed !== null, timeoutMs);
    return this.closed ?? { code: 0, reason: '' };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.terminate();
    if (this.closed === null) await this.over();
  }

  async #until(condition: () => boolean, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!condition()) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw new Error(`Cannot wait any longer than ${timeoutMs} ms for a WebSocket`);
      const timer = setTimeout(() => this.#wake(), leftMs);
      await this.#woken.promise;
      clearTimeout(timer);
    }
  }

  #wake(): void {
    this.#woken.resolve();
    this.#woken = Promise.withResolvers<void>();
  }
}

/** Opens one at `path`; rejects with the status when the upgrade is refused. */
export async function websocket(
  port: number,
  path: string,
  caller: CallerIdentity | null,
  options: ClientOptions & { readonly protocols?: string[] } = {},
): Promise<WebsocketClient> {
  const { protocols = [], ...rest } = options;
  const tls =
    caller === null
      ? {}
      : {
          ca: caller.mesh.bundlePem,
          checkServerIdentity: () => undefined,
          ...(caller.svid === null ? {} : { cert: caller.svid.certificatePem, key: caller.svid.keyPem }),
        };
  const url = `${caller === null ? 'ws' : 'wss'}://127.0.0.1:${port}${path}`;
  const socket = new WebSocket(url, protocols, { ...tls, ...rest });
  const client = new WebsocketClient(socket);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('open', resolve);
  socket.once('unexpected-response', (_request, response) => reject(new Error(`refused with ${response.statusCode}`)));
  socket.once('error', reject);
  await promise;
  return client;
}

function bytesOf(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}
