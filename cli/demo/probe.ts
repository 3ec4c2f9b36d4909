/** A stranger at an mTLS port: connects in one way or another, says a request, and tells what came back. */
import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { TLSSocket } from 'node:tls';

import type { IssuedSvid } from '#certs/authority/authority.ts';

export interface ProbeResult {
  /** Our end of the connection, as the other side logs it. */
  readonly localAddress: string;
  /** Bytes that were received above TCP or, where there was a handshake, above TLS. */
  readonly received: Buffer;
  /** Whether the other side ended the connection within the time. */
  readonly isClosed: boolean;
}

export function probePlaintext(port: number): Promise<ProbeResult> {
  return say(connectTcp({ host: '127.0.0.1', port }), 'connect');
}

/** `svid` null: without a certificate. */
export function probeTls(port: number, svid: IssuedSvid | null): Promise<ProbeResult> {
  return say(tlsTo(port, svid), 'secureConnect');
}

/** Serial of the certificate that the port presents, as `svid` is asked for one itself; null when there is no handshake. */
export function presentedSerial(port: number, svid: IssuedSvid): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = tlsTo(port, svid);
    const done = (serial: string | null): void => {
      socket.destroy();
      resolve(serial);
    };
    socket.setTimeout(WAIT_MS, () => done(null));
    socket.once('error', () => done(null));
    socket.once('secureConnect', () => done(socket.getPeerX509Certificate()?.serialNumber ?? null));
  });
}

function tlsTo(port: number, svid: IssuedSvid | null): TLSSocket {
  return connectTls({
    host: '127.0.0.1',
    port,
    ALPNProtocols: ['http/1.1'],
    // What the port presents is not what is asked here.
    rejectUnauthorized: false,
    ...(svid === null ? {} : { cert: svid.certificatePem, key: svid.keyPem }),
  });
}

function say(socket: Socket, ready: 'connect' | 'secureConnect'): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const received: Buffer[] = [];
    let localAddress = '';
    let isClosed = true;
    socket.once('connect', () => {
      localAddress = `127.0.0.1:${socket.localPort ?? 0}`;
    });
    socket.once(ready, () => socket.write(REQUEST));
    socket.on('data', (bytes) => received.push(Buffer.from(bytes)));
    socket.on('error', () => {});
    socket.setTimeout(WAIT_MS, () => {
      isClosed = false;
      socket.destroy();
    });
    socket.once('close', () => resolve({ localAddress, received: Buffer.concat(received), isClosed }));
  });
}

const REQUEST = 'GET /orders/17 HTTP/1.1\r\nhost: orders.shop\r\n\r\n';
const WAIT_MS = 3_000;
