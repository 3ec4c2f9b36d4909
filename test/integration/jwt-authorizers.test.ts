/** Users' tokens where an external authorizer has a say: what it is told, what it cannot say, and what changes while it is waited for. */
import { expect, test } from 'vitest';

import { POLICIES, startAskedPlain } from '#test/support/asked-sidecar.ts';
import { ALLOWED, allowedWith, type ExtAuthz } from '#test/support/ext-authz.ts';
import { fieldOf, statusOf, valuesOf, type Message } from '#test/support/http-reader.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import type { RawUpstream } from '#test/support/raw-upstream.ts';
import { eventually, type Sidecar } from '#test/support/sidecar.ts';
import { keep, web } from '#test/support/sidecar-pair.ts';
import { requestAuthentication, TokenIssuer, type Claims } from '#test/support/token-issuer.ts';

const idp = new TokenIssuer('https://idp.test');
const RULE = { issuer: idp.issuer, jwks: idp.jwks, outputClaimToHeaders: [{ header: 'x-user', claim: 'sub' }] };

interface Asked {
  readonly sidecar: Sidecar;
  readonly authorizer: ExtAuthz;
  readonly upstream: RawUpstream;
  readonly ask: (target: string, ...fields: readonly string[]) => Promise<Message>;
}

async function asked(answer: ExtAuthz['answer']): Promise<Asked> {
  const policies = { ...POLICIES, 'users.yaml': requestAuthentication(RULE) };
  const started = await startAskedPlain(answer, { timeout: '10s' }, { policies });
  const client = keep(await tlsClient(started.sidecar.inboundPort, web));
  const ask = (target: string, ...fields: readonly string[]): Promise<Message> =>
    client.ask(`GET ${target} HTTP/1.1\r\nHost: a\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`);
  return { ...started, ask };
}

test('an authorizer is told who the user is, and the token of a header alone, as in Istio', async () => {
  const { ask, authorizer, upstream } = await asked(() => ALLOWED);
  const token = idp.token();
  expect(statusOf(await ask(`/asked/a?x=1&access_token=${token}`, `Authorization: Bearer ${token}`))).toBe(200);
  const { headers, path } = authorizer.checks[0]?.attributes.request.http ?? {};
  expect(headers).toMatchObject({ 'x-user': 'ann', authorization: `Bearer ${token}`, ':path': '/asked/a?x=1' });
  expect(path).toBe('/asked/a?x=1');
  expect(upstream.requests[0]?.startLine).toBe('GET /asked/a?x=1 HTTP/1.1');
  expect(upstream.requests[0]?.head).not.toContain(token);
});

test.each(['x-user', 'X_User'])('an authorizer does not say who the user is (%s)', async (name) => {
  const { ask, upstream, sidecar } = await asked(() => allowedWith({ [name]: 'root' }));
  const bearer = `Authorization: Bearer ${idp.token()}`;
  expect(statusOf(await ask('/asked/a', bearer))).toBe(403);
  expect(await sidecar.logged((line) => line['path'] === '/asked/a')).toMatchObject({ decision_code: 'provider_error' });
  expect(upstream.bytes).toBe(0);
});

/** The request waits, `meanwhile` happens, and the authorizer says yes. */
async function waiting(token: () => string, meanwhile: (made: Asked) => Promise<void>): Promise<{ made: Asked; reply: Message }> {
  const gate = Promise.withResolvers<void>();
  const made = await asked(() => gate.promise.then(() => ALLOWED));
  const reply = made.ask(`/asked/a?q=1&access_token=${token()}`, 'Cookie: a=b', 'x-user: root', 'x-name: root');
  await eventually('the question', () => made.authorizer.checks.length === 1);
  await meanwhile(made);
  gate.resolve();
  return { made, reply: await reply };
}

async function swap({ sidecar }: Asked, ...rules: readonly Claims[]): Promise<void> {
  const { revision } = await sidecar.adminRecord('/policy');
  sidecar.put('policies/users.yaml', requestAuthentication(...rules));
  await eventually('the new rules', async () => (await sidecar.adminRecord('/policy'))['revision'] !== revision);
}

test('rules that come into force while an authorizer is asked are those that prove the user', async () => {
  const outputClaimToHeaders = [{ header: 'x-name', claim: 'sub' }];
  const { made, reply } = await waiting(
    () => idp.token(),
    (each) => swap(each, { ...RULE, outputClaimToHeaders }),
  );
  expect(statusOf(reply)).toBe(200);
  const [got] = made.upstream.requests;
  expect(valuesOf(got?.fields ?? [], 'x-name')).toEqual(['ann']);
  // What the former rules wrote is gone, and under no rule the name is the caller's own again.
  expect(valuesOf(got?.fields ?? [], 'x-user')).toEqual(['root']);
  expect(got?.startLine).toBe('GET /asked/a?q=1 HTTP/1.1');
  expect(fieldOf(got?.fields ?? [], 'cookie')).toBe('a=b');
});

test('a key that is taken away while an authorizer is asked proves nothing', async () => {
  const others = new TokenIssuer(idp.issuer);
  const { made, reply } = await waiting(
    () => idp.token(),
    (each) => swap(each, { ...RULE, jwks: others.jwks }),
  );
  expect([statusOf(reply), fieldOf(reply.fields, 'x-postern-reason')]).toEqual([401, 'jwt_signature']);
  expect(made.upstream.bytes).toBe(0);
});

test('rules that are taken away leave the request as it came', async () => {
  const token = idp.token();
  const { made, reply } = await waiting(
    () => token,
    (each) => swap(each),
  );
  expect(statusOf(reply)).toBe(200);
  expect(made.upstream.requests[0]?.startLine).toBe(`GET /asked/a?q=1&access_token=${token} HTTP/1.1`);
  expect(valuesOf(made.upstream.requests[0]?.fields ?? [], 'x-user')).toEqual(['root']);
});

test('a token that ends while an authorizer is asked lets nothing pass', async () => {
  let ends = 0;
  const ending = (): string => {
    ends = Math.floor(Date.now() / 1000) + 5;
    return idp.token({ exp: ends });
  };
  const { made, reply } = await waiting(ending, async () => {
    await eventually('the end', () => Date.now() > ends * 1000, 10_000);
  });
  expect([statusOf(reply), fieldOf(reply.fields, 'x-postern-reason')]).toEqual([401, 'token_expired']);
  expect(made.upstream.bytes).toBe(0);
});
