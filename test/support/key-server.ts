/** An HTTPS server of key sets on the loopback address, with an authority of its own. What it answers may be changed at any time. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type KeyAnswer = (response: ServerResponse, request: IncomingMessage) => void;

export class KeyServer implements AsyncDisposable {
  /** Paths that were asked for. */
  readonly asked: string[] = [];
  answer: KeyAnswer;
  readonly folder: string;
  readonly #server: Server;

  constructor(answer: KeyAnswer) {
    this.answer = answer;
    this.folder = mkdtempSync(join(tmpdir(), 'keys-'));
    const key = join(this.folder, 'key.pem');
    const subject = ['-subj', '/CN=keys', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
    const newKey = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    execFileSync('openssl', ['req', ...newKey, ...subject, '-keyout', key, '-out', this.authorities], { stdio: 'ignore' });
    this.#server = createServer({ key: readFileSync(key), cert: readFileSync(this.authorities) }, (request, response) => {
      this.asked.push(request.url ?? '');
      this.answer(response, request);
    });
  }

  /** File of the authority that its certificate is of. */
  get authorities(): string {
    return join(this.folder, 'ca.pem');
  }

  /** `https://127.0.0.1:PORT` and the path. */
  url(path = '/keys', host = '127.0.0.1'): string {
    // A server that listens on TCP has such an address.
    return `https://${host}:${(this.#server.address() as AddressInfo).port}${path}`;
  }

  async listen(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Answers with a text of a type. */
export function say(body: string, type = 'application/json', status = 200): KeyAnswer {
  return (response) => void response.writeHead(status, { 'content-type': type }).end(body);
}

export function startKeyServer(answer: KeyAnswer): Promise<KeyServer> {
  return new KeyServer(answer).listen();
}
