/**
 * A connection that is being opened, of which only the handshake tells what is spoken on it; then what speaks that takes over. That the
 * handshake is finished says who the peer is, not yet that it takes us for who we are.
 */
import type { Socket } from 'node:net';
import { Deadline } from '#base/timer-wheel.ts';
import type { Failure } from '../failure.ts';
import { flushOutlets } from '../io/outlet.ts';
import type { Reader } from '../io/tap.ts';
import type { Opening } from './dialer.ts';
import type { Endpoint } from './endpoint.ts';

export interface HandshakeOwner {
  /** The peer is the expected one. Returns what speaks on from here, null when nobody needs the connection any more. */
  handshakeDone(handshake: Handshake, socket: Socket, alpn: string | null): Opening | null;
  handshakeFailed(handshake: Handshake, failure: Failure, detail: string): void;
}

export class Handshake extends Deadline implements Opening {
  readonly endpoint: Endpoint;
  /** Generation of the own identity that it is made with. */
  readonly generation: number;
  readonly #owner: HandshakeOwner;
  readonly #socket: Socket;
  #isOver = false;
  #successor: Opening | null = null;

  constructor(owner: HandshakeOwner, endpoint: Endpoint) {
    super();
    this.#owner = owner;
    this.endpoint = endpoint;
    this.generation = endpoint.dialer.generation;
    this.#socket = endpoint.dialer.open(this);
    this.#socket.on('error', (error: NodeJS.ErrnoException) =>
      this.#fail('upstream_connect_failed', error.code ?? error.message),
    );
    this.#socket.on('close', () => this.#fail('upstream_connect_failed', ''));
  }

  get reader(): Reader {
    return this.#successor ?? this;
  }

  opened(alpn: string | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#successor = this.#owner.handshakeDone(this, this.#socket, alpn);
    if (this.#successor === null) this.#socket.destroy();
    flushOutlets();
  }

  refused(failure: Failure, detail: string): void {
    if (this.#successor !== null) this.#successor.refused(failure, detail);
    else this.#fail(failure, detail);
  }

  onDeadline(): void {
    this.#fail('upstream_connect_timeout', '');
  }

  /** Nobody asks for what comes before somebody speaks. */
  onBytes(): boolean {
    this.#socket.destroy();
    return true;
  }

  onEnd(): void {
    this.#socket.destroy();
  }

  #fail(failure: Failure, detail: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#socket.destroy();
    this.#owner.handshakeFailed(this, failure, detail);
    flushOutlets();
  }
}
