import { generateKeyPairSync } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { createIntermediate, createRoot, issueSvid } from './authority/authority.ts';
import type { Overrides } from './authority/authority.ts';
import { parseSvid } from './svid.ts';
import { KEY_USAGE } from './x509/extensions.ts';
import * as write from './x509/write.ts';

const atMs = Math.floor(Date.now() / 1000) * 1000;
const HOUR_MS = 3_600_000;
const ID = 'spiffe://a.test/ns/app/sa/app';
const root = createRoot({ trustDomain: 'a.test', atMs, lifetimeMs: HOUR_MS });
const svid = issueSvid(root, { spiffeId: ID, atMs, lifetimeMs: HOUR_MS });

describe('parseSvid()', () => {
  test('loads a chain and its key', () => {
    const intermediate = createIntermediate(root, { atMs, lifetimeMs: HOUR_MS });
    const deep = issueSvid(intermediate, { spiffeId: ID, atMs, lifetimeMs: HOUR_MS });
    const loaded = parseSvid(deep.certificatePem, deep.keyPem);
    expect(loaded).toMatchObject({ ok: true, svid: { certificatePem: deep.certificatePem, keyPem: deep.keyPem } });
    if (!loaded.ok) return;
    expect(loaded.svid.spiffeId.uri).toBe(ID);
    expect(loaded.svid.chain).toHaveLength(2);
    expect(loaded.svid.notAfterMs).toBe(atMs + HOUR_MS);
    expect(loaded.svid.serial).toBe(deep.certificate.x509.serialNumber);
  });

  test.each([
    { how: 'key first', text: svid.keyPem + svid.certificatePem },
    { how: 'certificate first', text: svid.certificatePem + svid.keyPem },
  ])('finds both in one file, $how', ({ text }) => {
    expect(parseSvid(text, text)).toMatchObject({ ok: true, svid: { certificatePem: svid.certificatePem, keyPem: svid.keyPem } });
  });

  test.each([
    { kind: 'SEC 1', pem: svid.key.export({ type: 'sec1', format: 'pem' }).toString() },
    { kind: 'PKCS#8', pem: svid.keyPem },
  ])('takes a key in $kind', ({ pem }) => {
    expect(parseSvid(svid.certificatePem, pem).ok).toBe(true);
  });

  test.each([
    { why: 'no certificate file', certificate: '', key: svid.keyPem, code: 'certificate_not_pem' },
    { why: 'a certificate file without certificate', certificate: svid.keyPem, key: svid.keyPem, code: 'certificate_missing' },
    { why: 'a key file without key', certificate: svid.certificatePem, key: svid.certificatePem, code: 'key_missing' },
    { why: 'a key file that is no PEM', certificate: svid.certificatePem, key: 'not PEM', code: 'key_not_pem' },
    {
      why: 'a broken key',
      certificate: svid.certificatePem,
      key: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
      code: 'key_malformed',
    },
    {
      why: 'an encrypted key',
      certificate: svid.certificatePem,
      key: svid.key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }).toString(),
      code: 'key_malformed',
    },
    {
      why: "another certificate's key",
      certificate: svid.certificatePem,
      key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      code: 'key_mismatch',
    },
    {
      why: 'a broken certificate',
      certificate: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
      key: svid.keyPem,
      code: 'certificate_malformed',
    },
  ])('refuses $why as $code', ({ certificate, key, code }) => {
    const loaded = parseSvid(certificate, key);
    expect(loaded).toMatchObject({ ok: false, code });
    // Whatever went wrong with a key, its bytes are not told.
    expect(loaded.ok ? '' : loaded.message).not.toContain(svid.keyPem.split('\n')[1]);
  });

  test.each<{ why: string; overrides: Overrides; code: string }>([
    { why: 'without SPIFFE ID', overrides: swap(write.subjectAltName([], ['a.test'], false)), code: 'uri_san_missing' },
    { why: 'that is a CA', overrides: swap(write.basicConstraints(true)), code: 'leaf_is_ca' },
    {
      why: 'without digitalSignature',
      overrides: swap(write.keyUsage(KEY_USAGE.keyAgreement)),
      code: 'digital_signature_missing',
    },
  ])('refuses a leaf $why', ({ overrides, code }) => {
    const bad = issueSvid(root, { spiffeId: ID, atMs, lifetimeMs: HOUR_MS, overrides });
    expect(parseSvid(bad.certificatePem, bad.keyPem)).toMatchObject({ ok: false, code });
  });

  test.each<{ why: string; overrides: Overrides; code: string }>([
    { why: 'is no CA', overrides: swap(write.basicConstraints(false)), code: 'issuer_not_ca' },
    { why: 'may not sign', overrides: swap(write.keyUsage(KEY_USAGE.digitalSignature)), code: 'issuer_key_cert_sign' },
  ])('refuses a chain whose intermediate $why', ({ overrides, code }) => {
    const intermediate = createIntermediate(root, { atMs, lifetimeMs: HOUR_MS, overrides });
    const bad = issueSvid(intermediate, { spiffeId: ID, atMs, lifetimeMs: HOUR_MS });
    expect(parseSvid(bad.certificatePem, bad.keyPem)).toMatchObject({ ok: false, code });
  });
});

function swap(extension: write.ExtensionFields): Overrides {
  return ({ extensions }) => ({ extensions: extensions.map((each) => (each.oid === extension.oid ? extension : each)) });
}
