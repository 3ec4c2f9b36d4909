/** A service of raw TCP for tests, told per connection what to do, and a client that keeps what it got. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** The end of a connection as one side saw it. */
export type SeenEnd = 'open' | 'fin' | 'reset';

export class TcpConnection implements AsyncDisposable {
  readonly socket: Socket;
  bytes = 0;
  end: SeenEnd = 'open';
  isClosed = false;
  readonly #kept: Buffer[] = [];
  readonly #keeps: number;
  readonly #watchers = new Set<() => void>();

  /** @param keeps  bytes to keep; more are only counted */
  constructor(socket: Socket, keeps = 1024 * 1024) {
    this.socket = socket;
    this.#keeps = keeps;
    socket.on('data', (chunk: Buffer) => {
      if (this.bytes < this.#keeps) this.#kept.push(chunk);
      this.bytes += chunk.length;
      this.#wake();
    });
    socket.on('end', () => {
      if (this.end === 'open') this.end = 'fin';
      this.#wake();
    });
    socket.on('error', () => {
      this.end = 'reset';
    });
    socket.on('close', () => {
      this.isClosed = true;
      this.#wake();
    });
  }

  get text(): string {
    return Buffer.concat(this.#kept).toString('latin1');
  }

  get isOver(): boolean {
    return this.end !== 'open' || this.isClosed;
  }

  write(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  async until(condition: (connection: this) => boolean, timeoutMs = 10_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!condition(this)) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0)
        throw new Error(
          `Cannot wait any longer than ${timeoutMs} ms: ${this.bytes} bytes, end ${this.end}, "${this.text.slice(0, 200)}"`,
        );
      await this.#change(leftMs);
    }
  }

  async over(timeoutMs = 10_000): Promise<void> {
    await this.until(() => this.isOver, timeoutMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await this.until(() => this.isClosed, 5_000);
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

export class TcpApp implements AsyncDisposable {
  readonly connections: TcpConnection[] = [];
  readonly #server: Server;

  constructor(behaviour: (connection: TcpConnection) => void) {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const connection = new TcpConnection(socket);
      this.connections.push(connection);
      behaviour(connection);
    });
  }

  get port(): number {
    // A server that listens on TCP has such an address.
    return (this.#server.address() as AddressInfo).port;
  }

  /** What reached it, over all connections. */
  get bytes(): number {
    return this.connections.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const { socket } of this.connections) socket.destroy();
    await once(this.#server, 'close').catch(() => {});
  }
}

export async function startTcpApp(behaviour: (connection: TcpConnection) => void): Promise<TcpApp> {
  const app = new TcpApp(behaviour);
  await app.listen();
  return app;
}

/** Sends back what comes, and its end. */
export function echo({ socket }: TcpConnection): void {
  socket.on('data', (chunk: Buffer) => {
    if (!socket.write(chunk)) socket.pause();
  });
  socket.on('drain', () => socket.resume());
  socket.on('end', () => socket.end());
}

/** Connects in the clear; its own direction stays open when the peer's ends. */
export async function tcpClient(port: number, localAddress?: string): Promise<TcpConnection> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    allowHalfOpen: true,
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  const connection = new TcpConnection(socket);
  await once(socket, 'connect');
  return connection;
}
