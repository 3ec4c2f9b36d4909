/**
 * One of the two sockets of a raw TCP connection. What it brings goes to the other one at once, and reading stops while the other
 * one takes nothing: the only bytes that wait are those of one read and of the socket's own queue. Hot path.
 */
import type { Socket } from 'node:net';
import { flushOutlets, Outlet } from '../io/outlet.ts';
import { resetConnection } from '../io/reset.ts';
import { resumeReading, resumeShared, SHARED_READ_BUFFER, type Reader } from '../io/tap.ts';
import { writeAtTurnEnd, type TurnWriter } from '../io/turn.ts';

/** Whose end it is. */
export interface TcpOwner {
  /** Bytes came, in either direction. */
  moved(): void;
  /** The peer of this end has finished sending. */
  ended(end: TcpEnd): void;
  /** The socket is gone, orderly or not. */
  closed(end: TcpEnd): void;
}

export class TcpEnd implements Reader, TurnWriter {
  readonly socket: Socket;
  /** Bytes that it brought. */
  bytes = 0;
  isDirty = false;
  /** The peer has finished sending. */
  hasEnded = false;
  /** We have finished sending, and everything was taken. */
  isFinished = false;
  isClosed = false;
  /** Reading waits for the other end to take what it was given. */
  isPaused = false;
  /** Code of the socket's error, or ''. */
  error = '';
  /** Where its bytes go; null holds them back. */
  other: TcpEnd | null = null;
  readonly #owner: TcpOwner;
  readonly #outlet: Outlet;
  /** Made by `connectShared`, which is resumed in its own way. */
  readonly #isShared: boolean;
  /** What came while `other` was null. */
  #early: Buffer | null = null;

  constructor(owner: TcpOwner, socket: Socket, isTls: boolean, isShared: boolean) {
    this.#owner = owner;
    this.socket = socket;
    this.#isShared = isShared;
    this.#outlet = new Outlet(socket, isTls);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error.code ?? error.message;
    });
    socket.on('drain', () => this.#drained());
    socket.on('finish', () => {
      this.isFinished = true;
    });
    socket.on('close', () => this.#closed());
  }

  onBytes(bytes: Buffer, end: number): boolean {
    const { other } = this;
    if (this.isClosed) return true;
    if (other === null) return this.#hold(bytes, end);
    this.bytes += end;
    this.#owner.moved();
    other.#outlet.append(bytes, 0, end);
    // A full record of TLS is mostly not the last one: those of one turn go out by one system call.
    if (end === TLS_RECORD_BYTES) writeAtTurnEnd(other);
    else flushOutlets();
    if (!other.#outlet.isBlocked) return true;
    this.isPaused = true;
    return false;
  }

  turnEnds(): void {
    this.#outlet.flush();
  }

  onEnd(): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    if (this.other !== null) this.#passEnd(this.other);
  }

  /** Joins two ends: from here on the bytes of each go to the other. */
  join(other: TcpEnd): void {
    this.other = other;
    other.other = this;
    this.#release();
    other.#release();
    if (this.hasEnded) this.#passEnd(other);
    if (other.hasEnded) other.#passEnd(this);
  }

  /** Ends it once what was written is taken. */
  end(): void {
    this.#outlet.flush();
    this.socket.destroySoon();
  }

  reset(): void {
    this.#outlet.flush();
    resetConnection(this.socket);
  }

  /** Takes back what was held, for whoever is to have the connection instead. */
  takeEarly(): Buffer | null {
    const early = this.#early;
    this.#early = null;
    return early;
  }

  #hold(bytes: Buffer, end: number): boolean {
    const run = end === bytes.length ? bytes : bytes.subarray(0, end);
    const kept = bytes === SHARED_READ_BUFFER ? Buffer.from(run) : run;
    this.#early = this.#early === null ? kept : Buffer.concat([this.#early, kept]);
    this.isPaused = true;
    return false;
  }

  #release(): void {
    const early = this.takeEarly();
    if (early === null || this.onBytes(early, early.length)) this.#resume();
  }

  #passEnd(other: TcpEnd): void {
    other.#outlet.flush();
    other.socket.end();
    this.#owner.ended(this);
  }

  #drained(): void {
    this.#outlet.isBlocked = false;
    const { other } = this;
    if (other !== null) other.#resume();
  }

  #resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    if (this.#isShared) resumeShared(this.socket);
    else resumeReading(this.socket);
  }

  #closed(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#early = null;
    this.#owner.closed(this);
  }
}

/** Content of a TLS record at most (RFC 8446, section 5.1). */
const TLS_RECORD_BYTES = 16_384;
