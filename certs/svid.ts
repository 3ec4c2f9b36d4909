/**
 * Our own X.509-SVID: certificate chain and private key as PEM, loaded and checked as a whole (X509-SVID, sections 3 and 4; the rules
 * are those that a peer will apply, and a few more). Whether the chain leads to our own bundle is asked by `verifyChain`.
 */
import { createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import type { SvidRefusalCode } from './refusal.ts';
import { leafIdentity, signerRoleFault } from './rules.ts';
import { SpiffeId } from './spiffe-id.ts';
import { serialText } from './x509/certificate.ts';
import type { Certificate } from './x509/certificate.ts';
import { readChain } from './x509/chain.ts';
import { readPem } from './x509/pem.ts';

/** Immutable. `keyPem` is for `tls.createSecureContext` and must not be logged or shown. */
export interface Svid {
  readonly spiffeId: SpiffeId;
  /** Leaf first. */
  readonly chain: readonly [Certificate, ...Certificate[]];
  /** The chain as PEM, leaf first, nothing else. */
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly notBeforeMs: number;
  /** Of the leaf. */
  readonly notAfterMs: number;
  /** Upper-case hex. */
  readonly serial: string;
}

export type SvidFault =
  | SvidRefusalCode
  | 'certificate_not_pem'
  | 'certificate_missing'
  | 'key_not_pem'
  | 'key_missing'
  | 'key_malformed'
  | 'key_mismatch';

export type SvidResult =
  | { readonly ok: true; readonly svid: Svid }
  | { readonly ok: false; readonly code: SvidFault; readonly message: string };

/**
 * Loads an SVID. Either text may hold other blocks beside the ones that are wanted, so that one file can hold both. Dates are not
 * judged. Never throws.
 */
export function parseSvid(certificateText: string, keyText: string): SvidResult {
  const certificates = readPem(certificateText);
  if (!certificates.ok) return fault('certificate_not_pem', `the certificate file is not PEM. ${certificates.message}`);
  if (certificates.blocks.length === 0) return fault('certificate_not_pem', 'the certificate file holds no PEM block');
  const blocks = certificates.blocks.filter((each) => each.label === 'CERTIFICATE');
  if (blocks.length === 0) return fault('certificate_missing', 'the certificate file holds no certificate');
  const read = readChain(blocks.map((each) => each.der));
  if (!read.ok) return fault(read.code, read.message);
  const [leaf, ...signers] = read.chain;

  const spiffeId = leafIdentity(leaf);
  if (!(spiffeId instanceof SpiffeId)) return spiffeId;
  for (const signer of signers) {
    const role = signerRoleFault(signer, 'intermediate');
    if (role !== null) return role;
  }

  const key = readKey(keyText);
  if (!('pem' in key)) return key;
  if (!leaf.x509.checkPrivateKey(key.key)) return fault('key_mismatch', 'the private key does not belong to the certificate');
  const facts = { spiffeId, chain: read.chain, certificatePem: blocks.map((each) => each.text).join(''), keyPem: key.pem };
  const { notBeforeMs, notAfterMs } = leaf;
  return { ok: true, svid: Object.freeze({ ...facts, notBeforeMs, notAfterMs, serial: serialText(leaf) }) };
}

function readKey(text: string): { readonly key: KeyObject; readonly pem: string } | (SvidResult & { readonly ok: false }) {
  const pem = readPem(text);
  if (!pem.ok) return fault('key_not_pem', `the key file is not PEM. ${pem.message}`);
  if (pem.blocks.length === 0) return fault('key_not_pem', 'the key file holds no PEM block');
  const block = pem.blocks.find((each) => each.label.endsWith('PRIVATE KEY'));
  if (block === undefined) return fault('key_missing', 'the key file holds no private key');
  try {
    return { key: createPrivateKey(block.text), pem: block.text };
  } catch {
    // OpenSSL's own words may quote the key; ours do not.
    return fault('key_malformed', 'the private key cannot be read (it must be unencrypted PKCS#8, SEC 1 or PKCS#1)');
  }
}

function fault(code: SvidFault, found: string): SvidResult & { readonly ok: false } {
  return { ok: false, code, message: `Cannot load the SVID: ${found}` };
}
