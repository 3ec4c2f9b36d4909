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

test('an AccessPolicy is in force from its notBefore up to its expiry', async () => {
  const upstream = await startUpstream();
  disposables.push(upstream);
  const seconds = (offset: number): string => new Date(Math.ceil(Date.now() / 1000 + offset) * 1000).toISOString();
  const [begins, ends] = [seconds(5), seconds(7)];
  const policy = `apiVersion: security.postern.mesh/v1alpha1
kind: AccessPolicy
metadata: { name: soon, namespace: test }
spec: { notBefore: "${begins}", expires: "${ends}", rules: [{ to: [{ paths: [/soon] }] }] }
---
apiVersion: security.postern.mesh/v1alpha1
kind: AccessPolicy
metadata: { name: always, namespace: test }
spec: { rules: [{ to: [{ paths: [/always] }] }] }
`;
  const sidecar = await startSidecar({
    mesh,
    inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }],
    policies: { 'p.yaml': policy },
  });
  disposables.push(sidecar);
  await using client = await tlsClient(sidecar.inboundPort, { mesh, svid: mesh.svid('web') });
  const ask = async (path: string): Promise<number> => statusOf(await client.ask(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`));
  expect(await ask('/always')).toBe(200);
  expect(await ask('/soon')).toBe(403);
  await eventually('the policy to begin', async () => (await ask('/soon')) === 200, 10_000);
  expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(begins));
  await eventually('the policy to expire', async () => (await ask('/soon')) === 403, 10_000);
  expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(ends));
  expect(await ask('/always')).toBe(200);
});
