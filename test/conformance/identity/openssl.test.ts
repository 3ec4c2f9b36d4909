/**
 * Chains made up at random, with and without faults, judged by the verifier and by `openssl verify`: whatever we accept, OpenSSL accepts
 * in its strict mode. The other way round does not hold, because SPIFFE asks for more.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';

import { createIntermediate, createRoot, issueSvid } from '#certs/authority/authority.ts';
import type { Authority, Overrides } from '#certs/authority/authority.ts';
import { verifySvid } from '#certs/verify.ts';
import { EXTENDED_KEY_USAGE, EXTENSION, KEY_USAGE } from '#certs/x509/extensions.ts';
import { writePem } from '#certs/x509/pem.ts';
import * as write from '#certs/x509/write.ts';
import { add, bundlesOf, drop, intact, swap, unknownExtension } from '#test/support/authority.ts';
import { peer } from '#test/support/peers.ts';

import { WORKLOAD_ID } from './svid-cases.ts';

const openssl = peer('openssl');
const HOUR_MS = 3_600_000;
const atMs = Date.now();

/** Weighted towards no fault, so that a third to a half of all chains are good. */
const signerOverrides = fc.oneof(
  { weight: 14, arbitrary: fc.constant(intact) },
  {
    weight: 5,
    arbitrary: fc.constantFrom<Overrides>(
      swap(write.basicConstraints(true, 0)),
      swap(write.basicConstraints(true, 1)),
      swap(write.basicConstraints(false)),
      swap(write.keyUsage(KEY_USAGE.digitalSignature)),
      swap(write.keyUsage(KEY_USAGE.keyCertSign)),
      add(write.nameConstraints(['a.test'], [])),
      add(write.nameConstraints(['b.test'], [])),
      add(write.nameConstraints([], ['a.test'])),
      add(write.nameConstraints([], ['b.test'])),
      add(unknownExtension(true)),
      add(unknownExtension(false)),
      () => ({ notAfterMs: atMs - 1000 }),
      () => ({ notBeforeMs: atMs + HOUR_MS }),
      drop(EXTENSION.basicConstraints),
      drop(EXTENSION.keyUsage),
    ),
  },
);

const leafOverrides = fc.oneof(
  { weight: 3, arbitrary: fc.constant(intact) },
  {
    weight: 2,
    arbitrary: fc.constantFrom<Overrides>(
      swap(write.keyUsage(KEY_USAGE.digitalSignature | KEY_USAGE.keyAgreement)),
      swap(write.keyUsage(KEY_USAGE.digitalSignature | KEY_USAGE.keyCertSign)),
      swap(write.extKeyUsage([EXTENDED_KEY_USAGE.serverAuth])),
      swap(write.subjectAltName([WORKLOAD_ID], ['a', '*.b'], true)),
      swap(write.subjectAltName([WORKLOAD_ID], [], false)),
      drop(EXTENSION.extKeyUsage),
      drop(EXTENSION.basicConstraints),
      add(unknownExtension(true)),
      () => ({ notAfterMs: atMs - 1000 }),
      () => ({ serial: Buffer.from([0]) }),
    ),
  },
);

const chains = fc.record({
  signers: fc.array(signerOverrides, { maxLength: 3 }),
  leaf: leafOverrides,
  isForged: fc.constantFrom(false, false, false, false, false, true),
  /** Index of an intermediate that is left out. */
  missing: fc.option(fc.nat(2), { freq: 6 }),
});

describe.skipIf(openssl === null)('verifySvid()', () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-openssl-'));
  const run = promisify(execFile);
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  test('accepts nothing that OpenSSL refuses', async () => {
    const root = createRoot({ trustDomain: 'a.test', atMs, lifetimeMs: HOUR_MS });
    const twin = createRoot({ trustDomain: 'a.test', atMs, lifetimeMs: HOUR_MS });
    const bundles = bundlesOf(root);
    writeFileSync(join(folder, 'root.pem'), root.bundlePem);
    let accepted = 0;
    let judged = 0;
    await fc.assert(
      fc.asyncProperty(chains, async ({ signers, leaf, isForged, missing }) => {
        let authority: Authority = isForged ? twin : root;
        for (const [index, overrides] of signers.entries()) {
          authority = createIntermediate(authority, { atMs, lifetimeMs: HOUR_MS, name: `number ${index}`, overrides });
        }
        const svid = issueSvid(authority, { spiffeId: WORKLOAD_ID, atMs, lifetimeMs: HOUR_MS, overrides: leaf });
        const chain = svid.chain.filter((_, index) => missing === null || index !== missing + 1);
        const ours = verifySvid(chain, bundles, { atMs });
        judged++;
        if (!ours.ok) return;
        accepted++;
        expect(await opensslVerdict(chain)).toContain(': OK');
      }),
      { numRuns: 150 },
    );
    expect(accepted / judged).toBeGreaterThan(0.15);
    expect(accepted / judged).toBeLessThan(0.85);
  });

  async function opensslVerdict(chain: readonly Buffer[]): Promise<string> {
    const [leaf, untrusted] = [join(folder, 'leaf.pem'), join(folder, 'untrusted.pem')];
    writeFileSync(leaf, writePem('CERTIFICATE', chain[0] ?? Buffer.alloc(0)));
    writeFileSync(untrusted, chain.map((der) => writePem('CERTIFICATE', der)).join(''));
    const args = ['verify', '-x509_strict', '-CAfile', join(folder, 'root.pem'), '-untrusted', untrusted, leaf];
    return run(openssl ?? 'openssl', args).then(
      ({ stdout }) => stdout,
      (error: unknown) => String(error),
    );
  }
});
