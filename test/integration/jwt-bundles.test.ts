/** Whose tokens are taken comes with a signed bundle, keys that are fetched included. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { fieldOf, statusOf, type Message } from '#test/support/http-reader.ts';
import { say, startKeyServer } from '#test/support/key-server.ts';
import { BundleSigner, compiledFor } from '#test/support/policy-bundles.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import { startUpstream } from '#test/support/raw-upstream.ts';
import { eventually, policyYaml, startSidecar } from '#test/support/sidecar.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { requestAuthentication, TokenIssuer, type Claims } from '#test/support/token-issuer.ts';

const signer = new BundleSigner();
const idp = new TokenIssuer('https://idp.test');
const USERS = policyYaml('users', { action: 'ALLOW', rules: [{ from: [{ source: { requestPrincipals: ['*'] } }] }] });

function bundle(revision: number, rule: Claims): Uint8Array {
  return signer.sign(compiledFor(`${requestAuthentication(rule)}\n---\n${USERS}`), { revision });
}

test('a bundle says whose tokens are taken, and one that cannot be obeyed is refused', async () => {
  const server = keep(await startKeyServer(say(idp.jwks)));
  const upstream = keep(await startUpstream());
  const fetched = { issuer: idp.issuer, jwksUri: server.url(), outputClaimToHeaders: [{ header: 'x-user', claim: 'sub' }] };
  const settings = signer.settings();
  const sidecar = keep(
    await startSidecar({
      mesh,
      inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }],
      spec: { tokens: { privateHosts: ['127.0.0.1'], authorities: server.authorities } },
      ...settings,
      beforeStart: (folder) => {
        settings.beforeStart(folder);
        writeFileSync(join(folder, 'policy.bundle'), bundle(1, fetched));
      },
    }),
  );
  const client = keep(await tlsClient(sidecar.inboundPort, web));
  const ask = (token: string): Promise<Message> =>
    client.ask(`GET /a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  expect(statusOf(await ask(idp.token()))).toBe(200);
  expect(fieldOf(upstream.requests[0]?.fields ?? [], 'x-user')).toBe('ann');
  const forged = await ask(new TokenIssuer(idp.issuer).token());
  expect([statusOf(forged), fieldOf(forged.fields, 'x-postern-reason')]).toEqual([401, 'jwt_signature']);

  const stale = { ...fetched, outputClaimToHeaders: [{ header: 'x-forwarded-for', claim: 'sub' }] };
  writeFileSync(sidecar.path('policy.bundle'), bundle(2, stale));
  await eventually(
    'the refusal',
    async () => (await sidecar.metric('postern_policy_refusals_total', 'bundle_policy')) === 1,
    15_000,
  );
  expect(statusOf(await ask(idp.token()))).toBe(200);

  writeFileSync(sidecar.path('policy.bundle'), bundle(3, { issuer: idp.issuer, jwks: idp.jwks, audiences: ['billing'] }));
  await eventually('the new rules', async () => statusOf(await ask(idp.token())) === 403, 15_000);
});
