/**
 * An app that keeps exchanges open: `/stream/…` sends an event every 20 ms for ever, `/wait/…` never answers, `/upload/…` answers when the
 * body is complete. Real `node:http`; WebSockets are answered by echo.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { WebSocketServer } from 'ws';

export class HeldApp implements AsyncDisposable {
  readonly server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });
  /** Paths of exchanges whose end was seen here before it was complete. */
  readonly broken: string[] = [];

  constructor() {
    this.server = createServer((request, response) => this.#answer(request, response));
    this.server.on('upgrade', (request, socket, head) => {
      this.#sockets.handleUpgrade(request, socket, head, (client) => {
        client.on('message', (data, isBinary) => client.send(data, { binary: isBinary }));
        client.on('error', () => {});
        client.on('close', (code) => this.broken.push(`${request.url} ${code}`));
      });
    });
  }

  get port(): number {
    // A server that listens on TCP has such an address.
    return (this.server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#sockets.clients) client.terminate();
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close').catch(() => {});
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? '';
    response.on('close', () => {
      if (!response.writableFinished) this.broken.push(path);
    });
    if (path.startsWith('/stream/')) {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      let number = 0;
      const timer = setInterval(() => response.write(`data: ${number++}\n\n`), 20);
      response.on('close', () => clearInterval(timer));
      return;
    }
    if (path.startsWith('/wait/')) return;
    request.on('error', () => {});
    request.resume();
    request.on('end', () => response.end('done'));
  }
}

export async function startHeldApp(): Promise<HeldApp> {
  const app = new HeldApp();
  app.server.listen(0, '127.0.0.1', 1_024);
  await once(app.server, 'listening');
  return app;
}
