/** go-spiffe's own cases: SPIFFE IDs, SVID files, bundles, verification. Rows whose data was not published are rebuilt with our authority. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { createRoot, issueSvid } from '#certs/authority/authority.ts';
import type { Authority, Overrides } from '#certs/authority/authority.ts';
import { parseSpiffeId, parseTrustDomain } from '#certs/spiffe-id.ts';
import { parseSvid } from '#certs/svid.ts';
import { parseTrustBundle, TrustBundles } from '#certs/trust-bundle.ts';
import { verifySvid } from '#certs/verify.ts';
import { EXTENSION, KEY_USAGE } from '#certs/x509/extensions.ts';
import * as write from '#certs/x509/write.ts';
import { bundlesOf, drop, intact, swap } from '#test/support/authority.ts';
import { vectorsDir } from '#test/support/vectors.ts';

const vectors = vectorsDir();
const HOUR_MS = 3_600_000;
const atMs = Date.now();

interface IdRow {
  readonly ok: boolean;
  readonly in: string;
  readonly detail: string;
}

describe.skipIf(vectors === null)('SPIFFE IDs', () => {
  const table = json<Record<'fromString' | 'trustDomainFromString' | 'paths' | 'generatedCharTable', IdRow[]>>('spiffe-id.json', {
    fromString: [],
    trustDomainFromString: [],
    paths: [],
    generatedCharTable: [],
  });
  const rows = [
    ...table.fromString.map((row) => ({ ...row, kind: 'ID', got: parseSpiffeId(row.in) })),
    ...table.trustDomainFromString.map((row) => ({ ...row, kind: 'trust domain', got: parseTrustDomain(row.in) })),
    ...table.paths.map((row) => ({ ...row, kind: 'path', got: parseSpiffeId(`spiffe://td${row.in}`) })),
    ...table.generatedCharTable.map((row) => ({ ...row, kind: 'ID', got: parseSpiffeId(row.in) })),
  ];

  test('are 547 rows', () => {
    expect(rows).toHaveLength(547);
  });

  test.each(rows)('$kind $in ($detail)', ({ ok, got }) => {
    expect(got.ok).toBe(ok);
  });

  // Their sentence and our code stand for the same rule; what we tell apart more finely is listed.
  test.each([
    { detail: 'scheme is missing or invalid', codes: ['scheme'] },
    { detail: 'trust domain is missing', codes: ['trust_domain_missing'] },
    { detail: 'trust domain characters are limited', codes: ['trust_domain_charset'] },
    { detail: 'path cannot have a trailing slash', codes: ['path_trailing_slash'] },
    { detail: 'path cannot contain empty segments', codes: ['path_empty_segment'] },
    { detail: 'path cannot contain dot segments', codes: ['path_dot_segment'] },
    { detail: 'path segment characters are limited', codes: ['path_charset', 'path_percent_encoding'] },
  ])('say "$detail" where we do', ({ detail, codes }) => {
    const found = rows.filter((row) => row.detail.startsWith(detail));
    expect(found.length).toBeGreaterThan(0);
    for (const row of found) expect(codes).toContain(row.got.ok ? 'accepted' : row.got.code);
  });
});

describe.skipIf(vectors === null)('bundle files', () => {
  test.each([
    { file: 'x509bundle/cert.pem', anchors: 1 },
    { file: 'x509bundle/certs.pem', anchors: 2 },
    { file: 'x509bundle/empty.pem', anchors: 0 },
    { file: 'spiffebundle/spiffebundle_valid_1.json', anchors: 1 },
    { file: 'spiffebundle/spiffebundle_valid_2.json', anchors: 1 },
    { file: 'spiffebundle/spiffebundle_valid_with_wit.json', anchors: 1 },
    // go-spiffe refuses this one; X509-SVID 6.2 says that all values of x5c but the first MUST be ignored.
    { file: 'spiffebundle/spiffebundle_multiple_x509.json', anchors: 1 },
    // JWT keys alone: a bundle that vouches for no X.509-SVID. Their keys are judged where JWT-SVIDs are.
    { file: 'jwtbundle/jwks_valid_1.json', anchors: 0 },
    { file: 'jwtbundle/jwks_valid_2.json', anchors: 0 },
    { file: 'jwtbundle/jwks_missing_kid.json', anchors: 0 },
  ])('$file holds $anchors anchors', ({ file, anchors }) => {
    const parsed = parseTrustBundle('domain.test', text(`bundle/${file}`));
    expect(parsed).toMatchObject({ ok: true });
    expect(parsed.ok && parsed.bundle.anchors).toHaveLength(anchors);
  });

  test.each([
    { file: 'x509bundle/not-pem.pem', code: 'bundle_not_pem' },
    { file: 'x509bundle/corrupted.pem', code: 'bundle_certificate' },
    { file: 'spiffebundle/spiffebundle_missing_kid.json', code: 'bundle_key_id' },
    { file: 'spiffebundle/spiffebundle_no_keys.json', code: 'bundle_keys' },
  ])('$file is refused', ({ file, code }) => {
    expect(parseTrustBundle('domain.test', text(`bundle/${file}`))).toMatchObject({ ok: false, code });
  });

  test('are all accounted for', () => {
    const count = ['jwtbundle', 'spiffebundle', 'x509bundle'].flatMap((each) =>
      readdirSync(join(vectors ?? '', 'spiffe/bundle', each)),
    );
    expect(count).toHaveLength(14);
  });
});

describe.skipIf(vectors === null)('SVID files', () => {
  const { keyPem, certificatePem } = issueSvid(root(), { spiffeId: 'spiffe://domain.test/x', atMs, lifetimeMs: HOUR_MS });
  // Their private keys were not published: a certificate that passes every rule then fails by its key, which is asked last.
  const files: Readonly<Record<string, { readonly file: string; readonly code: string }>> = {
    certSingle: { file: 'good-leaf-only.pem', code: 'key_mismatch' },
    certMultiple: { file: 'good-leaf-and-intermediate.pem', code: 'key_mismatch' },
    notPEM: { file: 'not-pem', code: 'certificate_not_pem' },
    corruptCert: { file: 'corrupt-cert.pem', code: 'certificate_malformed' },
    leafEmptyID: { file: 'wrong-leaf-empty-id.pem', code: 'uri_san_missing' },
    leafCAtrue: { file: 'wrong-leaf-ca-true.pem', code: 'leaf_is_ca' },
    leafNoDigitalSignature: { file: 'wrong-leaf-no-digital-signature.pem', code: 'digital_signature_missing' },
    leafCertSign: { file: 'wrong-leaf-cert-sign.pem', code: 'leaf_key_cert_sign' },
    leafCRLSign: { file: 'wrong-leaf-crl-sign.pem', code: 'leaf_crl_sign' },
    signNoCA: { file: 'wrong-intermediate-no-ca.pem', code: 'issuer_not_ca' },
    signNoKeyCertSign: { file: 'wrong-intermediate-no-key-cert-sign.pem', code: 'issuer_key_cert_sign' },
  };

  test.each(Object.values(files))('$file: $code', ({ file, code }) => {
    expect(parseSvid(text(`svid/x509svid/${file}`), keyPem)).toMatchObject({ ok: false, code });
  });

  const rebuilt: Readonly<Record<string, string>> = {
    keyRSA: keyPem,
    keyECDSA: keyPem,
    certSingle: certificatePem,
    certMultiple: certificatePem,
    keyAndCert: keyPem + certificatePem,
    certAndKey: certificatePem + keyPem,
    notPEM: 'not PEM',
    corruptKey: '-----BEGIN PRIVATE KEY-----\nQ09SUlVQVA==\n-----END PRIVATE KEY-----\n',
  };
  const load = json<{
    load: { name: string; keyPath: string | null; certsPath: string | null; expErrContains: string | null }[];
  }>('x509svid-cases.json', { load: [] }).load;

  test.each(load.map((row, index) => ({ ...row, index })))('load row $index: $name', (row) => {
    const certificates =
      row.certsPath === null ? 'not DER' : (rebuilt[row.certsPath] ?? text(`svid/x509svid/${fileOf(row.certsPath)}`));
    const isMismatch = row.name === 'Certificate does not match private key';
    const keys = isMismatch ? issueSvid(root(), { spiffeId: 'spiffe://domain.test/y', atMs, lifetimeMs: HOUR_MS }).keyPem : null;
    const key = keys ?? (row.keyPath === null ? 'not DER' : (rebuilt[row.keyPath] ?? ''));
    expect(parseSvid(certificates, key).ok).toBe(row.expErrContains === null);
  });

  function fileOf(name: string): string {
    return files[name]?.file ?? name;
  }
});

describe.skipIf(vectors === null)('verification', () => {
  const one = root('domain1.test');
  const two = root('domain2.test');
  const bad = root('domain1.test');
  const id = 'spiffe://domain1.test/workload1';
  const chain = (overrides: Overrides = intact, spiffeId = id): readonly Buffer[] =>
    issueSvid(one, { spiffeId, atMs, lifetimeMs: HOUR_MS, overrides }).chain;
  const usage = (bit: number): Overrides => swap(write.keyUsage(KEY_USAGE.digitalSignature | bit));
  const chains: Readonly<Record<string, readonly Buffer[]>> = {
    leaf1: chain(),
    leafBad: chain(intact, 'sparfe://domain1.test/workload1'),
    leaf1NoURI: chain(drop(EXTENSION.subjectAltName)),
    leaf1DupUris: chain(swap(write.subjectAltName([id, 'spiffe://domain1.test/workload2'], [], true))),
    leaf1IsCA: chain(swap(write.basicConstraints(true))),
    leaf1WithCertSign: chain(usage(KEY_USAGE.keyCertSign)),
    leaf1WithCRLSign: chain(usage(KEY_USAGE.cRLSign)),
  };
  const codes: Readonly<Record<string, string>> = {
    'empty chain': 'chain_empty',
    'empty bundle': 'bundle_missing',
    'nil bundle': 'bundle_missing',
    'no roots': 'bundle_missing',
    'no roots for leaf cert domain': 'bundle_missing',
    'bad leaf cert id': 'scheme',
    'verification fails': 'issuer_mismatch',
    'no URI SAN': 'san_missing',
    'more than one URI SAN': 'uri_san_multiple',
    'leaf is CA': 'leaf_is_ca',
    'leaf has KeyUsageCertSign': 'leaf_key_cert_sign',
    'leaf has KeyUsageCRLSign': 'leaf_crl_sign',
    'with time': 'expired',
  };
  const rows = json<{ verify: { name: string; chain?: string; bundle?: string; err?: string }[] }>('x509svid-cases.json', {
    verify: [],
  }).verify;

  test.each(rows)('$name', ({ name, chain: chainName, bundle, err }) => {
    const at = name === 'with time' ? atMs + HOUR_MS + 1000 : atMs;
    const result = verifySvid(chains[chainName ?? ''] ?? [], bundlesFor(name, bundle), { atMs: at });
    expect(result.ok).toBe(err === undefined);
    expect(result.ok ? undefined : result.code).toBe(codes[name]);
  });

  function bundlesFor(name: string, bundle: string | undefined): TrustBundles {
    if (bundle === 'bundle1') return bundlesOf(one);
    if (bundle === 'bundle2') return bundlesOf(two);
    if (bundle === 'bundleBad') return bundlesOf(bad);
    const empty = parseTrustBundle('domain1.test', '');
    return new TrustBundles(name === 'no roots' && empty.ok ? [empty.bundle] : [], 0);
  }
});

function root(trustDomain = 'domain.test'): Authority {
  return createRoot({ trustDomain, atMs, lifetimeMs: 2 * HOUR_MS });
}

function text(file: string): string {
  return readFileSync(join(vectors ?? '', 'spiffe', file), 'utf8');
}

/** The table in `file`; `none` where there are no vectors, so that the tests can be listed as skipped. */
function json<Table>(file: string, none: Table): Table {
  if (vectors === null) return none;
  // The files are part of the vectors and do not change; a row of another shape fails its test.
  return JSON.parse(text(file)) as Table;
}
