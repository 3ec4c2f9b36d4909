/**
 * The admin interface: what is in force and why, as JSON over a Unix socket with mode 0600. It changes nothing, and no key ever
 * stands in an answer.
 */
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { PosternError } from '#base/error.ts';
import { isInherited } from '../listen/descriptors.ts';
import { listenOn } from '../listen/listener.ts';
import { createHttpServer } from './http-server.ts';

/** The answer to `GET url` as JSON data; null is 404. */
export type AnswerAdmin = (url: string) => Promise<unknown>;

/** Serves on the socket until closed. A socket left by a process that is gone is replaced, a live one is not. */
export async function serveAdmin(path: string, answer: AnswerAdmin): Promise<Server> {
  if (!isInherited({ socket: path }) && (await isAlive(path))) {
    throw new PosternError(
      'admin_socket_in_use',
      `Cannot listen on "${path}": another process answers there`,
      'choose another telemetry.admin',
    );
  }
  const server = createHttpServer({}, (request, response) => {
    const reply = (status: number, body: unknown): void => {
      response.writeHead(status, JSON_TYPE).end(`${JSON.stringify(body)}\n`);
    };
    if (request.method !== 'GET') return reply(404, NOT_FOUND);
    answer(request.url ?? '/').then(
      (body) => reply(body === null ? 404 : 200, body ?? NOT_FOUND),
      (error: unknown) => reply(500, { error: String(error) }),
    );
  });
  await listenOn(server, { socket: path }, 'telemetry.admin');
  return server;
}

function isAlive(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path, () => {
    socket.destroy();
    resolve(true);
  });
  socket.on('error', () => resolve(false));
  return promise;
}

const JSON_TYPE = { 'content-type': 'application/json' };
const NOT_FOUND = { error: 'not found' };
