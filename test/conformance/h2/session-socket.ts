/**
 * A session on a real socket, as little as it takes: what comes is read, what is gathered is written once per event, and the
 * socket's back-pressure reaches the session. For tests against real peers.
 */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

import { DEFAULT_H2_LIMITS, type H2Limits } from '#wire/h2/limits.ts';
import { recycleOutput } from '#wire/h2/output.ts';
import type { ClientEvents, ServerEvents } from '#wire/h2/session-events.ts';
import { H2Session } from '#wire/h2/session.ts';

export class SessionSocket<Owner> {
  readonly session: H2Session<Owner>;
  readonly socket: Socket;
  #isHeld = false;

  constructor(socket: Socket, session: H2Session<Owner>) {
    this.socket = socket;
    this.session = session;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => {
      session.receive(bytes, 0, bytes.length);
      this.flush();
    });
    socket.on('drain', () => {
      this.#isHeld = false;
      session.release();
      this.flush();
    });
    socket.on('error', () => session.close(2));
    socket.on('close', () => session.close(2));
    socket.on('end', () => socket.end());
    const timer = setInterval(() => {
      session.tick(performance.now());
      this.flush();
    }, 250);
    socket.on('close', () => clearInterval(timer));
    this.flush();
  }

  /** Writes what is gathered; call after anything that was sent from outside an event of the session. */
  flush(): void {
    while (!this.#isHeld || this.session.isDead) {
      const output = this.session.takeOutput();
      if (output === null) break;
      if (this.socket.destroyed || this.socket.write(output, () => recycleOutput(output)) || this.#isHeld) continue;
      this.#isHeld = true;
      this.session.hold();
    }
    if (this.session.isDead || this.session.isDrained) this.socket.end();
  }
}

/** Listens on loopback; each connection gets a session with what `handler` makes for it. */
export async function serveSessions<Owner>(
  handler: (socket: () => SessionSocket<Owner>) => ServerEvents<Owner>,
  limits: H2Limits = DEFAULT_H2_LIMITS,
  onSession: (session: SessionSocket<Owner>) => void = () => undefined,
): Promise<{ readonly port: number; readonly server: Server; readonly close: () => Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    let made: SessionSocket<Owner> | null = null;
    const events = handler(() => {
      if (made === null) throw new Error('Cannot use the session before it is made');
      return made;
    });
    made = new SessionSocket(socket, new H2Session<Owner>({ server: events, client: null }, limits, performance.now()));
    onSession(made);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  // A server on a TCP port has an address of this type.
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((closed) => server.close(() => closed()));
  };
  return { port, server, close };
}

/** Connects a client's session to a port of loopback. */
export async function connectSession<Owner>(
  port: number,
  events: ClientEvents<Owner>,
  limits: H2Limits = DEFAULT_H2_LIMITS,
): Promise<SessionSocket<Owner>> {
  const socket = connect(port, '127.0.0.1');
  await new Promise<void>((connected, failed) => {
    socket.once('connect', connected);
    socket.once('error', failed);
  });
  return new SessionSocket(socket, new H2Session<Owner>({ server: null, client: events }, limits, performance.now()));
}
