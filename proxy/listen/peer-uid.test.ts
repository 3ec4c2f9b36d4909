import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

import { describe, expect, onTestFinished, test } from 'vitest';

import { peerUid } from './peer-uid.ts';

describe.skipIf(process.platform !== 'linux')('peerUid()', () => {
  test.each(['127.0.0.1', '::1'])('tells our own uid at %s', async (host) => {
    const { server, port } = await listening(host);
    const accepted = once(server, 'connection') as Promise<[Socket]>; // what the event brings
    const client = connect(port, host);
    const [socket] = await accepted;
    expect(uidOf(socket)).toBe(process.getuid?.());
    client.destroy();
  });

  test.skipIf(process.getuid?.() !== 0)('tells the uid of another', async () => {
    const { server, port } = await listening('127.0.0.1');
    const accepted = once(server, 'connection') as Promise<[Socket]>; // what the event brings
    const child = spawn(process.execPath, ['-e', `require('node:net').connect(${port}, '127.0.0.1')`], { uid: 65_534, cwd: '/' });
    const [socket] = await accepted;
    expect(uidOf(socket)).toBe(65_534);
    child.kill('SIGKILL');
    await once(child, 'close');
  });

  test('tells nothing of a socket that its process has closed: the kernel shows it as that of root', async () => {
    const { server, port } = await listening('127.0.0.1');
    const accepted = once(server, 'connection') as Promise<[Socket]>; // what the event brings
    const client = connect(port, '127.0.0.1', () => client.end('GET / HTTP/1.1\r\nHost: a\r\n\r\n', () => client.destroy()));
    await once(client, 'close');
    const [socket] = await accepted;
    expect(uidOf(socket)).toBeNull();
  });

  test('tells nothing of a connection that there is not', () => {
    expect(peerUid('127.0.0.1', 1, '127.0.0.1', 2)).toBeNull();
  });
});

function uidOf(socket: Socket): number | null {
  return peerUid(socket.remoteAddress ?? '', socket.remotePort ?? 0, socket.localAddress ?? '', socket.localPort ?? 0);
}

async function listening(host: string): Promise<{ server: Server; port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.listen(0, host);
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  // A server that listens on TCP has such an address.
  return { server, port: (server.address() as AddressInfo).port };
}
