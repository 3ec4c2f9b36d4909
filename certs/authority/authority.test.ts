import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { peer } from '#test/support/peers.ts';

import { readRevocationList } from '../x509/crl.ts';
import { writePem } from '../x509/pem.ts';
import { writeRevocationList } from '../x509/write.ts';
import { createIntermediate, createRoot, issueSvid } from './authority.ts';

const HOUR_MS = 3_600_000;
const atMs = Math.floor(Date.now() / 1000) * 1000;
const root = createRoot({ trustDomain: 'a.test', atMs, lifetimeMs: 24 * HOUR_MS });
const intermediate = createIntermediate(root, { atMs, lifetimeMs: 12 * HOUR_MS });
const svid = issueSvid(intermediate, { spiffeId: 'spiffe://a.test/ns/x/sa/y', atMs, lifetimeMs: HOUR_MS });

describe('issueSvid()', () => {
  test('writes the profile of an X.509-SVID', () => {
    const { certificate } = svid;
    expect(certificate).toMatchObject({ version: 3, notBeforeMs: atMs - 60_000, notAfterMs: atMs + HOUR_MS });
    expect(certificate.subject).toHaveLength(2);
    expect(certificate.extensions).toMatchObject({
      isAltNameCritical: true,
      keyUsage: { isCritical: true },
      basicConstraints: { isCritical: true, isCa: false },
    });
    expect(svid.chain).toHaveLength(2);
    expect(certificate.x509.checkPrivateKey(svid.key)).toBe(true);
  });

  test('never gives two certificates one serial number', () => {
    const serials = new Set(
      Array.from({ length: 50 }, () => {
        const { certificate } = issueSvid(root, { spiffeId: 'spiffe://a.test/x', atMs, lifetimeMs: HOUR_MS });
        expect(certificate.serial).toHaveLength(16);
        return certificate.serial.toString('hex');
      }),
    );
    expect(serials.size).toBe(50);
  });

  test.each(['spiffe://b.test/x', 'spiffe://a.test', 'spiffe://a.test/', 'https://a.test/x', ''])(
    'does not sign for "%s"',
    (spiffeId) => {
      expect(() => issueSvid(root, { spiffeId, atMs, lifetimeMs: HOUR_MS })).toThrow('Cannot issue an SVID');
    },
  );
});

describe('createRoot()', () => {
  test('refuses a trust domain that is none', () => {
    expect(() => createRoot({ trustDomain: 'A test', atMs, lifetimeMs: HOUR_MS })).toThrow('trust domain');
  });
});

const openssl = peer('openssl');

describe.skipIf(openssl === null)('OpenSSL', () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-authority-'));
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const run = (...args: readonly string[]): string => execFileSync(openssl ?? 'openssl', args, { stdio: 'pipe' }).toString();

  test('verifies the chain in its strict mode', () => {
    const verified = run(
      ...['verify', '-x509_strict', '-check_ss_sig', '-purpose', 'sslclient'],
      ...['-CAfile', file('root.pem', root.bundlePem), '-untrusted', file('intermediate.pem', intermediate.certificatePem)],
      file('leaf.pem', svid.certificatePem),
    );
    expect(verified).toContain(': OK');
  });

  test('reads the revocation list as we do, and finds its signature good', () => {
    const der = writeRevocationList({
      issuer: intermediate.certificate.subject,
      thisUpdateMs: atMs,
      nextUpdateMs: atMs + HOUR_MS,
      revoked: [{ serial: svid.certificate.serial, atMs }],
      signer: intermediate.key,
    });
    expect(readRevocationList(der)).toMatchObject({
      ok: true,
      list: {
        thisUpdateMs: atMs,
        nextUpdateMs: atMs + HOUR_MS,
        revokedSerials: new Set([svid.certificate.serial.toString('hex')]),
      },
    });
    const list = file('list.pem', writePem('X509 CRL', der));
    const text = run('crl', '-in', list, '-noout', '-text', '-CAfile', file('issuer.pem', intermediate.certificatePem));
    expect(text).toContain(svid.certificate.x509.serialNumber);
  });
});
