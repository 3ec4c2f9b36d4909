/** An API whose parameters are checked, in a sidecar that runs: the same answers over HTTP/1.1 and HTTP/2. */
import { afterAll, beforeAll, expect, test } from 'vitest';

import { h2TlsClient, head } from '#test/support/h2-client.ts';
import type { H2Client } from '#test/support/h2-client.ts';
import { statusOf } from '#test/support/http-reader.ts';
import { MeshIdentities } from '#test/support/mesh-identities.ts';
import { tlsClient } from '#test/support/raw-client.ts';
import type { RawClient } from '#test/support/raw-client.ts';
import { startUpstream } from '#test/support/raw-upstream.ts';
import { startSidecar } from '#test/support/sidecar.ts';

const mesh = new MeshIdentities();
const disposables: AsyncDisposable[] = [];
let h1: RawClient;
let h2: H2Client;

beforeAll(async () => {
  const upstream = await startUpstream();
  disposables.push(upstream);
  const sidecar = await startSidecar({
    mesh,
    inbound: [{ mtls: 'STRICT', forwardTo: `127.0.0.1:${upstream.port}` }],
    policies: { 'api.yaml': API },
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
  { path: '/orders/17', status: 200 },
  { path: '/orders/17?limit=5&x=%zz', status: 403 },
  { path: '/orders/17?limit=5&x=y', status: 200 },
  { path: '/orders/17?limit=x', status: 403 },
  { path: '/orders/17?li%6Dit=x', status: 403 },
  { path: '/orders/x', status: 403 },
  { path: '/orders/%2e%2e/orders/17', status: 200 },
  { path: '/orders/..%2F17', status: 403 },
  { path: '/orders', status: 403 },
])('GET $path is answered with $status over both', async ({ path, status }) => {
  expect(statusOf(await h1.ask(`GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`))).toBe(status);
  expect(Number((await h2.ask(head('GET', path))).status)).toBe(status);
});

const API = `apiVersion: security.postern.mesh/v1alpha1
kind: APIDefinition
metadata: { name: orders, namespace: test }
spec:
  selector: { matchLabels: { app: app } }
  validate: [path, query]
  operations:
    - id: one
      method: GET
      path: "/orders/{*}"
      parameters:
        - { in: path, name: id, wildcard: 1, type: integer }
        - { in: query, name: limit, type: integer }
---
apiVersion: security.postern.mesh/v1alpha1
kind: AccessPolicy
metadata: { name: all, namespace: test }
spec: { rules: [{ name: any }] }
`;
