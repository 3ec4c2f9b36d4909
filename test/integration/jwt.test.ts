/** Users' tokens through a real sidecar, over both versions of HTTP: whose are taken, what each refusal says, what the app is told. */
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

import { h2TlsClient, head } from '#test/support/h2-client.ts';
import { fieldOf, statusOf, valuesOf } from '#test/support/http-reader.ts';
import { runProcess } from '#test/support/processes.ts';
import { plainClient, tlsClient, type RawClient } from '#test/support/raw-client.ts';
import { startUpstream, type RawUpstream } from '#test/support/raw-upstream.ts';
import { policyYaml, startSidecar, type Sidecar } from '#test/support/sidecar.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { requestAuthentication, TokenIssuer, type Claims } from '#test/support/token-issuer.ts';

const idp = new TokenIssuer('https://idp.test');
const other = new TokenIssuer('https://other.test');
const LAUNCHER = resolve(import.meta.dirname, '../../bin/postern.js');
const NOW = Math.floor(Date.now() / 1000);

const ALLOW = policyYaml('open', { action: 'ALLOW', rules: [{}] });
const NEEDS_ANN = policyYaml('ann', {
  action: 'ALLOW',
  rules: [{ from: [{ source: { requestPrincipals: ['https://idp.test/ann'] } }] }],
});

interface Setup {
  readonly sidecar: Sidecar;
  readonly upstream: RawUpstream;
  readonly client: RawClient;
}

async function setUp(rules: readonly Claims[], policy = ALLOW): Promise<Setup> {
  const upstream = keep(await startUpstream());
  const forwardTo = `127.0.0.1:${upstream.port}`;
  const sidecar = keep(
    await startSidecar({
      mesh,
      inbound: [
        { mtls: 'STRICT', forwardTo },
        { mtls: 'DISABLE', forwardTo },
        { mtls: 'PERMISSIVE', forwardTo },
      ],
      policies: { 'users.yaml': requestAuthentication(...rules), 'policy.yaml': policy },
    }),
  );
  return { sidecar, upstream, client: keep(await tlsClient(sidecar.inboundPort, web)) };
}

function get(path: string, ...fields: readonly string[]): string {
  return `GET ${path} HTTP/1.1\r\nHost: app.test\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;
}

const rule = { issuer: idp.issuer, jwks: idp.jwks };

test('each token is judged as it deserves, over HTTP/1.1 and HTTP/2, with its code in reply and log', async () => {
  const { client, sidecar, upstream } = await setUp([{ ...rule, audiences: ['orders'] }]);
  const h2 = keep(await h2TlsClient(sidecar.inboundPort, web));
  const forged = new TokenIssuer(idp.issuer);
  const good = idp.token();
  const [first = '', second = ''] = good.split('.');
  const cases: readonly (readonly [token: string | null, status: number, code: string])[] = [
    [null, 200, ''],
    [good, 200, ''],
    ['garbage', 401, 'jwt_malformed'],
    [`${first}.${second}.`, 401, 'jwt_signature'],
    [idp.token({}, { alg: 'none' }), 401, 'jwt_alg_none'],
    [idp.token({}, { alg: 'HS256' }), 401, 'jwt_alg_refused'],
    [idp.token({}, { crit: ['x'] }), 401, 'jwt_crit'],
    [idp.token({}, { b64: false }), 401, 'jwt_b64'],
    [idp.token({}, { jwk: {} }), 401, 'jwt_header_key'],
    [idp.token({}, { kid: 7 }), 401, 'jwt_kid'],
    [idp.token({}, { kid: '../k1' }), 401, 'jwt_key_unknown'],
    [forged.token(), 401, 'jwt_signature'],
    [other.token(), 401, 'jwt_issuer'],
    [idp.token({ iss: undefined }), 401, 'jwt_issuer'],
    [idp.token({ aud: 'billing' }), 403, 'jwt_audience'],
    [idp.token({ exp: undefined }), 401, 'jwt_exp_missing'],
    [idp.token({ exp: String(NOW + 60) }), 401, 'jwt_time'],
    [idp.token({ exp: NOW - 1 }), 401, 'jwt_expired'],
    [idp.token({ nbf: NOW + 60 }), 401, 'jwt_not_yet'],
    [idp.token({ sub: 7 }), 401, 'jwt_subject'],
    [`${good.slice(0, -1)}=`, 401, 'jwt_malformed'],
  ];
  let passed = 0;
  for (const [index, [token, status, code]] of cases.entries()) {
    const fields = token === null ? [] : [`Authorization: Bearer ${token}`];
    const reply = await client.ask(get(`/case/${index}`, ...fields));
    expect({ index, status: statusOf(reply), code: fieldOf(reply.fields, 'x-postern-reason') ?? '' }).toEqual({
      index,
      status,
      code,
    });
    const fields2 = token === null ? [] : [['authorization', `Bearer ${token}`] as const];
    const stream = await h2.ask(head('GET', `/case/${index}`, fields2));
    expect({ index, status: stream.status, code: stream.valueOf('x-postern-reason') ?? '' }).toEqual({ index, status, code });
    if (status === 200) {
      passed += 2;
      continue;
    }
    expect(fieldOf(reply.fields, 'www-authenticate')).toContain(`error_description="${code}"`);
    expect(stream.valueOf('www-authenticate')).toContain('Bearer error=');
    const line = await sidecar.logged((each) => each['path'] === `/case/${index}`);
    expect(line).toMatchObject({ reason: code, verdict: 'denied', decision_code: 'token_refused', policy: 'test/users' });
  }
  expect(upstream.requests).toHaveLength(passed);
});

describe('places', () => {
  const PLACES = {
    ...rule,
    fromHeaders: [{ name: 'X-Jwt', prefix: 'Token ' }, { name: 'x-raw' }],
    fromParams: ['jwt'],
    fromCookies: ['session'],
  };

  test('tokens are found in every place, proved there, and gone when the app gets the request', async () => {
    const { client, upstream } = await setUp([PLACES], NEEDS_ANN);
    const good = idp.token();
    const cases: readonly (readonly [why: string, path: string, fields: readonly string[], status: number, seen: string])[] = [
      ['a header with its prefix', '/a', [`x-jwt: tOKEN ${good}`], 200, '/a'],
      ['a header without prefix', '/a', [`x-raw: ${good}`], 200, '/a'],
      ['a parameter', `/a?x=1&jwt=${good}&y=2`, [], 200, '/a?x=1&y=2'],
      ['a parameter by another spelling', `/a?%6Awt=${good}`, [], 200, '/a'],
      ['a cookie', '/a?q', [`Cookie: a=1; session=${good}; b=2`], 200, '/a?q'],
      ['a quoted cookie', '/a', [`Cookie: session="${good}"`], 200, '/a'],
      ['no place of the rule', '/a', [`Authorization: Bearer ${good}`], 403, ''],
      ['a good one beside a bad one', `/a?jwt=${good}`, ['x-raw: bad'], 401, ''],
      ['two parameters of one name', `/a?jwt=${good}&jwt=bad`, [], 401, ''],
      ['another prefix', '/a', [`x-jwt: Bearer ${good}`], 403, ''],
    ];
    for (const [why, path, fields, status, seen] of cases) {
      upstream.forget();
      const reply = await client.ask(get(path, ...fields));
      expect({ why, status: statusOf(reply) }).toEqual({ why, status });
      const [got] = upstream.requests;
      if (seen === '') {
        expect(got).toBeUndefined();
        continue;
      }
      expect({ why, line: got?.startLine }).toEqual({ why, line: `GET ${seen} HTTP/1.1` });
      expect(got?.head).not.toContain(good);
      if (why === 'a cookie') expect(valuesOf(got?.fields ?? [], 'cookie')).toEqual(['a=1; b=2']);
    }
  });

  test('by default a token stands in Authorization or access_token, and forwardOriginalToken leaves it there', async () => {
    const { client, upstream } = await setUp([{ ...rule, forwardOriginalToken: true }], NEEDS_ANN);
    const good = idp.token();
    for (const request of [get('/a', `authorization: bearer ${good}`), get(`/a?access_token=${good}`)]) {
      upstream.forget();
      expect(statusOf(await client.ask(request))).toBe(200);
      expect(upstream.requests[0]?.head).toContain(good);
    }
    expect(statusOf(await client.ask(get('/a', 'authorization: Basic YTpi')))).toBe(403);
  });

  test('more than eight tokens are not looked at', async () => {
    const { client } = await setUp([PLACES]);
    const query = Array.from({ length: 9 }, () => `jwt=${idp.token().slice(0, 20)}`).join('&');
    expect(fieldOf((await client.ask(get(`/a?${query}`))).fields, 'x-postern-reason')).toBe('jwt_too_many');
  });
});

test('of several issuers any token will do, and each counts', async () => {
  const policy = policyYaml('both', {
    action: 'ALLOW',
    rules: [
      { to: [{ operation: { paths: ['/any'] } }] },
      { from: [{ source: { requestPrincipals: ['https://other.test/*'] } }], to: [{ operation: { paths: ['/other'] } }] },
      { from: [{ source: { requestPrincipals: ['https://idp.test/*'] } }], to: [{ operation: { paths: ['/idp'] } }] },
    ],
  });
  const rules = [rule, { issuer: other.issuer, jwks: other.jwks, fromHeaders: [{ name: 'x-other' }] }];
  const { client, upstream } = await setUp(rules, policy);
  const both = [`Authorization: Bearer ${idp.token()}`, `x-other: ${other.token()}`];
  expect(statusOf(await client.ask(get('/idp', ...both)))).toBe(200);
  expect(statusOf(await client.ask(get('/other', ...both)))).toBe(200);
  expect(statusOf(await client.ask(get('/other', both[0] ?? '')))).toBe(403);
  // As in Envoy: one rule that passes is enough; what did not pass is not forwarded.
  upstream.forget();
  expect(statusOf(await client.ask(get('/any', both[0] ?? '', 'x-other: bad')))).toBe(200);
  expect(upstream.requests[0]?.head).not.toContain('x-other');
  expect(statusOf(await client.ask(get('/any', 'x-other: bad')))).toBe(401);
});

test('a rule that is required has to pass, whatever other rules say; a CORS preflight bears no token', async () => {
  const rules = [
    { ...rule, presence: 'REQUIRED' },
    { issuer: other.issuer, jwks: other.jwks, fromHeaders: [{ name: 'x-other' }] },
  ];
  const { client } = await setUp(rules);
  const missing = await client.ask(get('/a', `x-other: ${other.token()}`));
  expect(statusOf(missing)).toBe(401);
  expect(fieldOf(missing.fields, 'x-postern-reason')).toBe('jwt_missing');
  expect(fieldOf(missing.fields, 'www-authenticate')).toBe('Bearer');
  expect(statusOf(await client.ask(get('/a', `Authorization: Bearer ${idp.token()}`)))).toBe(200);
  const preflight = get('/a', 'Origin: https://shop.test', 'Access-Control-Request-Method: GET').replace('GET', 'OPTIONS');
  expect(statusOf(await client.ask(preflight))).toBe(200);
  expect(statusOf(await client.ask(get('/a', 'Origin: https://shop.test').replace('GET', 'OPTIONS')))).toBe(401);
});

describe('what the app is told', () => {
  const rules = [
    {
      ...rule,
      outputPayloadToHeader: 'X-Payload',
      outputClaimToHeaders: [
        { header: 'x-user', claim: 'sub' },
        { header: 'x_team', claim: 'org.team' },
        { header: 'x-groups', claim: 'groups' },
        { header: 'x-level', claim: 'level' },
        { header: 'x-note', claim: 'note' },
      ],
    },
  ];
  const claims = { org: { team: 'blue' }, groups: ['a', 'b'], level: 7, note: 'x\r\nx-admin: 1' };

  test('is what a token says, in the words of Envoy, and policy reads the same', async () => {
    const policy = policyYaml('blue', {
      action: 'ALLOW',
      rules: [{ when: [{ key: 'request.headers[x-user]', values: ['ann'] }] }],
    });
    const { client, upstream } = await setUp(rules, policy);
    const token = idp.token(claims);
    expect(statusOf(await client.ask(get('/a', `Authorization: Bearer ${token}`)))).toBe(200);
    const fields = upstream.requests[0]?.fields ?? [];
    expect(fieldOf(fields, 'x-user')).toBe('ann');
    expect(fieldOf(fields, 'x_team')).toBe('blue');
    expect(fieldOf(fields, 'x-level')).toBe('7');
    expect(fieldOf(fields, 'x-groups')).toBe(Buffer.from('["a","b"]').toString('base64'));
    expect(fieldOf(fields, 'x-payload')).toBe(token.split('.')[1]);
    expect(fieldOf(fields, 'x-note')).toBeNull();
    expect(fieldOf(fields, 'x-admin')).toBeNull();
    expect(statusOf(await client.ask(get('/a', 'x-user: ann')))).toBe(403);
  });

  test('is never what a caller says in trailers', async () => {
    const { client, upstream } = await setUp(rules);
    const end = '0\r\nX-User: root\r\nx_user: root\r\nx-team: root\r\nx-more: 1\r\n\r\n';
    const post = `POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nAuthorization: Bearer ${idp.token(claims)}\r\n\r\n${end}`;
    expect(statusOf(await client.ask(post))).toBe(200);
    const [got] = upstream.requests;
    expect(got?.trailers.map(([name]) => name.toLowerCase())).toEqual(['x-more']);
    expect(valuesOf(got?.fields ?? [], 'x-user')).toEqual(['ann']);
  });

  test.each([
    ['in any case', 'X-USER: root', 200],
    ['with an underscore', 'x_user: root', 400],
    ['of a name that has one itself', 'X-Team: root', 200],
    ['by Connection', 'Connection: x-user', 400],
    ['of the payload', 'x-payload: e30', 200],
  ])('is never what a caller says %s', async (_, field, status) => {
    for (const port of ['tls', 'plain', 'permissive'] as const) {
      const { sidecar, upstream } = await setUp(rules);
      const at = port === 'tls' ? 0 : port === 'plain' ? 1 : 2;
      const client = keep(
        port === 'tls' ? await tlsClient(sidecar.inboundPort, web) : await plainClient(sidecar.inbound[at] ?? 0),
      );
      expect(statusOf(await client.ask(get('/a', field)))).toBe(status);
      expect(upstream.requests.map(({ head: text }) => text).join('')).not.toMatch(/root|e30/);
      const told = await client
        .ask(get('/a', ...(status === 400 ? [] : [field]), `Authorization: Bearer ${idp.token()}`))
        .catch(() => null);
      if (told === null) continue;
      expect(statusOf(told)).toBe(200);
      expect(valuesOf(upstream.requests.at(-1)?.fields ?? [], 'x-user')).toEqual(['ann']);
    }
  });
});

test('postern explain tells why a token was refused, and which claim a rule missed', async () => {
  const staff = { action: 'ALLOW', rules: [{ when: [{ key: 'request.auth.claims[groups]', values: ['staff'] }] }] };
  const { client, sidecar } = await setUp([rule], policyYaml('staff', staff));
  const explain = async (path: string): Promise<string> => {
    const { decision_id: id } = await sidecar.logged((line) => line['path'] === path);
    const from = ['--admin', sidecar.path('admin.sock')];
    return (await runProcess(process.execPath, [LAUNCHER, 'explain', String(id), ...from])).stdout;
  };
  await client.ask(get('/forged', `Authorization: Bearer ${new TokenIssuer(idp.issuer).token()}`));
  const forged = await explain('/forged');
  expect(forged).toContain('code:     token_refused: ');
  expect(forged).toContain('reason:   jwt_signature: The signature is not of a key of the issuer.');
  expect(forged).toContain('policy:   test/users\n');
  const token = idp.token({ groups: ['guests'], email: 'ann@shop.test' });
  await client.ask(get('/guest', `Authorization: Bearer ${token}`));
  const guest = await explain('/guest');
  expect(guest).toContain('user:     https://idp.test/ann\n');
  expect(guest).toContain('nearest:  test/staff#0: ');
  expect(guest).toContain('groups');
  expect(guest).not.toContain('ann@shop.test');
});

test('a document that cannot be obeyed is refused with its place', async () => {
  const bad = requestAuthentication({ ...rule, outputClaimToHeaders: [{ header: 'Host', claim: 'sub' }] });
  const sidecar = keep(
    await startSidecar({
      mesh,
      inbound: [{ mtls: 'STRICT', forwardTo: '127.0.0.1:9' }],
      policies: { 'users.yaml': bad, 'policy.yaml': ALLOW },
      awaitsReady: false,
    }),
  );
  await sidecar.process.waitForPort(sidecar.inboundPort, 20_000);
  expect(await sidecar.adminRecord('/policy')).toMatchObject({ state: 'invalid', faults: [{ code: 'PN0403' }] });
});
