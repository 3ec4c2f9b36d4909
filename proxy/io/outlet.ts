/**
 * The one place that writes memory which is used again. All sockets of the process share one scratch buffer: what belongs to one
 * message is gathered there and goes out by one write, mostly one TLS record and one system call. When Node may still hold the
 * bytes after the write, they are copied or the buffer is given away; the two kinds of socket differ in how one can tell.
 * Hot path.
 */
import type { Socket } from 'node:net';
import { SHARED_READ_BUFFER } from './tap.ts';

/** Bytes that are free behind any offset that `reserve` returns. */
export const SCRATCH_BYTES = 128 * 1024;

/** The shared buffer. Read it anew after each `reserve` or `append`: it may have been given away. */
export let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

/** The writing side of one socket. */
export class Outlet {
  readonly socket: Socket;
  /** The socket has enough to do: whoever feeds it stops reading until `onDrain`. */
  isBlocked = false;
  readonly #isTls: boolean;
  /** Bytes that wait for `release`, copied; null once writing is allowed. */
  #held: Buffer[] | null = null;

  constructor(socket: Socket, isTls: boolean) {
    this.socket = socket;
    this.#isTls = isTls;
  }

  /** Keeps everything that is written back until `release`: the peer has not proved yet that it may have it. */
  hold(): void {
    this.#held = [];
  }

  release(): void {
    const held = this.#held;
    if (held === null) return;
    this.#held = null;
    this.isBlocked = false;
    for (const bytes of held) if (!this.socket.write(bytes)) this.isBlocked = true;
  }

  /** Makes room for `bytes` (at most `SCRATCH_BYTES`) and returns the offset in `scratch` to write at; then `commit` the end. */
  reserve(bytes: number): number {
    if (owner !== this) {
      if (owner !== null) owner.flush();
      owner = this;
      used = 0;
    } else if (used + bytes > SCRATCH_BYTES) {
      this.flush();
      owner = this;
      used = 0;
    }
    return used;
  }

  commit(end: number): void {
    used = end;
  }

  /** Appends a run of bytes: small ones are gathered, large ones go out by themselves behind what was gathered. */
  append(bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length === 0) return;
    // Behind something gathered a run of its own would have to queue, for which it is copied as well, and once more by `writev`
    // (bodies of 100 KiB over TLS: 0.97 against 1.36 times the CPU of nginx).
    if (length <= GATHER_BYTES || (owner === this && used > 0 && used + length <= SCRATCH_BYTES)) {
      const at = this.reserve(length);
      used = at + bytes.copy(scratch, at, start, end);
      return;
    }
    if (owner === this) this.flush();
    const run = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
    if (bytes !== SHARED_READ_BUFFER) this.#write(run, false);
    else if (this.#isTls) this.#write(run, true);
    // A plain socket may hold the bytes, and this buffer can't be given away.
    else this.#write(Buffer.from(run), false);
  }

  /** Sends what was gathered. Call at the end of each event that may have appended; does nothing when there is nothing. */
  flush(): void {
    if (owner !== this) return;
    owner = null;
    if (used === 0) return;
    const length = used;
    used = 0;
    this.#write(scratch.subarray(0, length), true);
  }

  #write(bytes: Buffer, isScratch: boolean): void {
    const { socket } = this;
    if (this.#held !== null) {
      this.#held.push(isScratch ? Buffer.from(bytes) : bytes);
      this.isBlocked = true;
      return;
    }
    if (socket.destroyed) return;
    if (!isScratch) {
      if (!socket.write(bytes)) this.isBlocked = true;
      return;
    }
    const isQueued = socket.writableLength !== 0 || socket.connecting;
    if (!socket.write(isQueued ? Buffer.from(bytes) : bytes)) this.isBlocked = true;
    // A TLS write is encrypted, or copied, before `write` returns, unless it has to queue (TLSWrap::DoWrite). A plain one that the
    // kernel did not take at once still points here: leave the buffer to it.
    if (!this.#isTls && !isQueued && socket.writableLength !== 0) scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  }
}

/** Sends whatever any outlet has gathered. */
export function flushOutlets(): void {
  if (owner !== null) owner.flush();
}

/** Larger runs are not worth a copy: a write of their own costs less than moving the bytes. */
const GATHER_BYTES = 16 * 1024;

let owner: Outlet | null = null;
let used = 0;
