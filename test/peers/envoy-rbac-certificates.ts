/**
 * Certificates for the Envoy oracle, straight in DER (X.690, RFC 5280): an authority, and leaves whose one URI name may be any
 * text, also one that no SPIFFE ID could be. All leaves share one P-256 key, so that hundreds cost a signature each.
 */
import { createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

export class OracleAuthority {
  readonly #key: KeyObject;
  readonly #leafKey: KeyObject;
  /** PEM of the authority's own certificate, and of the key that all leaves have. */
  readonly certificate: string;
  readonly leafKey: string;

  constructor() {
    this.#key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    this.#leafKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    this.leafKey = this.#leafKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const constraints = extension('551d13', true, sequence(tlv(0x01, Buffer.from([0xff]))));
    this.certificate = this.#issue('oracle authority', this.#key, [constraints]);
  }

  /** A leaf for both roles with one URI name. */
  leaf(uri: string): string {
    const name = extension('551d11', false, sequence(tlv(0x86, Buffer.from(uri, 'latin1'))));
    return this.#issue('leaf', this.#leafKey, [name]);
  }

  #issue(subject: string, key: KeyObject, extensions: readonly Buffer[]): string {
    const algorithm = sequence(hex('06082a8648ce3d040302'));
    const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' });
    const serial = tlv(0x02, Buffer.concat([Buffer.from([0x01]), randomBytes(15)]));
    const validity = sequence(tlv(0x17, Buffer.from('200101000000Z')), tlv(0x17, Buffer.from('491231235959Z')));
    const version = tlv(0xa0, tlv(0x02, Buffer.from([2])));
    const body = sequence(
      version,
      serial,
      algorithm,
      commonName('oracle authority'),
      validity,
      commonName(subject),
      publicKey,
      tlv(0xa3, sequence(...extensions)),
    );
    const signature = tlv(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', body, this.#key)]));
    const base64 = sequence(body, algorithm, signature).toString('base64');
    return `-----BEGIN CERTIFICATE-----\n${(base64.match(/.{1,64}/g) ?? []).join('\n')}\n-----END CERTIFICATE-----\n`;
  }
}

function commonName(text: string): Buffer {
  return sequence(tlv(0x31, sequence(hex('0603550403'), tlv(0x0c, Buffer.from(text)))));
}

function extension(oid: string, isCritical: boolean, value: Buffer): Buffer {
  const parts = [tlv(0x06, hex(oid)), ...(isCritical ? [tlv(0x01, Buffer.from([0xff]))] : []), tlv(0x04, value)];
  return sequence(...parts);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, Buffer.concat(parts));
}

function tlv(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const size = length < 0x100 ? Buffer.from([0x81, length]) : Buffer.from([0x82, length >> 8, length & 0xff]);
  return Buffer.concat([Buffer.from([tag]), size, content]);
}

function hex(text: string): Buffer {
  return Buffer.from(text, 'hex');
}
