/**
 * CUSTOM policies and an external authorizer that speaks gRPC, through a real sidecar: what it is asked, what its answers do, and that
 * nothing is let through without one.
 */
import { resolve } from 'node:path';

import { describe, expect, test } from 'vitest';

import { POLICIES, startAskedPlain } from '#test/support/asked-sidecar.ts';
import { ALLOWED, allowedWith, DENIED, deniedWith } from '#test/support/ext-authz.ts';
import { fieldOf, statusOf } from '#test/support/http-reader.ts';
import { runProcess } from '#test/support/processes.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import type { RawUpstream } from '#test/support/raw-upstream.ts';
import { policyYaml } from '#test/support/sidecar.ts';
import { web } from '#test/support/sidecar-pair.ts';
import { requestAuthentication, TokenIssuer } from '#test/support/token-issuer.ts';

const WEB = 'spiffe://cluster.local/ns/test/sa/web';

const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n${fields}\r\n`;

function lastRequest(upstream: RawUpstream): { names: (name: string) => readonly string[]; target: string } {
  const request = upstream.requests.at(-1);
  const fields = request?.fields ?? [];
  return {
    names: (name) => fields.filter(([one]) => one.toLowerCase() === name).map(([, value]) => value),
    target: request?.startLine.split(' ')[1] ?? '',
  };
}

describe('over HTTP/1.1', () => {
  test('asks about what the policy matches and about nothing else, and tells what Envoy tells', async () => {
    const { sidecar, authorizer, upstream } = await startAskedPlain(() => ALLOWED);
    await using client = await tlsClient(sidecar.inboundPort, web);
    expect(statusOf(await client.ask(get('/free')))).toBe(200);
    expect(authorizer.checks).toEqual([]);
    expect(statusOf(await client.ask(get('/asked/one?x=1', 'X-Two: a\r\nX-Two: b\r\nx-forwarded-client-cert: By=me\r\n')))).toBe(
      200,
    );
    expect(authorizer.checks).toHaveLength(1);
    const { source, destination, request } = authorizer.checks[0]?.attributes ?? {};
    expect(source).toMatchObject({ principal: WEB, address: { socketAddress: { address: '127.0.0.1' } } });
    expect(destination).toMatchObject({
      principal: 'spiffe://cluster.local/ns/test/sa/app',
      address: { socketAddress: { portValue: sidecar.inboundPort } },
    });
    expect(request?.http).toMatchObject({
      method: 'GET',
      path: '/asked/one?x=1',
      host: 'app.test',
      scheme: 'https',
      protocol: 'HTTP/1.1',
    });
    expect(request?.http.headers).toMatchObject({
      ':method': 'GET',
      ':path': '/asked/one?x=1',
      ':authority': 'app.test',
      ':scheme': 'https',
      'x-two': 'a,b',
      'x-forwarded-proto': 'https',
    });
    expect(request?.http.headers['x-forwarded-client-cert']).toContain(`URI=${WEB}`);
    expect(request?.http.headers['x-forwarded-client-cert']).not.toContain('By=me');
    expect(request?.http.headers).not.toHaveProperty('host');
    expect(upstream.requests).toHaveLength(2);
  });

  test('a yes is followed by the policies that come behind it', async () => {
    const { sidecar, authorizer, upstream } = await startAskedPlain(() => ALLOWED);
    await using client = await tlsClient(sidecar.inboundPort, web);
    expect(statusOf(await client.ask(get('/asked/closed')))).toBe(403);
    expect(authorizer.checks).toHaveLength(1);
    expect(upstream.requests).toHaveLength(0);
    expect(await sidecar.logged(({ path }) => path === '/asked/closed')).toMatchObject({ decision_code: 'denied_no_match' });
  });

  test('a no is a denial, in the words of the authorizer where it has some, and the connection goes on', async () => {
    const answers = [
      DENIED,
      deniedWith(429, 'slow down', { 'retry-after': '3', 'content-length': '999', 'x-postern-reason': 'x' }),
    ];
    const { sidecar, upstream } = await startAskedPlain(() => answers.shift() ?? ALLOWED);
    await using client = await tlsClient(sidecar.inboundPort, web);
    const plain = await client.ask(get('/asked/a'));
    expect([statusOf(plain), plain.body.toString()]).toEqual([403, 'postern: access denied\n']);
    const own = await client.ask(get('/asked/b'));
    expect([statusOf(own), own.body.toString(), fieldOf(own.fields, 'retry-after')]).toEqual([429, 'slow down', '3']);
    expect(fieldOf(own.fields, 'x-postern-reason')).toBe('denied_by_policy');
    expect(statusOf(await client.ask(get('/asked/c')))).toBe(200);
    expect(upstream.requests).toHaveLength(1);
    expect(await sidecar.logged(({ path }) => path === '/asked/b')).toMatchObject({
      decision: 'deny',
      decision_code: 'denied_by_provider',
      policy: 'test/outside',
      response_code: 429,
      verdict: 'denied',
    });
  });

  test('what an answer sets is the only thing of the name, in whatever spelling the caller sent it', async () => {
    const { sidecar, upstream } = await startAskedPlain(() =>
      allowedWith({ 'X-User': 'ann', authorization: 'Bearer new' }, { headersToRemove: ['x-secret', 'host', ':path'] }),
    );
    await using client = await tlsClient(sidecar.inboundPort, web);
    const spoofed =
      'x-user: eve\r\nX-USER: eve\r\nx_user: eve\r\nAuthorization: Bearer old\r\nX-Secret: 1\r\nx_secret: 2\r\nX-Kept: yes\r\n';
    expect(statusOf(await client.ask(get('/asked/a', spoofed)))).toBe(200);
    const { names } = lastRequest(upstream);
    expect(names('x-user')).toEqual(['ann']);
    expect(names('x_user')).toEqual([]);
    expect(names('authorization')).toEqual(['Bearer new']);
    expect([...names('x-secret'), ...names('x_secret')]).toEqual([]);
    expect(names('x-kept')).toEqual(['yes']);
    expect(names('host')).toEqual(['app.test']);
  });

  test.each([
    ['host', 'evil.test'],
    [':path', '/evil'],
    ['x-forwarded-client-cert', 'By=evil'],
    ['x-forwarded-for', '1.2.3.4'],
    ['transfer-encoding', 'chunked'],
    ['Content_Length', '5'],
    ['connection', 'x-user'],
    ['x-postern-reason', 'fine'],
    ['x-bad', 'a\r\nx-evil: 1'],
    ['x bad', 'a'],
  ])('an answer that would set %s lets nothing through', async (name, value) => {
    const { sidecar, upstream } = await startAskedPlain(() => allowedWith({ [name]: value }));
    await using client = await tlsClient(sidecar.inboundPort, web);
    expect(statusOf(await client.ask(get('/asked/a')))).toBe(403);
    expect(upstream.bytes).toBe(0);
    expect(await sidecar.logged(({ path }) => path === '/asked/a')).toMatchObject({ decision_code: 'provider_error' });
  });

  test('policies behind read what the answer says, not what the caller said', async () => {
    const role = policyYaml('inside', {
      action: 'ALLOW',
      rules: [{ when: [{ key: 'request.headers[x-role]', values: ['admin'] }] }],
    });
    const { sidecar } = await startAskedPlain(
      (check) =>
        check.attributes.request.http.path === '/asked/admin'
          ? allowedWith({ 'x-role': 'admin' })
          : allowedWith({ 'x-role': 'guest' }),
      {},
      { policies: { ...POLICIES, 'allow.yaml': role } },
    );
    await using client = await tlsClient(sidecar.inboundPort, web);
    expect(statusOf(await client.ask(get('/asked/admin')))).toBe(200);
    expect(statusOf(await client.ask(get('/asked/guest', 'X-Role: admin\r\n')))).toBe(403);
  });

  test('query parameters and response headers are changed as asked', async () => {
    const { sidecar, upstream } = await startAskedPlain(() =>
      allowedWith(
        {},
        {
          responseHeadersToAdd: [
            { header: { key: 'x-checked', value: 'yes' } },
            { header: { key: 'content-length', value: '0' } },
          ],
          queryParametersToSet: [
            { key: 'b', value: 'two words' },
            { key: 'c', value: '3' },
          ],
          queryParametersToRemove: ['a'],
        },
      ),
    );
    await using client = await tlsClient(sidecar.inboundPort, web);
    const answer = await client.ask(get('/asked?a=1&b=1&z'));
    expect([statusOf(answer), fieldOf(answer.fields, 'x-checked'), answer.body.toString()]).toEqual([200, 'yes', 'plain']);
    expect(lastRequest(upstream).target).toBe('/asked?b=two%20words&z&c=3');
  });

  test.each([
    { why: 'says nothing in time', answer: null, code: 'provider_timeout' },
    { why: 'answers without a status', answer: {}, code: 'provider_error' },
    { why: 'says OK and denies', answer: { ...ALLOWED, deniedResponse: { status: { code: 403 } } }, code: 'provider_error' },
    {
      why: 'says that it failed',
      answer: { status: { code: 14 }, errorResponse: { status: { code: 503 } } },
      code: 'provider_error',
    },
  ])('an authorizer that $why lets nothing through', async ({ answer, code }) => {
    const { sidecar, upstream } = await startAskedPlain(() => answer, { timeout: '200ms', statusOnError: '503' });
    await using client = await tlsClient(sidecar.inboundPort, web);
    const askedAt = performance.now();
    expect(statusOf(await client.ask(get('/asked/a')))).toBe(503);
    if (code === 'provider_timeout') expect(performance.now() - askedAt).toBeLessThan(600);
    expect(upstream.bytes).toBe(0);
    expect(await sidecar.logged(({ path }) => path === '/asked/a')).toMatchObject({ decision_code: code, response_code: 503 });
    expect(statusOf(await client.ask(get('/free')))).toBe(200);
  });

  test('an authorizer that is gone lets nothing through, and is asked again when it is back', async () => {
    const { sidecar, authorizer } = await startAskedPlain(() => ALLOWED);
    await using client = await tlsClient(sidecar.inboundPort, web);
    expect(statusOf(await client.ask(get('/asked/a')))).toBe(200);
    const { port } = authorizer;
    authorizer.kill();
    expect(statusOf(await client.ask(get('/asked/b')))).toBe(403);
    expect(await sidecar.logged(({ path }) => path === '/asked/b')).toMatchObject({ decision_code: 'provider_unavailable' });
    await authorizer.listen(port);
    expect(statusOf(await client.ask(get('/asked/c')))).toBe(200);
  });

  test('failOpen lets through what nobody answers, and says so', async () => {
    const { sidecar } = await startAskedPlain(() => null, { timeout: '100ms', failOpen: true });
    await using client = await tlsClient(sidecar.inboundPort, web);
    expect(statusOf(await client.ask(get('/asked/a')))).toBe(200);
    const line = await sidecar.logged(({ path }) => path === '/asked/a');
    expect(String(line['response_code_details'])).toContain('authorizer_failed_open');
  });

  test('an authorizer that is not configured denies', async () => {
    const { sidecar } = await startAskedPlain(() => ALLOWED, {}, { spec: { authorizers: [] } });
    await using client = await tlsClient(sidecar.inboundPort, web);
    expect(statusOf(await client.ask(get('/asked/a')))).toBe(403);
    expect(await sidecar.logged(({ path }) => path === '/asked/a')).toMatchObject({ decision_code: 'provider_unavailable' });
    expect(sidecar.process.stderr).toContain('policies ask an authorizer that is not configured: outside');
  });
});

test('users are proved first: the authorizer sees their token, the app what we say of them and nothing that it says of them', async () => {
  const idp = new TokenIssuer('https://idp.test');
  const rule = { issuer: idp.issuer, jwks: idp.jwks, outputClaimToHeaders: [{ header: 'x-user', claim: 'sub' }] };
  const policies = { ...POLICIES, 'users.yaml': requestAuthentication(rule) };
  const { sidecar, authorizer, upstream } = await startAskedPlain(() => allowedWith({ 'x-other': '1' }), {}, { policies });
  await using client = await tlsClient(sidecar.inboundPort, web);
  const asked = get('/asked/a', `Authorization: Bearer ${idp.token()}\r\nX-User: root\r\n`);
  expect(statusOf(await client.ask(get('/asked/a', 'Authorization: Bearer forged\r\n')))).toBe(401);
  expect(authorizer.checks).toHaveLength(0);
  expect(statusOf(await client.ask(asked))).toBe(200);
  const told = authorizer.checks[0]?.attributes.request.http.headers;
  expect([told?.['authorization']?.slice(0, 10), told?.['x-user']]).toEqual(['Bearer eyJ', 'ann']);
  const { names } = lastRequest(upstream);
  expect([names('x-user'), names('authorization'), names('x-other')]).toEqual([['ann'], [], ['1']]);
  for (const answer of [allowedWith({ X_User: 'root' }), allowedWith({}, { headersToRemove: ['x-user'] })]) {
    authorizer.answer = () => answer;
    expect(statusOf(await client.ask(asked))).toBe(403);
  }
  expect(upstream.requests).toHaveLength(1);
  expect(await sidecar.logged((line) => line['decision_code'] === 'provider_error')).toMatchObject({ response_code: 403 });
});

test('postern explain tells that it was the authorizer, and what was decided behind it', async () => {
  const { sidecar, authorizer } = await startAskedPlain(() => DENIED);
  await using client = await tlsClient(sidecar.inboundPort, web);
  const explained = async (path: string): Promise<string> => {
    expect(statusOf(await client.ask(get(path)))).toBe(403);
    const { decision_id: id } = await sidecar.logged((line) => line['path'] === path);
    const from = ['--admin', sidecar.path('admin.sock')];
    return (await runProcess(process.execPath, [resolve('bin/postern.js'), 'explain', String(id), ...from])).stdout;
  };
  expect(await explained('/asked/a')).toMatch(/denied_by_provider: The external authorizer.*test\/outside.*custom\.yaml/su);
  authorizer.answer = () => ALLOWED;
  expect(await explained('/asked/closed')).toMatch(/no rule matched|nearest/u);
});
