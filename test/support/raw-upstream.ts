/**
 * An upstream that records every byte that reaches it and answers as it is told, truthfully or not. Speaks plain TCP; what it is given
 * to answer with goes out as it is.
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

import { HttpReader, type Message } from './http-reader.ts';

export interface UpstreamBehaviour {
  /** Called for each complete request; the default answers 200 with a short body. */
  readonly onRequest?: (connection: UpstreamConnection, request: Message) => void;
  /** Called once for each connection, before any byte. */
  readonly onConnection?: (connection: UpstreamConnection) => void;
  /** Called after each read, when the head of a request is there and its body may not be. */
  readonly onBytes?: (connection: UpstreamConnection) => void;
}

export class UpstreamConnection {
  readonly socket: Socket;
  readonly reader = new HttpReader('request');
  bytes = 0;
  /** Requests that were handed to `onRequest`. */
  answered = 0;
  /** `fin` is an orderly end of the peer's direction, `reset` an error; `open` neither yet. */
  end: 'open' | 'fin' | 'reset' = 'open';
  isClosed = false;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  get requests(): readonly Message[] {
    return this.reader.messages;
  }

  write(text: string | Buffer): void {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
  }
}

export class RawUpstream implements AsyncDisposable {
  readonly connections: UpstreamConnection[] = [];
  /** Complete requests over all connections, in order of arrival. */
  readonly requests: Message[] = [];
  /** May be replaced at any time; connections ask for it anew. */
  behaviour: UpstreamBehaviour;
  readonly #server: Server;
  #port = 0;

  constructor(behaviour: UpstreamBehaviour) {
    this.behaviour = behaviour;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accepted(socket));
  }

  get port(): number {
    return this.#port;
  }

  get open(): readonly UpstreamConnection[] {
    return this.connections.filter((connection) => !connection.isClosed && connection.end === 'open');
  }

  get bytes(): number {
    return this.connections.reduce((sum, connection) => sum + connection.bytes, 0);
  }

  /** Forgets what was recorded; open connections stay. */
  forget(): void {
    const open = this.open;
    this.connections.length = 0;
    this.requests.length = 0;
    this.connections.push(...open);
    for (const connection of open) {
      connection.bytes = 0;
      connection.answered = 0;
      connection.reader.messages.length = 0;
      connection.reader.heads.length = 0;
    }
  }

  async listen(port = 0): Promise<void> {
    this.#server.listen(port, '127.0.0.1', 511);
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('Cannot listen: the upstream has no port');
    this.#port = address.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const { socket } of this.connections) socket.destroy();
    await once(this.#server, 'close').catch(() => {});
  }

  #accepted(socket: Socket): void {
    const connection = new UpstreamConnection(socket);
    this.connections.push(connection);
    socket.on('data', (chunk: Buffer) => {
      connection.bytes += chunk.length;
      connection.reader.push(chunk);
      this.behaviour.onBytes?.(connection);
      while (connection.answered < connection.reader.messages.length) {
        const request = connection.reader.messages[connection.answered++];
        if (request === undefined) continue;
        this.requests.push(request);
        (this.behaviour.onRequest ?? answerPlainly)(connection, request);
      }
    });
    socket.on('end', () => {
      if (connection.end === 'open') connection.end = 'fin';
      socket.end();
    });
    socket.on('error', () => {
      connection.end = 'reset';
    });
    socket.on('close', () => {
      connection.isClosed = true;
    });
    this.behaviour.onConnection?.(connection);
  }
}

/** Starts it on a free port of loopback. */
export async function startUpstream(behaviour: UpstreamBehaviour = {}): Promise<RawUpstream> {
  const upstream = new RawUpstream(behaviour);
  await upstream.listen();
  return upstream;
}

/** `200` with a length and this body. */
export function ok(body: string, fields = ''): string {
  return `HTTP/1.1 200 OK\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
}

function answerPlainly(connection: UpstreamConnection): void {
  connection.write(ok('plain'));
}
