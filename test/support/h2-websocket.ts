/**
 * WebSockets over HTTP/2 (RFC 8441) by `node:http2` and the framing of `ws`: an app that accepts extended CONNECT and echoes, and
 * a client that asks for it.
 */
import { once } from 'node:events';
import {
  connect,
  createServer,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type Http2Server,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';

import WebSocket from 'ws';

import type { CallerIdentity } from './raw-client.ts';
import { WebsocketClient } from './websocket-peers.ts';

/** An app that speaks HTTP/2 in the clear and echoes on WebSockets. */
export class H2EchoingApp implements AsyncDisposable {
  readonly server: Http2Server;
  /** `:path` of each extended CONNECT. */
  readonly asked: string[] = [];
  /** Codes with which WebSockets ended. */
  readonly codes: number[] = [];
  readonly #sessions = new Set<{ destroy(): void }>();

  constructor(takesConnect: boolean) {
    this.server = createServer({ settings: { enableConnectProtocol: takesConnect } });
    this.server.on('session', (session) => {
      this.#sessions.add(session);
      session.on('close', () => this.#sessions.delete(session));
      session.on('error', () => {});
    });
    this.server.on('stream', (stream: ServerHttp2Stream, headers) => {
      stream.on('error', () => {});
      this.asked.push(
        `${headers[':method']} ${headers[':protocol'] ?? ''} ${headers[':path']} ${headers['sec-websocket-version'] ?? ''}`,
      );
      if (String(headers[':path']).startsWith('/refuse')) {
        stream.respond({ ':status': 403 });
        stream.end('no');
        return;
      }
      stream.respond({ ':status': 200 });
      const socket = overStream(stream, true);
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
      socket.on('close', (code) => this.codes.push(code));
      socket.on('error', () => {});
    });
  }

  get port(): number {
    // A server that listens on TCP has such an address.
    return (this.server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.close();
    for (const session of this.#sessions) session.destroy();
    await once(this.server, 'close').catch(() => {});
  }
}

export async function startH2EchoingApp(takesConnect = true): Promise<H2EchoingApp> {
  const app = new H2EchoingApp(takesConnect);
  app.server.listen(0, '127.0.0.1');
  await once(app.server, 'listening');
  return app;
}

/** A session of HTTP/2 by mutual TLS. */
export async function h2Session(port: number, { mesh, svid }: CallerIdentity): Promise<ClientHttp2Session> {
  const session = connect(`https://127.0.0.1:${port}`, {
    ca: mesh.bundlePem,
    ...(svid === null ? {} : { cert: svid.certificatePem, key: svid.keyPem }),
    checkServerIdentity: () => undefined,
  });
  session.on('error', () => {});
  await once(session, 'remoteSettings');
  return session;
}

/** Opens a WebSocket on a stream of `session`; rejects with the status when it is refused. */
export async function h2Websocket(
  session: ClientHttp2Session,
  path: string,
  fields: Readonly<Record<string, string>> = { 'sec-websocket-version': '13' },
): Promise<WebsocketClient> {
  const stream = session.request(
    { ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'https', ':path': path, ':authority': 'app.test', ...fields },
    { endStream: false },
  );
  stream.on('error', () => {});
  const [headers] = (await once(stream, 'response')) as [{ ':status'?: number }]; // what the event brings
  if (headers[':status'] !== 200) throw new Error(`refused with ${headers[':status']}`);
  return new WebsocketClient(overStream(stream, false));
}

/** A WebSocket of `ws` whose handshake was somebody else's. */
function overStream(stream: ServerHttp2Stream | ClientHttp2Stream, isServer: boolean): WebSocket {
  const socket = new WebSocket(NO_ADDRESS, undefined, {});
  // Not declared, but what `ws` itself calls once a handshake is done; a stream lacks two methods of a socket that it uses.
  const inner = socket as unknown as {
    _isServer: boolean;
    _closeTimeout: number;
    setSocket(stream: Socket, head: Buffer, options: object): void;
  };
  inner._isServer = isServer;
  inner._closeTimeout = 5_000;
  const asSocket = Object.assign(stream, { setNoDelay: () => stream, setTimeout: () => stream }) as unknown as Socket;
  inner.setSocket(asSocket, Buffer.alloc(0), { maxPayload: 0, skipUTF8Validation: false, allowSynchronousEvents: true });
  return socket;
}

/** With this `ws` makes a WebSocket without a handshake; its types know of addresses only. */
const NO_ADDRESS = null as unknown as string;
