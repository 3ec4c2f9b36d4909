/** A server of HTTP/2 by node:http2, in the clear or as a peer's sidecar by mutual TLS, that a test tells how to answer. */
import { once } from 'node:events';
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

import type { IssuedSvid } from '#certs/authority/authority.ts';

export type Http2Answer = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: Http2Peer) => void;

export class Http2Peer implements AsyncDisposable {
  readonly sessions: ServerHttp2Session[] = [];
  /** Connections at TCP, handshakes that failed included. */
  readonly sockets: Socket[] = [];
  /** What each client offered, by handshake. */
  readonly offers: (readonly string[])[] = [];
  streams = 0;
  /** Most streams that were open at once. */
  mostStreams = 0;
  readonly server: Http2Server | Http2SecureServer;

  constructor(answer: Http2Answer, svid: IssuedSvid | null, settings: Settings, options: SecureServerOptions) {
    this.server =
      svid === null
        ? createServer({ settings })
        : createSecureServer({
            cert: svid.certificatePem,
            key: svid.keyPem,
            requestCert: true,
            rejectUnauthorized: false,
            allowHTTP1: true,
            settings,
            ALPNCallback: ({ protocols }) => {
              this.offers.push(protocols);
              return ['h2', 'http/1.1'].find((name) => protocols.includes(name));
            },
            ...options,
          });
    this.server.on('connection', (socket: Socket) => {
      this.sockets.push(socket);
      socket.on('error', () => {});
    });
    this.server.on('session', (session) => {
      this.sessions.push(session);
      session.on('error', () => {});
    });
    let open = 0;
    this.server.on('stream', (stream, headers) => {
      this.streams++;
      this.mostStreams = Math.max(this.mostStreams, ++open);
      stream.on('error', () => {});
      stream.on('close', () => open--);
      answer(stream as ServerHttp2Stream, headers, this); // what a server is given
    });
    this.server.on('tlsClientError', () => {});
  }

  get port(): number {
    // A server that listens on TCP has such an address.
    return (this.server.address() as AddressInfo).port;
  }

  get openSessions(): readonly ServerHttp2Session[] {
    return this.sessions.filter((session) => !session.closed && !session.destroyed);
  }

  /** URI names of the clients' certificates, by session. */
  get clients(): readonly string[] {
    // Only a TLS server is asked.
    return this.sessions.map(({ socket }) => (socket as TLSSocket).getPeerCertificate().subjectaltname ?? '');
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.server.close();
    for (const session of this.sessions) session.destroy();
    for (const socket of this.sockets) socket.destroy();
    return Promise.resolve();
  }
}

/** Starts a peer: `svid` null is plaintext. */
export async function startHttp2Peer(
  answer: Http2Answer,
  svid: IssuedSvid | null = null,
  settings: Settings = {},
  options: SecureServerOptions = {},
): Promise<Http2Peer> {
  const peer = new Http2Peer(answer, svid, settings, options);
  peer.server.listen(0, '127.0.0.1');
  await once(peer.server, 'listening');
  return peer;
}

/** Answers with the path. */
export function echoPath(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  stream.respond({ ':status': 200 });
  stream.end(String(headers[':path']));
}
