/**
 * How the bytes of a bundle lie; docs/bundles.md. Numbers are 32 bits, big-endian. The head is of fixed size, so that nothing of
 * unknown shape is looked at before the signature.
 */

/** `PSTNBNDL`, version, lengths of manifest, policy, module and model, key id; what follows is the signature. */
export const HEAD = { version: 8, lengths: 12, keyId: 28, signature: 60, parts: 124 } as const;
export const MAGIC: Uint8Array = Buffer.from('PSTNBNDL', 'latin1');
export const VERSION = 1;
export const MAX_BUNDLE_BYTES = 64 * 1_048_576;

/** What is signed: all but the signature itself, after a text that no other signature of the key begins with. */
export function signedBytes(bundle: Uint8Array): Uint8Array {
  return Buffer.concat([DOMAIN, bundle.subarray(0, HEAD.signature), bundle.subarray(HEAD.parts)]);
}

const DOMAIN = Buffer.from('postern policy bundle 1\0', 'latin1');
