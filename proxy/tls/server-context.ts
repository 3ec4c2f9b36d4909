/** The TLS side of an inbound listener: presents our SVID and asks every caller for one. */
import { createServer, type Server, type TlsOptions } from 'node:tls';
import type { IdentitySnapshot } from '#certs/source/assemble.ts';
import type { PortProtocol } from '#proto/config/proxy.ts';
import type { Failure } from '../failure.ts';
import { KEEP_ALIVE } from '../listen/listener.ts';
import { selectAlpn } from './alpn.ts';
import { TLS_PARAMETERS } from './parameters.ts';

/** Options that change with the identity; given to `createTlsServer` and, at each rotation, to `setSecureContext`. */
export function serverContext(identity: IdentitySnapshot): TlsOptions {
  return {
    ...TLS_PARAMETERS,
    cert: identity.svid.certificatePem,
    key: identity.svid.keyPem,
    // The caller's trust domain is not known before the handshake, so OpenSSL gets every anchor; `verifyPeer` tells them apart.
    ca: [...identity.bundles.each()].map((bundle) => bundle.pem).filter((pem) => pem !== ''),
  };
}

/** A server that completes the handshake with any certificate, or none, so that the refusal can say why. */
export function createTlsServer(identity: IdentitySnapshot, protocol: PortProtocol, handshakeTimeoutMs: number): Server {
  return createServer({
    ...serverContext(identity),
    requestCert: true,
    rejectUnauthorized: false,
    ALPNCallback: ({ protocols }) => selectAlpn(protocol, protocols),
    handshakeTimeout: handshakeTimeoutMs,
    allowHalfOpen: true,
    noDelay: true,
    pauseOnConnect: false,
    ...KEEP_ALIVE,
  });
}

/** What a failed handshake is told as. */
export function handshakeFailure(error: NodeJS.ErrnoException): Failure {
  switch (error.code) {
    case 'ERR_SSL_HTTP_REQUEST':
    case 'ERR_SSL_HTTPS_PROXY_REQUEST':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
    case 'ERR_SSL_RECORD_LAYER_FAILURE':
      return 'plaintext_on_mtls';
    default:
      return 'tls_handshake';
  }
}
