/** Callers for `MixedLoad`: HTTP/1.1, HTTP/2, gRPC, WebSocket and raw TCP, by mutual TLS or in the clear; and the apps that they ask. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';

import { Metadata } from '@grpc/grpc-js';
import { WebSocketServer } from 'ws';

import { grpcClient } from './grpc-app.ts';
import { statusOf, valuesOf } from './http-reader.ts';
import type { Speaker, Speaking } from './mixed-load.ts';
import { plainClient, tlsClient, tlsSocket, type CallerIdentity, type RawClient } from './raw-client.ts';
import { websocket } from './websocket-peers.ts';

export type Rate = Partial<Pick<Speaker, 'perSecond' | 'connections' | 'perConnection'>>;

/** HTTP/1.1 on kept connections; without an identity in the clear. */
export function http1Speaker(port: number, caller: CallerIdentity | null, rate: Rate = {}): Speaker {
  return {
    ...USUAL,
    name: 'http1',
    ...rate,
    connect: async () => speakHttp1(await (caller === null ? plainClient(port) : tlsClient(port, caller))),
  };
}

/** HTTP/2 with several streams of one connection after each other. */
export function http2Speaker(port: number, caller: CallerIdentity, rate: Rate = {}): Speaker {
  return { ...USUAL, name: 'http2', ...rate, connect: () => speakHttp2(port, caller) };
}

/** Unary gRPC; its channel opens other connections by itself, and sends anew what was refused unseen, as gRPC does everywhere. */
export function grpcSpeaker(port: number, caller: CallerIdentity, account: string, rate: Rate = {}): Speaker {
  return {
    ...USUAL,
    name: 'grpc',
    ...rate,
    connect: () => {
      const options = { 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_retries': 1 };
      const client = grpcClient(port, { mesh: caller.mesh, account }, options);
      const ask = async (): Promise<void> => {
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        const payload = Buffer.from('hello');
        client.Unary({ payload }, new Metadata(), { deadline: Date.now() + PATIENCE_MS }, (error, answer) => {
          if (error !== null) reject(new Error(`${error.code} ${error.details}`));
          else if (answer?.payload.equals(payload) !== true) reject(new Error('another answer'));
          else resolve();
        });
        await promise;
      };
      return Promise.resolve({ isOver: false, ask, close: () => client.close() });
    },
  };
}

/** A WebSocket for each exchange: opened, a few messages there and back, closed by the caller. */
export function websocketSpeaker(port: number, caller: CallerIdentity | null, rate: Rate = {}): Speaker {
  const ask = async (): Promise<void> => {
    const client = await websocket(port, '/socket', caller);
    for (let i = 0; i < 3; i++) {
      if ((await client.echo(`message ${i}`)) !== `message ${i}`) throw new Error('another message');
    }
    client.socket.close(1000);
    const { code } = await client.over(PATIENCE_MS);
    if (code !== 1000) throw new Error(`closed with ${code}`);
  };
  return { ...USUAL, name: 'websocket', ...rate, connect: () => Promise.resolve({ isOver: false, ask, close: () => {} }) };
}

/** A TCP connection for each exchange: bytes in two parts there and back, then an orderly end. */
export function tcpSpeaker(port: number, caller: CallerIdentity, rate: Rate = {}): Speaker {
  const ask = async (): Promise<void> => {
    const socket = tlsSocket(port, caller, { alpn: ['istio'] });
    let got = '';
    let error = '';
    socket.on('error', (cause: NodeJS.ErrnoException) => (error = cause.code ?? cause.message));
    socket.on('data', (bytes: Buffer) => {
      got += bytes.toString('latin1');
      if (got === 'one') socket.end('two');
    });
    const timer = setTimeout(() => socket.destroy(new Error('no answer')), PATIENCE_MS);
    const closed = once(socket, 'close');
    socket.on('secureConnect', () => socket.write('one'));
    await closed;
    clearTimeout(timer);
    if (error !== '' || got !== 'onetwo') throw new Error(`got "${got}" ${error}`);
  };
  return { ...USUAL, name: 'tcp', ...rate, connect: () => Promise.resolve({ isOver: false, ask, close: () => {} }) };
}

/** An app that answers over HTTP/1.1 and echoes over WebSocket. */
export async function startHttpApp(delayMs = 0): Promise<{ readonly port: number } & AsyncDisposable> {
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    request.resume();
    request.on('end', () => setTimeout(() => response.end('hello'), delayMs));
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.on('error', () => {});
  });
  return listening(server, () => server.closeAllConnections());
}

/** An app that sends back what it gets. */
export async function startTcpApp(): Promise<{ readonly port: number } & AsyncDisposable> {
  const server = createTcpServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  return listening(server, () => {});
}

async function listening(
  server: ReturnType<typeof createTcpServer>,
  close: () => void,
): Promise<{ readonly port: number } & AsyncDisposable> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port, // a server that listens on TCP has such an address
    [Symbol.asyncDispose]: () => {
      server.close();
      close();
      return Promise.resolve();
    },
  };
}

function speakHttp1(client: RawClient): Speaking {
  let isTold = false;
  return {
    get isOver() {
      return isTold || client.isOver;
    },
    ask: async () => {
      const response = await client.ask('GET /x HTTP/1.1\r\nHost: app.test\r\n\r\n', PATIENCE_MS);
      isTold = valuesOf(response.fields, 'connection').includes('close');
      if (statusOf(response) !== 200 || response.body.toString() !== 'hello') throw new Error(response.head.slice(0, 200));
    },
    close: () => client.socket.destroy(),
  };
}

async function speakHttp2(port: number, caller: CallerIdentity): Promise<Speaking> {
  let session = await openHttp2(port, caller);
  let isTold = false;
  session.on('goaway', () => (isTold = true));
  return {
    get isOver() {
      return isTold || session.closed || session.destroyed;
    },
    ask: async () => {
      try {
        await askHttp2(session);
      } catch (error) {
        if (!(isTold && String(error).includes('REFUSED_STREAM'))) throw error;
        // Given to the session in the moment in which GOAWAY came: it was never sent, and goes out on another (RFC 9113, 8.7).
        session = await openHttp2(port, caller);
        await askHttp2(session);
      }
    },
    close: () => session.close(),
  };
}

async function openHttp2(port: number, caller: CallerIdentity): Promise<ClientHttp2Session> {
  const socket = tlsSocket(port, caller, { alpn: ['h2'] });
  await once(socket, 'secureConnect');
  const session = connectHttp2('https://app.test', { createConnection: () => socket });
  session.on('error', () => {});
  return session;
}

async function askHttp2(session: ClientHttp2Session): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stream = session.request({ ':path': '/x', ':method': 'GET' });
  let status = 0;
  let body = '';
  stream.setTimeout(PATIENCE_MS, () => stream.destroy(new Error('no answer')));
  stream.on('response', (head) => (status = head[':status'] ?? 0));
  stream.on('data', (bytes: Buffer) => (body += bytes.toString()));
  stream.on('error', reject);
  stream.on('close', () => {
    if (status === 200 && body === 'hello') resolve();
    else reject(new Error(`status ${status}, body "${body}", code ${stream.rstCode}`));
  });
  await promise;
}

const PATIENCE_MS = 15_000;
const USUAL = { perSecond: 100, connections: 4, perConnection: 50 };
