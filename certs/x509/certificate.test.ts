import { generateKeyPairSync } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { createIntermediate, createRoot, issueSvid } from '../authority/authority.ts';
import { readCertificate, serialText } from './certificate.ts';
import type { Certificate } from './certificate.ts';
import { readChain } from './chain.ts';
import { EXTENDED_KEY_USAGE, KEY_USAGE } from './extensions.ts';
import { nameText } from './name.ts';
import * as write from './write.ts';

const atMs = Math.floor(Date.now() / 1000) * 1000;
const root = createRoot({ trustDomain: 'a.test', atMs, lifetimeMs: 3_600_000 });
const intermediate = createIntermediate(root, {
  atMs,
  lifetimeMs: 3_600_000,
  overrides: ({ extensions }) => ({
    extensions: [...extensions.slice(1), write.basicConstraints(true, 3), write.nameConstraints(['a.test'], ['B.test'])],
  }),
});
const { certificate } = issueSvid(intermediate, {
  spiffeId: 'spiffe://a.test/x',
  atMs,
  lifetimeMs: 60_000,
  dnsNames: ['x.a.test', 'y, URI:spiffe://a.test/z'],
});

describe('readCertificate()', () => {
  test('reads what OpenSSL reads', () => {
    for (const each of [root.certificate, intermediate.certificate, certificate]) {
      expect(each.notBeforeMs).toBe(each.x509.validFromDate.getTime());
      expect(each.notAfterMs).toBe(each.x509.validToDate.getTime());
      expect(serialText(each)).toBe(each.x509.serialNumber);
      expect(each.fingerprint).toBe(each.x509.fingerprint256.replaceAll(':', '').toLowerCase());
      expect(each.extensions.basicConstraints?.isCa).toBe(each.x509.ca);
      expect(each.version).toBe(3);
    }
  });

  test('reads what OpenSSL hides', () => {
    expect(certificate.extensions).toMatchObject({
      basicConstraints: { isCritical: true, isCa: false, pathLength: null },
      keyUsage: { isCritical: true, bits: KEY_USAGE.digitalSignature },
      extKeyUsage: [EXTENDED_KEY_USAGE.serverAuth, EXTENDED_KEY_USAGE.clientAuth],
      altNames: { uris: ['spiffe://a.test/x'], dnsNames: ['x.a.test', 'y, URI:spiffe://a.test/z'] },
      isAltNameCritical: true,
      nameConstraints: null,
      unknownCritical: null,
    });
    expect(intermediate.certificate.extensions).toMatchObject({
      basicConstraints: { isCa: true, pathLength: 3 },
      keyUsage: { bits: KEY_USAGE.keyCertSign | KEY_USAGE.cRLSign },
      nameConstraints: { permittedHosts: ['a.test'], excludedHosts: ['b.test'], hasOtherKinds: false, isCritical: true },
    });
  });

  test('does not change when the bytes that it was read from do', () => {
    const bytes = Buffer.from(certificate.der);
    const read = readCertificate(bytes);
    bytes.fill(0);
    expect(read.ok && read.certificate.der.equals(certificate.der)).toBe(true);
  });

  test('refuses an extension that is there twice', () => {
    const fields = fieldsOf([write.basicConstraints(false), write.basicConstraints(false)]);
    expect(readCertificate(write.writeCertificate(fields))).toMatchObject({ ok: false, code: 'duplicate_extension' });
  });

  test.each([
    { why: 'basic constraints with more in them', oid: '2.5.29.19', hex: '300601010102010005' },
    { why: 'a key usage that is no bit string', oid: '2.5.29.15', hex: '020101' },
    { why: 'bytes after a key usage', oid: '2.5.29.15', hex: '030207800500' },
    { why: 'alternative names that are cut', oid: '2.5.29.17', hex: '3005860a61' },
    { why: 'an extended key usage of integers', oid: '2.5.29.37', hex: '3003020101' },
  ])('refuses $why', ({ oid, hex }) => {
    const fields = fieldsOf([{ oid, isCritical: false, value: Buffer.from(hex, 'hex') }]);
    expect(readCertificate(write.writeCertificate(fields))).toMatchObject({ ok: false, code: 'certificate_malformed' });
  });

  test('reads a version 1 certificate without extensions', () => {
    const read = readCertificate(write.writeCertificate({ ...fieldsOf([]), version: 1 }));
    expect(read).toMatchObject({ ok: true, certificate: { version: 1, extensions: { keyUsage: null } } });
  });
});

describe('readChain()', () => {
  test('reads the same certificate once', () => {
    const { der } = certificate;
    const read = readChain([der, intermediate.certificate.der, der, intermediate.certificate.der]);
    expect(read.ok && read.chain.map((each: Certificate) => each.fingerprint)).toEqual([
      certificate.fingerprint,
      intermediate.certificate.fingerprint,
    ]);
  });
});

describe('nameText()', () => {
  test.each<{ attributes: [string, string][]; want: string }>([
    { attributes: [], want: '' },
    { attributes: [['2.5.4.10', 'a.test']], want: 'O=a.test' },
    {
      attributes: [
        ['2.5.4.6', 'DE'],
        ['2.5.4.10', 'a, b'],
        ['2.5.4.3', ' x+"y"\\'],
      ],
      want: String.raw`CN=\ x\+\"y\"\\,O=a\, b,C=DE`,
    },
    { attributes: [['2.5.4.3', '#a\u0000\nb=ü']], want: String.raw`CN=\#a\00\0ab\=ü` },
    { attributes: [['1.2.3', 'x']], want: '1.2.3=x' },
  ])('writes $want', ({ attributes, want }) => {
    expect(nameText(write.nameDer(attributes))).toBe(want);
  });
});

function fieldsOf(extensions: readonly write.ExtensionFields[]): write.CertificateFields {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = write.nameDer([['2.5.4.3', 'x']]);
  const dates = { notBeforeMs: atMs, notAfterMs: atMs + 60_000 };
  return {
    version: 3,
    serial: Buffer.from([1]),
    issuer: name,
    subject: name,
    ...dates,
    publicKey,
    extensions,
    signer: privateKey,
  };
}
