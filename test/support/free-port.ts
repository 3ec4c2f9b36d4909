/**
 * A TCP port on loopback that nobody listened on a moment ago. For programs that cannot be told port 0 only: a test that can bind 0
 * and ask for the port does that instead. Taken from below the range that systems give to outgoing connections and to port 0
 * (`ip_local_port_range` from 32768, RFC 6335 from 49152), so that none of those comes in between.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';

export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (await isFree(port)) return port;
  }
  throw new Error(`Cannot find a free port: ${TRIES_MAX} of ${FIRST} to ${FIRST + COUNT} are taken`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

const FIRST = 16_384;
const COUNT = 16_384;
const TRIES_MAX = 100;
