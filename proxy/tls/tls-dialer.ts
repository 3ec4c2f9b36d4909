/**
 * Opens mutual TLS connections to a peer's sidecar and proves who it is before it gets a byte of a request. A finished handshake
 * is not yet acceptance: the peer may still refuse us by closing.
 */
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { connect as connectTcp, type Socket } from 'node:net';
import type { Clock } from '#base/clock.ts';
import type { IdentitySnapshot } from '#certs/source/assemble.ts';
import type { VerifyCache } from '#certs/verify-cache.ts';
import type { HostPort } from '#proto/config/proxy.ts';
import { startReading } from '../io/tap.ts';
import { KEEP_ALIVE } from '../listen/listener.ts';
import type { Dialer, Opening } from '../upstream/dialer.ts';
import { TLS_PARAMETERS } from './parameters.ts';
import { presentedChain, verifyPeer } from './peer.ts';

export interface TlsDialerOptions {
  readonly endpoint: HostPort;
  /** SPIFFE IDs, one of which the peer must prove. */
  readonly expect: readonly string[];
  readonly sni: string | null;
  readonly identity: () => IdentitySnapshot | null;
  readonly cache: VerifyCache;
  readonly clock: Clock;
  /** What is offered (RFC 7301), best first. */
  readonly protocols: readonly string[];
  /** Raw TCP goes over it: each direction ends by itself, and a reset has to be one. */
  readonly isRaw: boolean;
}

export class TlsDialer implements Dialer {
  readonly isTls = true;
  readonly #options: TlsDialerOptions;
  readonly #expected: ReadonlySet<string>;
  /** Open connections whose peer is proved, to ask again when a bundle changes. */
  readonly #proved = new Map<Opening, TLSSocket>();
  #context: { readonly of: IdentitySnapshot; readonly secure: SecureContext } | null = null;

  constructor(options: TlsDialerOptions) {
    this.#options = options;
    this.#expected = new Set(options.expect);
  }

  get generation(): number {
    return this.#options.identity()?.generation ?? 0;
  }

  open(opening: Opening, protocols = this.#options.protocols): Socket {
    const { endpoint, sni, cache, clock } = this.#options;
    const identity = this.#options.identity();
    const { host, port } = endpoint;
    const socket = connect({
      // A socket of our own below can be reset (io/reset.ts), and half-open is what the one below is.
      ...(this.#options.isRaw ? { socket: connectTcp({ host, port, allowHalfOpen: true }) } : { host, port }),
      ...(sni === null ? {} : { servername: sni }),
      ...(identity === null ? {} : { secureContext: this.#secureContext(identity) }),
      ALPNProtocols: [...protocols],
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
    socket.setNoDelay(true);
    socket.setKeepAlive(KEEP_ALIVE.keepAlive, KEEP_ALIVE.keepAliveInitialDelay);
    socket.once('secureConnect', () => {
      if (identity === null) return opening.refused('not_ready', '');
      const refusal = this.#verify(socket, opening, identity, cache, clock.nowMs());
      if (refusal !== null) return opening.refused('upstream_identity', refusal);
      opening.opened(socket.alpnProtocol === false ? null : socket.alpnProtocol);
      startReading(socket, opening.reader ?? opening);
    });
    socket.once('close', () => this.#proved.delete(opening));
    return socket;
  }

  /** Refuses every open connection whose peer the bundles of `identity` no longer vouch for. */
  reverify(identity: IdentitySnapshot): void {
    const nowMs = this.#options.clock.nowMs();
    for (const [opening, socket] of this.#proved) {
      const verified = this.#options.cache.verify(presentedChain(socket), identity.bundles, nowMs);
      if (!verified.ok) opening.refused('upstream_identity', verified.code);
    }
  }

  #verify(socket: TLSSocket, opening: Opening, identity: IdentitySnapshot, cache: VerifyCache, nowMs: number): string | null {
    const peer = verifyPeer(socket, identity, cache, nowMs);
    if (!peer.ok) return peer.failure === 'no_client_certificate' ? 'no_certificate' : peer.detail;
    if (!this.#expected.has(peer.identity.spiffeId)) return 'unexpected_id';
    this.#proved.set(opening, socket);
    return null;
  }

  #secureContext(identity: IdentitySnapshot): SecureContext {
    if (this.#context?.of !== identity) {
      // Only the anchors of the trust domains that are expected: no other domain's CA can vouch for an endpoint of ours.
      const domains = new Set(this.#options.expect.map((id) => id.slice('spiffe://'.length).split('/', 1)[0] ?? ''));
      const ca = [...domains].flatMap((domain) => identity.bundles.of(domain)?.pem ?? []).filter((pem) => pem !== '');
      const { certificatePem, keyPem } = identity.svid;
      this.#context = { of: identity, secure: createSecureContext({ ...TLS_PARAMETERS, cert: certificatePem, key: keyPem, ca }) };
    }
    return this.#context.secure;
  }
}
