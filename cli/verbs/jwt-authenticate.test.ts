import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';

import { afterAll, describe, expect, test } from 'vitest';

import { TokenIssuer } from '#test/support/token-issuer.ts';
import { jwtAuthenticate } from './jwt-authenticate.ts';

const folder = mkdtempSync(join(tmpdir(), 'users-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const idp = new TokenIssuer('https://idp.test');
const other = new TokenIssuer('https://other.test');
const NOW = 1_800_000_000;
writeFileSync(join(folder, 'idp.json'), idp.jwks);
writeFileSync(join(folder, 'other.json'), other.jwks);
writeFileSync(
  join(folder, 'users.yaml'),
  `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: users, namespace: shop }
spec:
  selector: { matchLabels: { app: orders } }
  jwtRules:
    - { issuer: https://idp.test, jwksUri: 'https://idp.test/keys?v=1', outputClaimToHeaders: [{ header: x-user, claim: sub }] }
    - { issuer: https://other.test, fromHeaders: [{ name: x-other }], audiences: [orders] }
    - { issuer: https://gone.test, jwksUri: https://gone.test/keys, fromParams: [gone] }
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: required, namespace: istio-system }
spec:
  selector: { matchLabels: { app: admin } }
  jwtRules: [{ issuer: https://idp.test, jwksUri: 'https://idp.test/keys?v=1', presence: REQUIRED }]
`,
);
const KEYS = [`https://idp.test/keys?v=1=${join(folder, 'idp.json')}`, `https://other.test=${join(folder, 'other.json')}`];

const good = idp.token({ exp: NOW + 60, iat: NOW, email: 'ann@shop.test' });
const users = { ok: true, principal: 'https://idp.test/ann', headers: [['x-user', 'ann']] };

function bearer(token: string): readonly string[][] {
  return [['Authorization', `Bearer ${token}`]];
}

describe('jwtAuthenticate()', () => {
  test.each([
    ['no token', { headers: [] }, { ok: true, tokens: [], principal: null, headers: [] }],
    ['a good token', { headers: bearer(good) }, { ...users, tokens: [{ issuer: 'https://idp.test', subject: 'ann' }] }],
    ['one in the query', { path: `/a?access_token=${good}` }, users],
    ['what a caller says of itself', { headers: [['x-user', 'root']] }, { ok: true, headers: [] }],
    ['two users', { headers: [...bearer(good), ['x-other', other.token({ exp: NOW + 9 })]] }, users],
    ['no subject', { headers: bearer(idp.token({ sub: undefined, exp: NOW + 9 })) }, { ok: true, principal: null }],
    ['one that is over', { headers: bearer(idp.token({ exp: NOW })) }, { ok: false, status: 401, code: 'jwt_expired' }],
    [
      'one for somebody else',
      { headers: [['x-other', other.token({ aud: 'x', exp: NOW + 9 })]] },
      { ok: false, status: 403, code: 'jwt_audience', policy: 'shop/users' },
    ],
    [
      'keys out of reach',
      { path: `/?gone=${new TokenIssuer('https://gone.test').token({ exp: NOW + 9 })}` },
      { ok: false, status: 401, code: 'jwt_no_keys' },
    ],
    ['a field that shadows', { headers: [['x_user', 'root']] }, { ok: false, status: 400, code: 'bad_field' }],
    ['a malformed head', { path: '/a b' }, { ok: false, status: 400, code: 'bad_request' }],
  ])('answers a request with %s', async (_, request, want) => {
    expect(await ask({ request })).toMatchObject(want);
  });

  test.each([
    ['another workload', { namespace: 'shop', labels: { app: 'web' } }, { ok: true, tokens: [] }],
    [
      'one that a document of the root namespace selects',
      { namespace: 'x', labels: { app: 'admin' } },
      { ok: false, status: 401, code: 'jwt_missing', policy: 'istio-system/required' },
    ],
  ])('answers for %s by its own documents', async (_, workload, want) => {
    expect(await ask({ workload, request: {} })).toMatchObject(want);
  });

  test.each([
    ['nothing', {}],
    ['a header that is no pair', { request: { headers: ['x'] } }],
    ['a line break', { request: { headers: [['x', 'a\r\nauthorization: b']] } }],
    ['a path that is no text', { request: { path: 7 } }],
  ])('does not understand %s', async (_, question) => {
    expect(await ask(question)).toMatchObject({ error: { code: 'question_member' } });
  });

  test('refuses documents and files that it cannot use', async () => {
    await expect(ask({ request: {} }, ['https://idp.test'])).rejects.toThrow('wanted URI=FILE');
    await expect(ask({ request: {} }, [`x=${join(folder, 'none')}`])).rejects.toThrow('Cannot read');
    await expect(ask({ request: {} }, [`x=${join(folder, 'users.yaml')}`])).rejects.toThrow('a list "keys"');
  });
});

async function ask(question: object, jwks: readonly string[] = KEYS): Promise<unknown> {
  const stdout = new PassThrough();
  const whole = { workload: { namespace: 'shop', labels: { app: 'orders' } }, ...question };
  const stdin = Readable.from([`${JSON.stringify(whole)}\n`]);
  const files = [join(folder, 'users.yaml')];
  const options = { files, jwks, rootNamespace: 'istio-system', ignoreKinds: false, atMs: NOW * 1000 };
  await jwtAuthenticate(options, { stdin, stdout, stderr: new PassThrough() });
  return JSON.parse(String(stdout.read())) as unknown;
}
