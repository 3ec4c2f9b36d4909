/**
 * An app that tells the SHA-256 of each body that it received and answers with bytes that the caller can foretell, so that both
 * directions of an exchange can be proved. Real `node:http`; chunk sizes, pauses and connection ends vary with the request.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { Random, seededBytes } from './random.ts';

export class HashingApp implements AsyncDisposable {
  /** Ids of the requests whose body came to its end. */
  readonly completed = new Set<string>();
  readonly #server: Server;

  constructor(keepAliveMs: number) {
    this.#server = createServer({ keepAliveTimeout: keepAliveMs, requestTimeout: 0 }, (request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('Cannot tell the port: the app does not listen');
    return address.port;
  }

  async listen(port = 0): Promise<void> {
    this.#server.listen(port, '127.0.0.1', 511);
    await once(this.#server, 'listening');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close').catch(() => {});
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, kind = '', id = '', size = '0'] = (request.url ?? '').split('/');
    const random = new Random(Number(id));
    if (kind === 'echo') {
      response.writeHead(200, { 'x-id': id });
      for await (const chunk of request as AsyncIterable<Buffer>) if (!response.write(chunk)) await once(response, 'drain');
      this.completed.add(id);
      response.end();
      return;
    }
    const hash = createHash('sha256');
    for await (const chunk of request as AsyncIterable<Buffer>) {
      hash.update(chunk);
      if (random.chance(0.03)) await sleep(random.below(8));
    }
    this.completed.add(id);
    const body = seededBytes(Number(id), Number(size));
    response.setHeader('x-id', id);
    response.setHeader('x-received', hash.digest('hex'));
    if (random.chance(0.04)) response.setHeader('connection', 'close');
    if (random.chance(0.5)) {
      response.setHeader('content-length', body.length);
      response.end(request.method === 'HEAD' ? undefined : body);
      return;
    }
    for (let at = 0; at < body.length && !response.destroyed;) {
      const end = at + 1 + random.below(random.chance(0.2) ? 100 : 40_000);
      if (!response.write(body.subarray(at, end))) await once(response, 'drain');
      if (random.chance(0.02)) await sleep(random.below(8));
      at = end;
    }
    response.end();
  }
}

export async function startHashingApp(keepAliveMs = 5_000): Promise<HashingApp> {
  const app = new HashingApp(keepAliveMs);
  await app.listen();
  return app;
}
