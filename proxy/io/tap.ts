/**
 * Reads a socket without the readable side of its stream. Node hands each read of the kernel to `socket.push`; the tap puts its
 * own function there, which saves the buffer list, the 'data' event and a tick: about 5 us of CPU time per request of 30.
 * Not a documented interface, so it is kept to this module, tried out at start (`selfTestTap`), and replaced by 'data' events
 * where the trial fails (36.5 against 30.1 us). Hot path.
 */
import { connect, createServer, type NetConnectOpts, type Socket } from 'node:net';

/** What a socket's bytes are given to. */
export interface Reader {
  /**
   * Takes the first `end` bytes of `bytes`, at least one. Unless `bytes` is `SHARED_READ_BUFFER` they are the reader's to keep.
   * Returns false to have reading stopped until it is resumed.
   */
  onBytes(bytes: Buffer, end: number): boolean;
  /** The peer has finished sending. */
  onEnd(): void;
}

/**
 * Starts reading `socket` into `reader`. Call once per socket, before anything was read from it, or after `readProvisionally`, in place
 * of whose reader it comes.
 */
export function startReading(socket: Socket, reader: Reader): void {
  const provisional = provisionals.get(socket);
  if (provisional !== undefined) provisional.current = reader;
  else begin(socket, reader);
}

/**
 * The same for a reader that finds out who is to read: `startReading` puts that one in its place, in the midst of a call of `onBytes`
 * too. What is returned is always the reader of the moment.
 */
export function readProvisionally(socket: Socket, reader: Reader): Reader {
  const provisional = new ProvisionalReader(reader);
  provisionals.set(socket, provisional);
  begin(socket, provisional);
  return provisional;
}

/**
 * From here on a socket that is being read brings its bytes in `SHARED_READ_BUFFER`, TLS sockets of a server too, for which Node has no
 * option: no buffer is made for a read (raw TCP from callers over TLS: 0.87 against 0.48 GB a second of CPU). Goes the way of Node's own
 * `onread`, by fields that are not documented; where they are not as expected nothing changes.
 */
export function shareReads(socket: Socket, reader: Reader): void {
  if (!isTapUsed) return;
  sharing ??= findSharing(socket);
  const { buffer, callback } = sharing;
  // Fields of Node's own; whether they are there is looked at.
  const fields = socket as unknown as Record<symbol, unknown> & {
    readonly _handle?: { useUserBuffer?(buffer: Buffer): void } | null;
  };
  if (buffer === null || callback === null || typeof fields._handle?.useUserBuffer !== 'function') return;
  fields._handle.useUserBuffer(SHARED_READ_BUFFER);
  fields[buffer] = SHARED_READ_BUFFER;
  fields[callback] = (length: number): boolean => reader.onBytes(SHARED_READ_BUFFER, length);
}

/** Reads on after `onBytes` returned false. */
export function resumeReading(socket: Socket): void {
  if (socket.destroyed) return;
  // `resume` would hang for ever under the tap: the stream still believes that a read is under way.
  if (isTapUsed) socket._read(0);
  else socket.resume();
}

/**
 * Connects a plain socket that reads into `SHARED_READ_BUFFER`: no buffer is made for a read (about 6 us of 37 per request).
 * Node has this for plain sockets that connect only; resume them with `resumeShared`.
 */
export function connectShared(options: NetConnectOpts, reader: Reader): Socket {
  const socket = connect({
    ...options,
    onread: {
      buffer: SHARED_READ_BUFFER,
      callback: (length: number): boolean => reader.onBytes(SHARED_READ_BUFFER, length),
    },
  });
  socket.on('end', () => reader.onEnd());
  return socket;
}

/** Reads on, from a socket made by `connectShared`. */
export function resumeShared(socket: Socket): void {
  if (!socket.destroyed) socket.resume();
}

/** Valid during the call that brings it: what outlives the call must be copied. */
export const SHARED_READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * Sends 256 KiB through a loopback connection with pauses and an end, and keeps the tap only if every byte and the end came.
 *
 * @returns whether the tap is in use from now on
 */
export async function selfTestTap(timeoutMs = 1_000): Promise<boolean> {
  isTapUsed = true;
  isTapUsed = await tapWorks(timeoutMs).catch(() => false);
  return isTapUsed;
}

/** The symbols under which a socket holds what its `onread` option gave it. */
interface Sharing {
  readonly buffer: symbol | null;
  readonly callback: symbol | null;
}

function findSharing(socket: Socket): Sharing {
  const named = (name: string): symbol | null =>
    Object.getOwnPropertySymbols(socket).find(({ description }) => description === name) ?? null;
  return { buffer: named('kBuffer'), callback: named('kBufferCb') };
}

function begin(socket: Socket, reader: Reader): void {
  if (isTapUsed) tapPush(socket, reader);
  else listen(socket, reader);
}

class ProvisionalReader implements Reader {
  current: Reader;

  constructor(first: Reader) {
    this.current = first;
  }

  onBytes(bytes: Buffer, end: number): boolean {
    return this.current.onBytes(bytes, end);
  }

  onEnd(): void {
    this.current.onEnd();
  }
}

function tapPush(socket: Socket, reader: Reader): void {
  const push = socket.push.bind(socket);
  socket.push = (chunk: Buffer | null): boolean => {
    if (chunk === null) return push(null);
    return reader.onBytes(chunk, chunk.length);
  };
  socket.on('end', () => reader.onEnd());
  socket.resume();
}

function listen(socket: Socket, reader: Reader): void {
  socket.on('data', (chunk: Buffer) => {
    if (!reader.onBytes(chunk, chunk.length)) socket.pause();
  });
  socket.on('end', () => reader.onEnd());
}

async function tapWorks(timeoutMs: number): Promise<boolean> {
  const payload = Buffer.alloc(256 * 1024, 7);
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), timeoutMs);
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let received = 0;
    let pauses = 0;
    socket.on('error', reject);
    const reader: Reader = {
      onBytes(_bytes, end) {
        received += end;
        // In the midst of it, as a connection whose protocol has just become known.
        if (pauses === 1) shareReads(socket, reader);
        if (pauses++ > 2) return true;
        setImmediate(() => resumeReading(socket));
        return false;
      },
      onEnd() {
        socket.end();
        resolve(received === payload.length && pauses > 0);
      },
    };
    startReading(socket, reader);
  });
  server.on('error', reject);
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    if (address === null || typeof address === 'string') return reject(new Error('no port'));
    const client = connect(address.port, '127.0.0.1', () => client.end(payload));
    client.on('error', reject);
    client.resume();
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    server.close();
  }
}

let isTapUsed = false;
let sharing: Sharing | null = null;

/** By socket, weakly; none of a socket whose reader was known from the beginning. */
const provisionals = new WeakMap<Socket, ProvisionalReader>();
