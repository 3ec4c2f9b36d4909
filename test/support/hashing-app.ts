/**
 * An app that tells the SHA-256 of each body that it received and answers with bytes that the caller can foretell, so that both
 * directions of an exchange can be proved. Real `node:http` or `node:http2`; chunk sizes, pauses and connection ends vary with the request.
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Session } from 'node:http2';
import type { Server } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { Random, seededBytes } from './random.ts';

export class HashingApp implements AsyncDisposable {
  /** Ids of the requests whose body came to its end. */
  readonly completed = new Set<string>();
  readonly #server: Server;
  /** Ends what is open. */
  readonly #endAll: () => void;
  readonly #isHttp2: boolean;

  constructor(protocol: 'http1' | 'http2', keepAliveMs: number) {
    this.#isHttp2 = protocol === 'http2';
    const answer = (request: Request, response: Response): void => {
      this.#answer(request, response).catch(() => response.destroy());
    };
    if (this.#isHttp2) {
      const sessions = new Set<ServerHttp2Session>();
      const server = createHttp2Server(answer);
      server.on('session', (session) => {
        sessions.add(session);
        session.on('error', () => {}).on('close', () => sessions.delete(session));
      });
      this.#server = server;
      this.#endAll = () => sessions.forEach((session) => session.destroy());
    } else {
      const server = createServer({ keepAliveTimeout: keepAliveMs, requestTimeout: 0 }, answer);
      this.#server = server;
      this.#endAll = () => server.closeAllConnections();
    }
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
    this.#endAll();
    await once(this.#server, 'close').catch(() => {});
  }

  async #answer(request: Request, response: Response): Promise<void> {
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
    if (!this.#isHttp2 && random.chance(0.04)) response.setHeader('connection', 'close');
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

/** What a request and a response of either protocol have in common. */
type Request = Readable & { readonly url?: string | undefined; readonly method?: string | undefined };
type Response = Writable & {
  setHeader(name: string, value: string | number): unknown;
  writeHead(status: number, fields: Record<string, string>): unknown;
};

export async function startHashingApp(keepAliveMs = 5_000, protocol: 'http1' | 'http2' = 'http1'): Promise<HashingApp> {
  const app = new HashingApp(protocol, keepAliveMs);
  await app.listen();
  return app;
}
