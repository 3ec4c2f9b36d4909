/**
 * A stream of a tunnel as a socket, so that everything that speaks on sockets (proxy/http, proxy/tcp, proxy/detect) speaks inside of
 * tunnels as well. It has no descriptor: what is written goes to the other end of the stream, what comes from there is read.
 * Hot path.
 */
import { Socket } from 'node:net';

/** The stream, as the socket sees it. */
export interface TunnelStream {
  /** Sends bytes, which are the caller's again afterwards; returns whether more are taken before `TunnelSocket.takesMore`. */
  send(bytes: Buffer): boolean;
  /** Ends our direction. */
  end(): void;
  /** Breaks both directions off. */
  reset(): void;
  /** What `TunnelSocket.feed` refused to be followed may follow. */
  resume(): void;
}

export interface TunnelAddresses {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

export class TunnelSocket extends Socket {
  #stream: TunnelStream | null;
  /** A write that the stream has taken, but wants no other after it. */
  #written: ((error?: Error | null) => void) | null = null;
  #isPaused = false;
  #hasPeerEnded = false;

  constructor(stream: TunnelStream, addresses: TunnelAddresses) {
    super({ allowHalfOpen: true });
    this.#stream = stream;
    // Where a socket would ask its descriptor.
    for (const [name, value] of Object.entries(addresses)) Object.defineProperty(this, name, { value });
  }

  /** Bytes of the peer, the reader's to keep. Returns false to have no more until `TunnelStream.resume`. */
  feed(bytes: Buffer): boolean {
    if (this.destroyed || this.#hasPeerEnded) return true;
    if (this.push(bytes)) return true;
    this.#isPaused = true;
    return false;
  }

  /** The peer has ended its direction. */
  feedEnd(): void {
    if (this.#hasPeerEnded) return;
    this.#hasPeerEnded = true;
    this.push(null);
  }

  /** The stream takes more. */
  takesMore(): void {
    const written = this.#written;
    this.#written = null;
    written?.();
  }

  /** The stream is gone: nothing more is told to it. */
  broken(error: Error): void {
    this.#stream = null;
    this.destroy(error);
  }

  override resetAndDestroy(): this {
    return this.destroy();
  }

  override _read(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#stream?.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, written: (error?: Error | null) => void): void {
    const stream = this.#stream;
    if (stream === null) return written(new Error('the tunnel is gone'));
    if (stream.send(chunk)) written();
    else this.#written = written;
  }

  override _writev(chunks: { chunk: Buffer }[], written: (error?: Error | null) => void): void {
    const all =
      chunks.length === 1 && chunks[0] !== undefined ? chunks[0].chunk : Buffer.concat(chunks.map(({ chunk }) => chunk));
    this._write(all, 'binary', written);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#stream?.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const stream = this.#stream;
    this.#stream = null;
    this.#written = null;
    // Whatever was not said to its end in both directions is broken off, so that nobody takes half for whole.
    if (stream !== null && !(this.writableFinished && this.#hasPeerEnded)) stream.reset();
    done(error);
  }
}
