/** The battery of `svid-cases.ts`, judged by the verifier and by OpenSSL. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { SVID_REFUSALS } from '#certs/refusal.ts';
import { verifySvid } from '#certs/verify.ts';
import { writePem } from '#certs/x509/pem.ts';
import { peer } from '#test/support/peers.ts';

import { makeSvidBattery } from './svid-cases.ts';

const atMs = Date.now();
const battery = makeSvidBattery(atMs);

describe('verifySvid()', () => {
  test('is asked about 35 bad chains and 6 good ones', () => {
    expect(battery.bad).toHaveLength(35);
    expect(battery.good).toHaveLength(6);
  });

  test.each(battery.good)('accepts $name', ({ chain }) => {
    const result = verifySvid(chain, battery.bundles, { atMs });
    expect(result).toMatchObject({ ok: true });
  });

  test.each(battery.bad)('refuses $name as $want', ({ chain, want, clause }) => {
    const result = verifySvid(chain, battery.bundles, { atMs });
    expect(result).toMatchObject({ ok: false, code: want, clause });
  });

  test('tells different faults by different codes', () => {
    const codes = new Set(battery.bad.map((each) => each.want));
    // Four rows share a code with another: the same fault in another place.
    expect(codes.size).toBe(31);
    for (const code of codes) expect(Object.keys(SVID_REFUSALS)).toContain(code);
  });
});

const openssl = peer('openssl');

describe.skipIf(openssl === null)('openssl verify -x509_strict', () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-svid-'));
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  test.each(battery.good)('accepts $name', ({ chain }) => {
    expect(verdict(chain)).toContain(': OK');
  });

  // What OpenSSL's strict mode refuses by itself, given the right root: the rest is SPIFFE's own.
  test.each(battery.bad.filter((each) => OPENSSL_REFUSES.has(each.want)))('refuses $name, as we do', ({ chain }) => {
    expect(verdict(chain)).not.toContain(': OK');
  });

  function verdict(chain: readonly Buffer[]): string {
    const [leaf = Buffer.alloc(0), ...rest] = chain;
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    // The good leaf of b.test is verified by its own domain's root, as we do.
    const isOfB = leaf.includes('spiffe://b.test/');
    const root = file('root.pem', isOfB ? battery.b.bundlePem : battery.a.bundlePem);
    const untrusted = file('untrusted.pem', rest.map((der) => writePem('CERTIFICATE', der)).join(''));
    const subject = file('leaf.pem', writePem('CERTIFICATE', leaf));
    const args = ['verify', '-x509_strict', '-CAfile', root, ...(rest.length === 0 ? [] : ['-untrusted', untrusted]), subject];
    try {
      return execFileSync(openssl ?? 'openssl', args, { stdio: 'pipe' }).toString();
    } catch (error) {
      return String(error);
    }
  }
});

const OPENSSL_REFUSES: ReadonlySet<string> = new Set([
  'foreign_issuer',
  'issuer_missing',
  'expired',
  'not_yet_valid',
  'issuer_not_ca',
  'issuer_key_cert_sign',
  'path_length',
  'name_constraint',
  'critical_extension',
  'issuer_is_svid',
]);
