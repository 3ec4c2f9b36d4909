/**
 * A TCP port on loopback that nobody listened on a moment ago. For programs that cannot be told port 0 only; another process may
 * take it in between, so a test that can bind 0 and ask for the port does that instead.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('Cannot find a free port: the listener has no port');
  return address.port;
}
