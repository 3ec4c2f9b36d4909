/**
 * TLS settings between sidecars: version 1.3 only, and no resumption, because a resumed session would carry an identity that was
 * proved under trust bundles of the past (docs/adr/0003).
 */
import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';

/** Shared by both roles. */
export const TLS_PARAMETERS = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
  sigalgs: 'ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ed25519:rsa_pss_rsae_sha256',
  ecdhCurve: 'X25519MLKEM768:X25519:P-256',
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const satisfies SecureContextOptions;
