import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';

import { afterAll, expect, test } from 'vitest';

import { verificationKeyOf } from '#authz/bundle/keys.ts';
import { readBundle } from '#authz/bundle/read.ts';

import { run } from '../main.ts';

const folder = mkdtempSync(join(tmpdir(), 'compile-'));
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
writeFileSync(join(folder, 'sign.pem'), privateKey.export({ format: 'pem', type: 'pkcs8' }));
writeFileSync(
  join(folder, 'good.yaml'),
  `apiVersion: security.postern.mesh/v1alpha1
kind: AccessPolicy
metadata: { name: orders, namespace: shop }
spec: { expires: "2030-01-01T00:00:00Z", rules: [{ from: [{ serviceAccounts: [web] }], to: [{ methods: [GET] }] }] }
`,
);
writeFileSync(
  join(folder, 'bad.yaml'),
  'apiVersion: security.postern.mesh/v1alpha1\nkind: AccessPolicy\nmetadata: { name: a }\nspec: { ruels: [] }\n',
);
writeFileSync(
  join(folder, 'tokens.yaml'),
  `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: users, namespace: shop }
spec: { jwtRules: [{ issuer: "https://idp.test", jwks: '{"keys":[]}' }] }
`,
);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('policy compile writes a bundle that verifies, and ends when a policy of it does', async () => {
  const { status, stdout } = await compile('good.yaml', '--not-before', '2029-12-31T12:00:00Z');
  expect(status).toBe(0);
  const told: unknown = JSON.parse(stdout);
  expect(told).toMatchObject({ revision: 7, expires: '2030-01-01T00:00:00.000Z', selected: 1, rules: 1 });
  const workload = { namespace: 'shop', serviceAccount: null, labels: { app: 'orders' }, trustDomains: ['cluster.local'] };
  const nowMs = Date.parse('2029-12-31T13:00:00Z');
  const verdict = readBundle(readFileSync(join(folder, 'out')), {
    keys: [verificationKeyOf(publicKey)],
    workload,
    nowMs,
    last: null,
  });
  expect(verdict).toMatchObject({ ok: true, manifest: { revision: 7 } });
  expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});

test.each([
  ['policies that are invalid', ['bad.yaml'], 65, 'Did you mean|ruels'],
  ['keys that verify nothing', ['tokens.yaml'], 65, 'no usable key'],
  ['a revision that is no number', ['good.yaml', '--revision', '0'], 64, 'wanted a whole number'],
  ['a key that is none', ['good.yaml', '--sign-key', join(folder, 'good.yaml')], 65, 'wanted Ed25519'],
  ['a time that is none', ['good.yaml', '--not-before', 'soon'], 64, 'wanted a time'],
])('policy compile refuses %s, and writes nothing', async (_, args, wanted, message) => {
  rmSync(join(folder, 'out'), { force: true });
  const { status, stderr, stdout } = await compile(...args);
  expect({ status, stdout }).toEqual({ status: wanted, stdout: '' });
  expect(stderr).toMatch(new RegExp(message));
  expect(existsSync(join(folder, 'out'))).toBe(false);
});

async function compile(...given: readonly string[]) {
  const [file = '', ...more] = given;
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const fixed = [
    '-n',
    'shop',
    '-l',
    'app=orders',
    '--sign-key',
    join(folder, 'sign.pem'),
    '--revision',
    '7',
    '-o',
    join(folder, 'out'),
  ];
  const argv = ['policy', 'compile', '-f', join(folder, file), ...fixed, ...more];
  const status = await run(argv, { stdin: Readable.from([]), stdout, stderr });
  return { status, stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') };
}
