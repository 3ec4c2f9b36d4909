/** An API that names its description by file, in a sidecar that runs: operations, what an encoded slash means, and a change of the file. */
import { afterAll, beforeAll, expect, test } from 'vitest';

import { h2TlsClient, head } from '#test/support/h2-client.ts';
import type { H2Client } from '#test/support/h2-client.ts';
import { statusOf } from '#test/support/http-reader.ts';
import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import type { RawClient } from '#test/support/raw-client.ts';
import { startUpstream } from '#test/support/raw-upstream.ts';
import { eventually, startSidecar } from '#test/support/sidecar.ts';
import type { Sidecar } from '#test/support/sidecar.ts';

const mesh = new MeshIdentities();
const disposables: AsyncDisposable[] = [];
let sidecar: Sidecar;
let h1: RawClient;
let h2: H2Client;

beforeAll(async () => {
  const upstream = await startUpstream();
  disposables.push(upstream);
  sidecar = await startSidecar({
    mesh,
    inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}`, pathPolicy: 'merge-slashes' }],
    policies: { 'api.yaml': API, 'openapi.yaml': described('/files/{name}') },
  });
  disposables.push(sidecar);
  const caller = { mesh, svid: mesh.svid('web') };
  h1 = await tlsClient(sidecar.inboundPort, caller);
  h2 = await h2TlsClient(sidecar.inboundPort, caller);
  disposables.push(h1, h2);
}, 60_000);
afterAll(async () => {
  for (const each of disposables.toReversed()) await each[Symbol.asyncDispose]();
});

test.each([
  { path: '/projects/group%2Fname', status: 200 },
  { path: '//projects//group%2fname', status: 200 },
  { path: '/projects/group/name', status: 403 },
  { path: '/files/a', status: 200 },
  { path: '/files/a%2Fb', status: 403 },
  { path: '/projects/..%2Ffiles', status: 200 },
  { path: '/projects/x/../../files/a%5Cb', status: 403 },
  { path: '/other', status: 403 },
])('GET $path is answered with $status over both', async ({ path, status }) => {
  expect(await statusBy1(path)).toBe(status);
  expect(Number((await h2.ask(head('GET', path))).status)).toBe(status);
});

test('a description that changes changes what is known', { timeout: 60_000 }, async () => {
  expect(await statusBy1('/records/a')).toBe(403);
  sidecar.put('policies/openapi.yaml', described('/records/{name}'));
  await eventually('the new operation', async () => (await statusBy1('/records/a')) === 200, 30_000);
  expect(await statusBy1('/files/a')).toBe(403);
  sidecar.put('policies/openapi.yaml', 'openapi: 9.0.0\n');
  await eventually('the fault', async () => JSON.stringify(await sidecar.adminRecord('/policy')).includes('PN0320'), 30_000);
  expect(await statusBy1('/records/a')).toBe(200);
});

async function statusBy1(path: string): Promise<number> {
  return statusOf(await h1.ask(`GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`));
}

function described(path: string): string {
  return `openapi: 3.0.3
info: { title: files, version: '1' }
paths:
  ${path}:
    parameters: [{ in: path, name: name, required: true, schema: { type: string } }]
    get: { operationId: file, responses: { 200: { description: ok } } }
  /projects/{name}:
    parameters: [{ in: path, name: name, required: true, schema: { type: string } }]
    get: { operationId: project, x-postern-path: keep-encoded-slashes, responses: { 200: { description: ok } } }
`;
}

const API = `apiVersion: security.postern.mesh/v1alpha1
kind: APIDefinition
metadata: { name: files, namespace: test }
spec:
  selector: { matchLabels: { app: app } }
  pathPolicy: merge-slashes
  openapi: { file: openapi.yaml }
---
apiVersion: security.postern.mesh/v1alpha1
kind: AccessPolicy
metadata: { name: all, namespace: test }
spec: { rules: [{ name: any }] }
`;
