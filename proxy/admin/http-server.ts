/**
 * Node's HTTP server for the status and admin ports, which are not on the data path. Importing `node:http` by name makes Node
 * evaluate every export of it, its whole fetch and WebSocket client included: 20 MB of resident memory against 1 MB this way.
 */
import type { RequestListener, Server, ServerOptions } from 'node:http';

export function createHttpServer(options: ServerOptions, listener: RequestListener): Server {
  return process.getBuiltinModule('node:http').createServer(options, listener);
}
