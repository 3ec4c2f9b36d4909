/** Who is at the other end of a TLS connection: asked once, right after the handshake, before a byte of the protocol above it. */
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import type { PeerIdentity } from '#certs/verify.ts';
import type { IdentitySnapshot } from '#certs/source/assemble.ts';
import type { VerifyCache } from '#certs/verify-cache.ts';
import type { Failure } from '../failure.ts';

export type PeerResult =
  | { readonly ok: true; readonly identity: PeerIdentity }
  | { readonly ok: false; readonly failure: Failure; readonly detail: string };

/** Verifies the peer as an X.509-SVID, against the bundle of its own trust domain. OpenSSL has to agree, but is never enough. */
export function verifyPeer(socket: TLSSocket, identity: IdentitySnapshot, cache: VerifyCache, nowMs: number): PeerResult {
  if (socket.isSessionReused()) return { ok: false, failure: 'svid_refused', detail: 'session_reused' };
  const chain = presentedChain(socket);
  if (chain.length === 0) return { ok: false, failure: 'no_client_certificate', detail: '' };
  const verified = cache.verify(chain, identity.bundles, nowMs);
  if (!verified.ok) return { ok: false, failure: 'svid_refused', detail: verified.code };
  if (!socket.authorized) return { ok: false, failure: 'svid_refused', detail: opensslCode(socket) };
  return { ok: true, identity: verified.identity };
}

/**
 * The certificates that the peer sent, leaf first. Node links issuers by name and may add some of its own store; the verifier
 * takes none of them for proved. OpenSSL keeps them while the connection lives, so nobody else has to.
 */
export function presentedChain(socket: TLSSocket): Buffer[] {
  const chain: Buffer[] = [];
  let certificate: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (certificate?.raw !== undefined && chain.length < CHAIN_MAX) {
    const { raw, issuerCertificate }: DetailedPeerCertificate = certificate;
    chain.push(raw);
    if (issuerCertificate === certificate) break;
    certificate = issuerCertificate;
  }
  return chain;
}

/** `authorizationError` is declared an Error and is the text of OpenSSL's code in fact. */
function opensslCode(socket: TLSSocket): string {
  const error: unknown = socket.authorizationError;
  const code = error instanceof Error ? error.message : typeof error === 'string' ? error : 'refused';
  return `openssl_${code.toLowerCase()}`.slice(0, 80);
}

const CHAIN_MAX = 10;
