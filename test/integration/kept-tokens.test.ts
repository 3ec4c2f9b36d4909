/** Whose tokens a workload takes is kept over a restart with its policies. */
import { rmSync } from 'node:fs';
import { expect, test } from 'vitest';

import { fieldOf, statusOf } from '#test/support/http-reader.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import { startUpstream } from '#test/support/raw-upstream.ts';
import { policyYaml, Sidecar, startSidecar } from '#test/support/sidecar.ts';
import { keep, mesh, web } from '#test/support/sidecar-pair.ts';
import { requestAuthentication, TokenIssuer } from '#test/support/token-issuer.ts';

const idp = new TokenIssuer('https://idp.test');

test('the copy that is kept of files has the rules of tokens in it', { timeout: 60_000 }, async () => {
  const upstream = keep(await startUpstream());
  const ann = { action: 'ALLOW', rules: [{ from: [{ source: { requestPrincipals: [`${idp.issuer}/ann`] } }] }] };
  const sidecar = keep(
    await startSidecar({
      mesh,
      inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }],
      policies: {
        'users.yaml': requestAuthentication({ issuer: idp.issuer, jwks: idp.jwks }),
        'policy.yaml': policyYaml('ann', ann),
      },
      policySettings: { lastKnownGood: 'kept' },
    }),
  );
  expect(await ask(sidecar, idp.token())).toBe('200');
  await sidecar.process.end('SIGKILL');
  rmSync(sidecar.path('admin.sock'), { force: true });
  rmSync(sidecar.path('policies'), { recursive: true });
  const { folder, inbound, outbound, statusPort } = sidecar;
  const next = keep(new Sidecar(folder, { inbound, outbound, status: statusPort }));
  await next.ready();
  expect(await next.adminRecord('/policy')).toMatchObject({ state: 'ok', isKeptCopy: true });
  expect(await ask(next, idp.token())).toBe('200');
  expect(await ask(next, null)).toBe('403 denied_by_policy');
  expect(await ask(next, new TokenIssuer(idp.issuer).token())).toBe('401 jwt_signature');
});

/** `200`, or status and reason. */
async function ask(sidecar: Sidecar, token: string | null): Promise<string> {
  await using asking = await tlsClient(sidecar.inboundPort, web);
  const line = token === null ? '' : `Authorization: Bearer ${token}\r\n`;
  const response = await asking.ask(`GET /x HTTP/1.1\r\nHost: a\r\n${line}\r\n`);
  return [statusOf(response), fieldOf(response.fields, 'x-postern-reason')].filter((part) => part !== null).join(' ');
}
