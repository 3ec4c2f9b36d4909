/**
 * The first bytes of a connection before TLS is spoken on it: takes off the PROXY protocol header of a listed balancer, and finds out
 * whether a ClientHello follows and what it offers. What was read behind the header is handed on, for whoever takes the connection. Reads
 * by 'readable': what is put back by `unshift` afterwards is taken up by TLS, which is not so after 'data' events.
 */
import type { Socket } from 'node:net';
import { Deadline, type TimerWheel } from '#base/timer-wheel.ts';
import { readClientHello, type ClientHello, type HelloFault } from '#wire/sniff/client-hello.ts';
import { readFirstBytes } from '#wire/sniff/first-bytes.ts';
import type { ProxyFault, ProxyHeader } from '#wire/sniff/proxy-header.ts';
import { readProxyHeader } from '#wire/sniff/proxy-protocol.ts';

/** What was found, and what was read of it. */
export type Peeked =
  | { readonly kind: 'tls'; readonly hello: ClientHello | null; readonly first: Buffer | null }
  | { readonly kind: 'plain'; readonly first: Buffer | null; readonly isSilent: boolean }
  | { readonly kind: 'fault'; readonly fault: ProxyFault | HelloFault | 'proxy_missing' | 'proxy_timeout' | 'ended' };

export interface PeekOptions {
  readonly wheel: TimerWheel;
  readonly timeoutMs: number;
  /** The sender has to begin with a PROXY protocol header. */
  readonly wantsProxyHeader: boolean;
  /** Only with this is a ClientHello looked for; else the connection is taken for `tls` as soon as the PROXY header is off. */
  readonly wantsHello: boolean;
  readonly onFound: (peek: Peek, found: Peeked) => void;
}

export class Peek extends Deadline {
  readonly socket: Socket;
  /** What a listed balancer says of the caller; null without one. */
  proxyHeader: ProxyHeader | null = null;
  readonly #options: PeekOptions;
  #bytes: Buffer = NO_BYTES;
  #isDone = false;
  readonly #read = (): void => this.#readable();

  constructor(socket: Socket, options: PeekOptions) {
    super();
    this.socket = socket;
    this.#options = options;
    options.wheel.arm(this, options.timeoutMs);
    socket.on('readable', this.#read);
    socket.on('error', () => {});
    socket.once('end', () => this.#ended());
    socket.once('close', () => this.cancel());
  }

  /** Stops looking. */
  cancel(): void {
    this.#isDone = true;
    this.#options.wheel.remove(this);
    this.socket.off('readable', this.#read);
  }

  onDeadline(): void {
    if (this.#options.wantsProxyHeader && this.proxyHeader === null) this.#found({ kind: 'fault', fault: 'proxy_timeout' });
    else this.#plain(this.#bytes.length === 0);
  }

  #readable(): void {
    // A socket without an encoding yields buffers; null also when the end has come, which 'end' follows.
    const bytes = this.socket.read() as Buffer | null;
    if (bytes === null) return;
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    if (this.#options.wantsProxyHeader && this.proxyHeader === null && !this.#takeProxyHeader()) return;
    this.#look();
  }

  /** Returns whether the header is off. */
  #takeProxyHeader(): boolean {
    const header = readProxyHeader(this.#bytes, 0, this.#bytes.length);
    if (header === 'more') return false;
    if (typeof header === 'string') {
      this.#found({ kind: 'fault', fault: header === 'proxy_signature' ? 'proxy_missing' : header });
      return false;
    }
    this.proxyHeader = header;
    this.#bytes = this.#bytes.subarray(header.length);
    return true;
  }

  #look(): void {
    if (!this.#options.wantsHello) return this.#tls(null);
    if (this.#bytes.length === 0) return;
    const seen = readFirstBytes(this.#bytes, 0, this.#bytes.length);
    if (seen === 'tls') {
      const hello = readClientHello(this.#bytes, 0, this.#bytes.length);
      if (hello === 'more') return;
      if (typeof hello === 'string') return this.#found({ kind: 'fault', fault: hello });
      this.#tls(hello);
    } else if (seen !== 'more' || this.#bytes[0] !== TLS_HANDSHAKE) {
      this.#plain(false);
    }
  }

  #tls(hello: ClientHello | null): void {
    this.#found({ kind: 'tls', hello, first: this.#bytes.length === 0 ? null : this.#bytes });
  }

  /** Nothing follows, and what came was not enough. */
  #ended(): void {
    this.#found({ kind: 'fault', fault: 'ended' });
  }

  #plain(isSilent: boolean): void {
    const first = this.#bytes.length === 0 ? null : this.#bytes;
    this.#found({ kind: 'plain', first, isSilent });
  }

  #found(found: Peeked): void {
    if (this.#isDone) return;
    this.cancel();
    this.#bytes = NO_BYTES;
    this.#options.onFound(this, found);
  }
}

const TLS_HANDSHAKE = 22;
const NO_BYTES = Buffer.alloc(0);
