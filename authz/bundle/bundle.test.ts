import { generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { loadEngine } from '../engine/load.ts';
import { compileSelected } from '../plan/compile.ts';
import { readPolicies } from '../policy/read.ts';
import { selectPolicies } from '../policy/select.ts';
import { readSigningKey, readVerificationKey, verificationKeyOf } from './keys.ts';
import { HEAD, signedBytes } from './layout.ts';
import { manifestText, parseManifest } from './manifest.ts';
import { parsePolicyText, policyText } from './policy-text.ts';
import { BUNDLE_REFUSALS, readBundle } from './read.ts';
import type { BundleExpectation, BundleVerdict } from './read.ts';
import { digestOf, writeBundle } from './write.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const stranger = generateKeyPairSync('ed25519');
const key = verificationKeyOf(publicKey);
const workload = { namespace: 'shop', serviceAccount: null, labels: { app: 'orders' }, trustDomains: ['cluster.local'] };
const statement = { revision: 7, notBefore: 1_000, expires: 2_000, workload };
const wanted: BundleExpectation = { keys: [key], workload, nowMs: 1_500, last: null };
const policy = policyFrom(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: web, namespace: shop }
spec:
  rules:
    - from: [{ source: { principals: [cluster.local/ns/shop/sa/web], ipBlocks: [10.0.0.0/8] } }]
      to: [{ operation: { methods: [GET], paths: ["/orders/{*}"], hosts: [orders.shop] } }]
      when:
        - { key: "request.headers[x-a]", values: [b] }
        - { key: "request.auth.claims[groups]", values: [c] }`);
const bundle = writeBundle(policy, statement, privateKey);

test('readBundle() gives back what writeBundle() was given, and it loads', () => {
  const verdict = readBundle(bundle, wanted);
  expect(verdict).toMatchObject({ ok: true, keyId: key.id, manifest: { revision: 7, policyRevision: policy.revision } });
  if (!verdict.ok) return;
  const { model, wasm, ...facts } = verdict.policy;
  const { model: givenModel, wasm: givenWasm, ...given } = policy;
  expect(facts).toEqual(given);
  expect([Buffer.from(wasm), Buffer.from(model)]).toEqual([Buffer.from(givenWasm), Buffer.from(givenModel)]);
  expect(loadEngine(verdict.policy, { whenNoneSelects: 'deny' })).toBeDefined();
});

test('writeBundle() writes the same bytes of the same policy', () => {
  expect(Buffer.from(writeBundle(policy, statement, privateKey)).equals(bundle)).toBe(true);
});

describe('readBundle() refuses', () => {
  const other = { ...workload, labels: { app: 'ledger' } };
  test.each<[string, Partial<BundleExpectation>, string]>([
    ['without a key', { keys: [] }, 'bundle_signer_unknown'],
    ['a foreign signer', { keys: [verificationKeyOf(stranger.publicKey)] }, 'bundle_signer_unknown'],
    ['a key under the name of another', { keys: [{ id: key.id, key: stranger.publicKey }] }, 'bundle_signature'],
    ['a bundle of other labels', { workload: other }, 'bundle_workload'],
    ['a bundle of another namespace', { workload: { ...workload, namespace: 'bank' } }, 'bundle_workload'],
    ['a bundle of another account', { workload: { ...workload, serviceAccount: 'a' } }, 'bundle_workload'],
    ['a bundle of another trust domain', { workload: { ...workload, trustDomains: ['a.test'] } }, 'bundle_workload'],
    ['before it begins', { nowMs: 999 }, 'bundle_not_yet_valid'],
    ['at its end', { nowMs: 2_000 }, 'bundle_expired'],
    ['one of the greatest age', { maxAgeMs: 500 }, 'bundle_expired'],
    ['a downgrade', { last: { revision: 8, digest: 'sha256:x' } }, 'bundle_downgrade'],
    ['a revision that was another bundle', { last: { revision: 7, digest: 'sha256:x' } }, 'bundle_revision_reused'],
  ])('%s', (_, expectation, code) => {
    expect(readBundle(bundle, { ...wanted, ...expectation })).toMatchObject({ ok: false, code });
  });

  test.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(), 'bundle_format'],
    ['a file of something else', Buffer.alloc(500, 'a'), 'bundle_format'],
    ['a bundle cut short', bundle.subarray(0, -1), 'bundle_format'],
    ['a head alone', bundle.subarray(0, HEAD.parts), 'bundle_format'],
    ['bytes after its end', Buffer.concat([bundle, Buffer.from([0])]), 'bundle_format'],
    ['another version', resigned(bundle, (bytes) => bytes.writeUInt32BE(2, HEAD.version)), 'bundle_version'],
    ['too many bytes', new Uint8Array(64 * 1_048_576 + 1), 'bundle_size'],
    // What only a signer could bring about.
    ['a manifest that is none', resigned(bundle, (bytes) => bytes.write('[', HEAD.parts)), 'bundle_manifest'],
    [
      'a content that the manifest does not mean',
      resigned(bundle, (bytes) => flip(bytes, 8 * bytes.length - 1)),
      'bundle_digest',
    ],
    ['parts that begin elsewhere', resigned(bundle, moveBorder), 'bundle_policy'],
  ])('%s', (_, bytes, code) => {
    expect(readBundle(bytes, wanted)).toMatchObject({ ok: false, code });
  });

  test('every flip of a single bit', () => {
    const bytes = Buffer.from(bundle);
    const accepted: number[] = [];
    // Each by the whole reader; a bundle of a few kilobytes has some ten thousand bits.
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      flip(bytes, bit);
      if (readBundle(bytes, wanted).ok) accepted.push(bit);
      flip(bytes, bit);
    }
    expect(accepted).toEqual([]);
    expect(readBundle(bytes, wanted).ok).toBe(true);
  }, 120_000);

  test('whatever bytes it is given, without a throw', () => {
    const mutation = fc.record({ at: fc.nat(bundle.length - 1), remove: fc.nat(40), insert: fc.uint8Array({ maxLength: 40 }) });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), mutation), (given) => {
        const bytes = given instanceof Uint8Array ? given : mutated(given.at, given.remove, given.insert);
        expect(Buffer.from(bytes).equals(bundle) || !readBundle(bytes, wanted).ok).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});

test('docs/bundles.md names every refusal, in the words of the table', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/bundles.md'), 'utf8');
  const missing = Object.entries(BUNDLE_REFUSALS).filter(([code, meaning]) => !page.includes(`| \`${code}\` | ${meaning} |`));
  expect(missing).toEqual([]);
});

test('readBundle() takes the last bundle again', () => {
  const first: BundleVerdict = readBundle(bundle, wanted);
  expect(readBundle(bundle, { ...wanted, last: first.ok ? first.manifest : null }).ok).toBe(true);
});

test.each([
  ['a revision of 0', { revision: 0 }],
  ['a fraction of a revision', { revision: 1.5 }],
  ['an end before its begin', { expires: 1_000 }],
])('writeBundle() refuses %s', (_, changed) => {
  expect(() => writeBundle(policy, { ...statement, ...changed }, privateKey)).toThrow('Cannot write the bundle');
});

test.each([
  ['{}'],
  ['null'],
  ['['],
  [`${goodManifest()} `],
  [goodManifest().replace('"revision":7', '"revision":7,"revision":7')],
  [goodManifest().replace('"revision":7', '"revision":7,"more":1')],
  [goodManifest().replace('"revision":7', '"revision":7.0')],
  [goodManifest().replace('"revision":7', '"revision":-7')],
  [goodManifest().replace('"app":"orders"', '"app":1')],
])('parseManifest() refuses %s', (text) => {
  expect(parseManifest(goodManifest())).not.toBeNull();
  expect(parseManifest(text)).toBeNull();
});

test('parsePolicyText() refuses a text with any member changed, taken out or added', () => {
  const text = policyText(policy);
  expect(parsePolicyText(text)).not.toBeNull();
  const broken = [
    text.replace('"isEmpty":false', '"isEmpty":0'),
    text.replace('"isEmpty":false', '"isEmpty":false,"more":1'),
    text.replace('"isEmpty":false,', ''),
    text.replace('"allowed_by_rule"', '"allowed"'),
    text.replace(/"descriptor":(\d+)/, '"descriptor":-1'),
    text.replace(/"descriptor":(\d+)/, '"descriptor":4294967296'),
    text.replace('"kind":"method"', '"kind":"verb"'),
    text.replace('"effect":"deny"', '"effect":"none"'),
    ` ${text}`,
  ];
  expect(broken.filter((each) => each === text || parsePolicyText(each) !== null)).toEqual([]);
});

test('keys other than Ed25519 are refused, and a private key where a public one is wanted', () => {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = (given: typeof privateKey): string =>
    String(given.export({ format: 'pem', type: given.type === 'private' ? 'pkcs8' : 'spki' }));
  expect(() => readSigningKey(pem(ec.privateKey))).toThrow('found a key of type ec');
  expect(() => readVerificationKey(pem(ec.publicKey))).toThrow('found a key of type ec');
  expect(() => readVerificationKey(pem(privateKey))).toThrow('found no public key');
  expect(() => readSigningKey('')).toThrow('found no private key');
  expect(readVerificationKey(pem(publicKey)).id).toBe(verificationKeyOf(readSigningKey(pem(privateKey))).id);
});

function policyFrom(text: string) {
  const options = { rootNamespace: 'istio-system', trustDomain: 'cluster.local', trustDomainAliases: [] };
  return compileSelected(selectPolicies(readPolicies(text, 'a.yaml').set, workload, options), 1);
}

function goodManifest(): string {
  const digest = digestOf([]);
  return manifestText({ ...statement, policyRevision: digest, digest });
}

/** Changed, and signed again by the one who may. */
function resigned(from: Uint8Array, change: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.from(from);
  change(bytes);
  bytes.set(sign(null, signedBytes(bytes), privateKey), HEAD.signature);
  return bytes;
}

/** One byte of the module becomes one of the policy. */
function moveBorder(bytes: Buffer): void {
  for (const [index, by] of [
    [1, 1],
    [2, -1],
  ] as const) {
    const at = HEAD.lengths + 4 * index;
    bytes.writeUInt32BE(bytes.readUInt32BE(at) + by, at);
  }
}

function flip(bytes: Buffer, bit: number): void {
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
}

function mutated(at: number, remove: number, insert: Uint8Array): Buffer {
  return Buffer.concat([bundle.subarray(0, at), insert, bundle.subarray(at + remove)]);
}
