/** A peer's sidecar as a test wants it: presents the given SVID, takes any client, records what it got behind the handshake. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';

import type { IssuedSvid } from '#certs/authority/authority.ts';

import { HttpReader } from './http-reader.ts';
import { ok } from './raw-upstream.ts';

export interface PeerConnection {
  readonly socket: TLSSocket;
  readonly reader: HttpReader;
  /** URI names of the client's certificate, as Node writes them. */
  readonly client: string;
  /** Of the client's certificate. */
  readonly clientSerial: string;
}

export class TlsPeer implements AsyncDisposable {
  readonly connections: PeerConnection[] = [];
  /** Bytes behind the handshake, over all connections. */
  bytes = 0;
  readonly #server: Server;
  readonly #raw = new Set<{ destroy(): void }>();

  constructor(svid: IssuedSvid, options: TlsOptions) {
    this.#server = createServer(
      {
        cert: svid.certificatePem,
        key: svid.keyPem,
        requestCert: true,
        rejectUnauthorized: false,
        ALPNProtocols: ['http/1.1'],
        ...options,
      },
      (socket) => this.#accepted(socket),
    );
    this.#server.on('connection', (socket) => {
      this.#raw.add(socket);
      socket.on('close', () => this.#raw.delete(socket));
    });
    this.#server.on('tlsClientError', () => {});
  }

  get port(): number {
    // A server that listens on TCP has such an address.
    return (this.#server.address() as AddressInfo).port;
  }

  get requests(): readonly string[] {
    return this.connections.flatMap(({ reader }) => reader.heads);
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#raw) socket.destroy();
    await once(this.#server, 'close').catch(() => {});
  }

  #accepted(socket: TLSSocket): void {
    const certificate = socket.getPeerCertificate();
    const connection: PeerConnection = {
      socket,
      reader: new HttpReader('request'),
      client: certificate.subjectaltname ?? '',
      clientSerial: certificate.serialNumber ?? '',
    };
    this.connections.push(connection);
    let answered = 0;
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      connection.reader.push(chunk);
      for (; answered < connection.reader.messages.length; answered++) socket.write(ok('peer'));
    });
  }
}

export async function startTlsPeer(svid: IssuedSvid, options: TlsOptions = {}): Promise<TlsPeer> {
  const peer = new TlsPeer(svid, options);
  await peer.listen();
  return peer;
}
