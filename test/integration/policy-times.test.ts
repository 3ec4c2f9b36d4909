/** Policies that begin and expire while a sidecar runs: they do so by the clock alone, without anything being written. */
import { afterEach, expect, test } from 'vitest';

import { statusOf } from '#test/support/http-reader.ts';
import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import { startUpstream } from '#test/support/raw-upstream.ts';
import { eventually, startSidecar } from '#test/support/sidecar.ts';

const mesh = new MeshIdentities();
const disposables: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of disposables.splice(0).toReversed()) await each[Symbol.asyncDispose]();
});

test('an AccessPolicy is in force from its notBefore up to its expiry', { timeout: 120_000 }, async () => {
  const upstream = await startUpstream();
  disposables.push(upstream);
  const sidecar = await startSidecar({
    mesh,
    inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }],
    policies: { 'p.yaml': policyText('always', '/always') },
  });
  disposables.push(sidecar);
  await using client = await tlsClient(sidecar.inboundPort, { mesh, svid: mesh.svid('web') });
  const ask = async (path: string): Promise<number> => statusOf(await client.ask(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`));
  expect(await ask('/always')).toBe(200);

  // Far enough apart for a machine that does much else.
  const [begins, ends] = [Date.now() + 4_000, Date.now() + 14_000];
  const times = `notBefore: "${new Date(begins).toISOString()}", expires: "${new Date(ends).toISOString()}", `;
  sidecar.put('policies/soon.yaml', policyText('soon', '/soon', times));
  expect(await ask('/soon')).toBe(403);
  await eventually('the policy to begin', async () => (await ask('/soon')) === 200, 30_000);
  expect(Date.now()).toBeGreaterThanOrEqual(begins);
  await eventually('the policy to expire', async () => (await ask('/soon')) === 403, 30_000);
  expect(Date.now()).toBeGreaterThanOrEqual(ends);
  expect(await ask('/always')).toBe(200);
});

function policyText(name: string, path: string, times = ''): string {
  return `apiVersion: security.postern.mesh/v1alpha1
kind: AccessPolicy
metadata: { name: ${name}, namespace: test }
spec: { ${times}rules: [{ to: [{ paths: [${path}] }] }] }
`;
}
