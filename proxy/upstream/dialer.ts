/** How connections to one upstream are opened: plainly to the local app, or by mutual TLS to a peer's sidecar. */
import type { Socket } from 'node:net';
import type { HostPort } from '#proto/config/proxy.ts';
import type { Failure } from '../failure.ts';
import { connectShared, type Reader } from '../io/tap.ts';
import { KEEP_ALIVE } from '../listen/listener.ts';

/** Whoever asked for a connection learns here whether it may be used. */
export interface Opening extends Reader {
  /** Reads what comes, when that is not the opening itself; asked for after `opened`. */
  readonly reader?: Reader;
  /** @param alpn  what was negotiated, null for nothing */
  opened(alpn: string | null): void;
  refused(failure: Failure, detail: string): void;
}

export interface Dialer {
  readonly isTls: boolean;
  /** Changes when connections opened before must not be used for new requests. */
  readonly generation: number;
  /**
   * Opens a socket; `opened` or `refused` follows, or the socket's own 'error' or 'close'.
   *
   * @param protocols  what is offered in the handshake in place of all that may be
   */
  open(opening: Opening, protocols?: readonly string[]): Socket;
}

/** Dials an address without TLS. */
export function plainDialer(endpoint: HostPort): Dialer {
  return {
    isTls: false,
    generation: 0,
    open(opening) {
      const socket = connectShared({ ...endpoint, noDelay: true, allowHalfOpen: true, ...KEEP_ALIVE }, opening);
      socket.once('connect', () => opening.opened(null));
      return socket;
    },
  };
}
