/** What policies make of a user's claims, and what HTTP/2 makes of the places of tokens. */
import { expect, test } from 'vitest';

import { h2TlsClient, head } from '#test/support/h2-client.ts';
import { statusOf, valuesOf } from '#test/support/http-reader.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import { startUpstream, type RawUpstream } from '#test/support/raw-upstream.ts';
import { policyYaml, startSidecar, type Sidecar } from '#test/support/sidecar.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { requestAuthentication, TokenIssuer, type Claims } from '#test/support/token-issuer.ts';

const idp = new TokenIssuer('https://idp.test');
const rule = { issuer: idp.issuer, jwks: idp.jwks };

async function setUp(jwtRule: Claims, policies: Record<string, string>): Promise<{ sidecar: Sidecar; upstream: RawUpstream }> {
  const upstream = keep(await startUpstream());
  const inbound = [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }];
  const sidecar = keep(
    await startSidecar({ mesh, inbound, policies: { 'users.yaml': requestAuthentication(jwtRule), ...policies } }),
  );
  return { sidecar, upstream };
}

/** An ALLOW rule for the path, where the key has one of the values. */
function when(path: string, key: string, ...values: readonly string[]): object {
  return { to: [{ operation: { paths: [path] } }], when: [{ key, values }] };
}

test('policies read claims: nested, in lists, separated by blanks; of an issuer, an audience, a presenter', async () => {
  const rules = [
    when('/scope', 'request.auth.claims[scope]', 'orders:write'),
    when('/roles', 'request.auth.claims[roles]', 'admin'),
    when('/groups', 'request.auth.claims[groups]', 'staff'),
    when('/team', 'request.auth.claims[org][team]', 'blue*'),
    when('/aud', 'request.auth.audiences', 'orders'),
    when('/azp', 'request.auth.presenter', 'cli'),
    when('/iss', 'request.auth.claims[iss]', 'https://idp.test'),
    when('/who', 'request.auth.principal', 'https://idp.test/ann'),
  ];
  const deny = policyYaml('banned', {
    action: 'DENY',
    rules: [{ when: [{ key: 'request.auth.claims[groups]', values: ['banned'] }] }],
  });
  const spaceDelimitedClaims = ['roles'];
  const { sidecar } = await setUp(
    { ...rule, spaceDelimitedClaims },
    { 'allow.yaml': policyYaml('claims', { action: 'ALLOW', rules }), 'deny.yaml': deny },
  );
  const h1 = keep(await tlsClient(sidecar.inboundPort, web));
  const h2 = keep(await h2TlsClient(sidecar.inboundPort, web));
  const both = async (path: string, claims: Claims): Promise<readonly number[]> => {
    const token = idp.token(claims);
    const over1 = await h1.ask(`GET ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n\r\n`);
    return [statusOf(over1), (await h2.ask(head('GET', path, [['authorization', `Bearer ${token}`]]))).status];
  };
  const cases: readonly (readonly [path: string, yes: Claims, no: Claims])[] = [
    ['/scope', { scope: 'orders:read orders:write' }, { scope: 'orders:writer' }],
    ['/roles', { roles: 'user admin' }, { roles: 'user,admin' }],
    ['/groups', { groups: ['guests', 'staff'] }, { groups: 'guests staff' }],
    ['/team', { org: { team: 'blue-2' } }, { 'org.team': 'blue' }],
    ['/aud', { aud: ['billing', 'orders'] }, { aud: ['billing'] }],
    ['/azp', { azp: 'cli' }, { azp: 'web', cli: 'cli' }],
    ['/iss', {}, { groups: ['banned'] }],
    ['/who', {}, { sub: 'eve' }],
  ];
  for (const [path, yes, no] of cases) {
    expect({ path, yes: await both(path, yes) }).toEqual({ path, yes: [200, 200] });
    expect({ path, no: await both(path, no) }).toEqual({ path, no: [403, 403] });
    expect({ path, banned: await both(path, { ...yes, groups: ['staff', 'banned'] }) }).toEqual({ path, banned: [403, 403] });
  }
});

test('HTTP/2: crumbs of a cookie are one line, names cannot be spelled otherwise, and a token goes from the query', async () => {
  const places = { fromCookies: ['session'], fromParams: ['t'], fromHeaders: [{ name: 'x-jwt' }] };
  const outputClaimToHeaders = [{ header: 'x-user', claim: 'sub' }];
  const { sidecar, upstream } = await setUp(
    { ...rule, ...places, outputClaimToHeaders },
    { 'open.yaml': policyYaml('users', { action: 'ALLOW', rules: [{ from: [{ source: { requestPrincipals: ['*'] } }] }] }) },
  );
  const client = keep(await h2TlsClient(sidecar.inboundPort, web));
  const token = idp.token();
  const crumbs = [
    ['cookie', 'a=1'],
    ['cookie', `session=${token}`],
    ['cookie', 'b=2'],
  ] as const;
  expect((await client.ask(head('GET', '/a', [...crumbs, ['x-user', 'root']]))).status).toBe(200);
  const [got] = upstream.requests;
  expect(valuesOf(got?.fields ?? [], 'cookie')).toEqual(['a=1; b=2']);
  expect(valuesOf(got?.fields ?? [], 'x-user')).toEqual(['ann']);
  expect((await client.ask(head('GET', `/a?t=${token}&q=1`, []))).status).toBe(200);
  expect(upstream.requests[1]?.startLine).toBe('GET /a?q=1 HTTP/1.1');
  expect(
    (
      await client.ask(
        head('GET', '/a', [
          ['x-jwt', token],
          ['x_user', 'root'],
        ]),
      )
    ).status,
  ).toBe(400);
  expect(
    (
      await client.ask(
        head('GET', '/a', [
          ['x-jwt', token],
          ['x-jwt', 'bad'],
        ]),
      )
    ).status,
  ).toBe(401);
  expect(upstream.requests).toHaveLength(2);
});
