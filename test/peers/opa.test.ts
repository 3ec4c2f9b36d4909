/**
 * The real OPA as signer and as server, and its SDK for npm: bundles that OPA signs are accepted and those of others are not; a
 * bundle fetched over HTTP is loaded; OPA's own evaluation, the SDK's and ours agree.
 */
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { loadPolicy } from '@open-policy-agent/opa-wasm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { readBundle } from '#authz/opa/bundle/bundle.ts';
import type { BundleVerification } from '#authz/opa/bundle/signature.ts';
import { envoyInput } from '#authz/opa/envoy-input.ts';
import { readEnvoyDecision } from '#authz/opa/envoy-decision.ts';
import { toJson } from '#authz/opa/json.ts';
import { DEFAULT_BUNDLE_LIMITS, DEFAULT_OPA_LIMITS } from '#authz/opa/limits.ts';
import { loadProgram } from '#authz/opa/load.ts';
import { BundleDownload } from '#proxy/opa/bundle-download.ts';
import { opaBuild } from '#test/conformance/opa/opa.ts';
import { peer, requirePeer } from '#test/support/peers.ts';

const POLICY = `package envoy.authz

default allow := {"allowed": false, "http_status": 403}

allow := {"allowed": true, "headers": {"x-item": id}} if {
	input.attributes.request.http.method == "GET"
	input.parsed_path = ["items", id]
	input.attributes.source.principal in data.callers
}
`;
const NOW = 1_767_225_600;

describe.skipIf(peer('opa') === null)('the real OPA', () => {
  const root = mkdtempSync(join(tmpdir(), 'postern-opa-peer-'));
  const folder = join(root, 'bundle');
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  beforeAll(() => {
    mkdirSync(folder);
    writeFileSync(join(folder, 'policy.rego'), POLICY);
    writeFileSync(join(folder, 'data.json'), JSON.stringify({ callers: ['spiffe://cluster.local/ns/shop/sa/web'], rate: 1.0 }));
    writeFileSync(join(folder, '.manifest'), JSON.stringify({ revision: 'r1', roots: ['envoy', 'callers', 'rate'] }));
    for (const [name, key] of [
      ['rsa', privateKey],
      ['ec', ec.privateKey],
    ] as const) {
      writeFileSync(join(root, `${name}.pem`), key.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
    }
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  const signed = (algorithm: string, key: string): Buffer =>
    opaBuild(folder, 'wasm', ['envoy/authz/allow'], ['--signing-alg', algorithm, '--signing-key', key]);
  const pem = (key: typeof publicKey): string => key.export({ format: 'pem', type: 'spki' }).toString();
  const open = (archive: Uint8Array, verification: BundleVerification | 'unsigned') =>
    readBundle(archive, { limits: DEFAULT_BUNDLE_LIMITS, verification, nowSeconds: NOW });
  const keyOf = (key: string, algorithm: string): BundleVerification => ({ keys: new Map([['default', { key, algorithm }]]) });

  test.each([
    { algorithm: 'RS256', key: () => join(root, 'rsa.pem'), verify: () => pem(publicKey) },
    { algorithm: 'PS384', key: () => join(root, 'rsa.pem'), verify: () => pem(publicKey) },
    { algorithm: 'ES256', key: () => join(root, 'ec.pem'), verify: () => pem(ec.publicKey) },
    { algorithm: 'HS512', key: () => 'a-shared-secret', verify: () => 'a-shared-secret' },
  ])('signs with $algorithm what we accept, and only with its key', ({ algorithm, key, verify }) => {
    const archive = signed(algorithm, key());
    const bundle = open(archive, keyOf(verify(), algorithm));
    expect(bundle).toMatchObject({ isSigned: true, manifest: { revision: 'r1' }, policy: { kind: 'wasm' } });
    const other =
      algorithm === 'ES256'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('rsa', { modulusLength: 2048 });
    const foreign = algorithm === 'HS512' ? 'another-secret' : pem(other.publicKey);
    expect(() => open(archive, keyOf(foreign, algorithm))).toThrow(/not made with the key/u);
    for (let at = 20; at < archive.length - 8; at += Math.ceil(archive.length / 40)) {
      const flipped = Buffer.from(archive);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      expect(() => open(flipped, keyOf(verify(), algorithm))).toThrow(Error);
    }
  });

  test('a signed bundle is fetched, verified, loaded and asked', async () => {
    const archive = signed('ES256', join(root, 'ec.pem'));
    const server = createServer((request, response) => {
      if (request.headers['if-none-match'] === '"r1"') response.writeHead(304).end();
      else response.writeHead(200, { etag: '"r1"', 'content-type': 'application/gzip' }).end(archive);
    });
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
    // A server of TCP has such an address.
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/bundle.tar.gz`;
    const verification = keyOf(pem(ec.publicKey), 'ES256');
    const source = {
      url,
      token: null,
      file: join(root, 'state'),
      maxBytes: 1_000_000,
      timeoutMs: 2_000,
      longPollSeconds: null,
      ca: null,
    };
    const download = new BundleDownload(source, (bytes) => void loadProgram(open(bytes, verification), DEFAULT_OPA_LIMITS));
    const fetched = await download.fetch();
    expect(await download.fetch()).toEqual({ kind: 'unchanged' });
    await download.close();
    server.close();
    const program = loadProgram(
      open(fetched.kind === 'new' ? fetched.archive : Buffer.alloc(0), verification),
      DEFAULT_OPA_LIMITS,
    );
    const outcome = program.evaluate('envoy/authz/allow', input('/items/7'), 0n);
    expect(outcome.ok && readEnvoyDecision(toJson(outcome.value))).toMatchObject({ allowed: true, headers: [['x-item', '7']] });
  });

  test('opa eval, the SDK for npm and we agree on the document of a request', async () => {
    const archive = opaBuild(folder, 'wasm', ['envoy/authz/allow']);
    const bundle = open(archive, 'unsigned');
    const program = loadProgram(bundle, DEFAULT_OPA_LIMITS);
    const sdk = await loadPolicy(bundle.policy.bytes);
    sdk.setData(JSON.parse(toJson(bundle.data)) as object); // data documents are objects
    for (const path of ['/items/7', '/items', '/other/7?x=1', '/items/%2e%2e']) {
      const document = input(path);
      const file = join(root, 'input.json');
      writeFileSync(file, document);
      const args = [
        'eval',
        '-d',
        join(folder, 'policy.rego'),
        '-d',
        join(folder, 'data.json'),
        '-i',
        file,
        '--format',
        'raw',
        'data.envoy.authz.allow',
      ];
      const real: unknown = JSON.parse(execFileSync(requirePeer('opa'), args).toString());
      const outcome = program.evaluate('envoy/authz/allow', document, 0n);
      expect(outcome.ok && JSON.parse(toJson(outcome.value))).toEqual(real);
      const [answer] = sdk.evaluate(JSON.parse(document)) as { result: unknown }[]; // its result set
      expect(answer?.result).toEqual(real);
    }
  });

  test('a builtin that is refused is named when the bundle is loaded', () => {
    const other = join(root, 'refused', 'bundle');
    mkdirSync(other, { recursive: true });
    writeFileSync(
      join(other, 'p.rego'),
      'package p\n\nallow if http.send({"method": "get", "url": input.url}).status_code == 200\n',
    );
    for (const target of ['wasm', 'plan'] as const) {
      const archive = opaBuild(other, target, ['p/allow']);
      expect(() => loadProgram(open(archive, 'unsigned'), DEFAULT_OPA_LIMITS)).toThrow(/"http\.send".*network/u);
    }
  });

  test('every builtin that OPA knows is here, or refused by name', async () => {
    const { findBuiltin, refusalOf } = await import('#authz/opa/builtins/table.ts');
    const capabilities = JSON.parse(execFileSync(requirePeer('opa'), ['capabilities', '--current']).toString()) as {
      builtins: { name: string }[]; // what OPA prints
    };
    const compileTime = new Set(['assign', 'print', 'rego.metadata.chain', 'rego.metadata.rule', 'internal.test_case']);
    const unknown = capabilities.builtins
      .map(({ name }) => name)
      .filter((name) => !compileTime.has(name) && findBuiltin(name) === null && refusalOf(name).startsWith('no such'));
    expect(unknown).toEqual([]);
  });

  function input(path: string): string {
    const made = envoyInput(
      {
        source: { address: '10.0.0.1', port: 5, principal: 'spiffe://cluster.local/ns/shop/sa/web' },
        destination: null,
        id: 'x',
        method: 'GET',
        path,
        host: 'items.shop',
        scheme: 'https',
        protocol: 'HTTP/1.1',
        headers: {},
        size: 0,
        timeMs: NOW * 1000,
        body: null,
      },
      { parseBody: true },
    );
    return made.ok ? made.json : '{}';
  }
});
