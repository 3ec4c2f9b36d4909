/** What a sidecar's admin socket answers, recorded from a running one, and what `explain` and `proxy-status` make of it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';

import { compilePolicies } from '#authz/plan/compile.ts';
import { readPolicies } from '#authz/policy/read.ts';

import { run } from '../main.ts';

let folder = '';
let socket = '';
let server: Server;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-admin-'));
  socket = join(folder, 'admin.sock');
  server = createServer((request, response) => {
    const answer = ANSWERS[request.url ?? ''];
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer ?? { error: 'not found' }));
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(socket, resolve);
  await promise;
  writeFileSync(join(folder, 'access.log'), LOG);
});

afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('postern explain', () => {
  test('tells what the sidecar remembers of a denial', async () => {
    const { status, stdout } = await postern('explain', 'k3f9-1a', '--admin', socket);
    expect(status).toBe(0);
    expect(stdout.split('\n')).toEqual([
      'denied  k3f9-1a  2026-11-24T11:40:00.123Z',
      '  request:  DELETE /orders/17 on orders.shop',
      '  from:     spiffe://demo.mesh/ns/shop/sa/web, address 10.1.2.3',
      '  to:       port 8080',
      '  header:   x-tenant: a\\u001b[2Jb',
      '  header:   authorization: (not shown)',
      '  code:     denied_no_match: ALLOW policies select the workload and no rule of theirs matched.',
      '  revision: sha256:00',
      '',
    ]);
  });

  test('tells the nearest miss from the model that decided', async () => {
    const { stdout } = await postern('explain', 'k3f9-2b', '--admin', socket);
    expect(stdout).toContain('  nearest:  shop/orders#write: `from` does not include spiffe://demo.mesh/ns/shop/sa/web\n');
    expect(stdout).toContain('  at:       orders.yaml:11\n');
    const { stdout: asJson } = await postern('explain', 'k3f9-2b', '--admin', socket, '-o', 'json');
    expect(JSON.parse(asJson)).toMatchObject({ explanation: { nearest: { policy: 'shop/orders', rule: 'write' } } });
  });

  test('tells the rule that denied, and where it stands', async () => {
    const { stdout } = await postern('explain', 'k3f9-2c', '--admin', socket);
    expect(stdout).toContain('  policy:   shop/no-admin\n');
    expect(stdout).toContain('  at:       orders.yaml:22\n');
  });

  test('gives the same as JSON, without the model', async () => {
    const { stdout } = await postern('explain', 'k3f9-1a', '--admin', socket, '-o', 'json');
    const answer: unknown = JSON.parse(stdout);
    expect(answer).toMatchObject({
      id: 'k3f9-1a',
      decision: { code: 'denied_no_match' },
      input: { request: { method: 'DELETE' } },
    });
    expect(answer).not.toHaveProperty('model');
    expect(stdout).not.toContain('s3cret');
  });

  test('falls back on the access log when the sidecar has forgotten it', async () => {
    const log = join(folder, 'access.log');
    const { status, stdout } = await postern('explain', 'k3f9-02', '--admin', socket, '--log', log);
    expect(status).toBe(0);
    expect(stdout).toContain('denied  k3f9-02');
    expect(stdout).toContain('denied_by_rule: A rule of a DENY policy matched.');
    expect(stdout).toContain('shop/orders-deny');
    expect(stdout).toContain('from the access log');
  });

  test('looks in the log alone when no sidecar is named', async () => {
    const { status, stdout } = await postern('explain', 'k3f9-02', '--log', join(folder, 'access.log'));
    expect(status).toBe(0);
    expect(stdout).toContain('denied  k3f9-02');
  });

  test.each([
    { why: 'nobody knows the id', args: ['k3f9-zz'], status: 1, err: 'no longer knows it' },
    { why: 'the log does not know it either', args: ['k3f9-zz', '--log', 'LOG'], status: 1, err: 'no access log has it' },
    { why: 'the answer has another form', args: ['k3f9-odd'], status: 1, err: 'another form' },
  ])('ends with $status when $why', async ({ args, status, err }) => {
    const log = join(folder, 'access.log');
    const ran = await postern('explain', ...args.map((arg) => (arg === 'LOG' ? log : arg)), '--admin', socket);
    expect(ran.status).toBe(status);
    expect(ran.stderr).toContain(err);
    expect(ran.stdout).toBe('');
  });
});

describe('postern proxy-status', () => {
  test('shows identity, policy, listeners and connections', async () => {
    const { status, stdout } = await postern('ps', '--admin', socket);
    expect(status).toBe(0);
    expect(stdout).toContain('WORKLOAD  shop/orders\n');
    expect(stdout).toContain('IDENTITY  spiffe://demo.mesh/ns/shop/sa/orders, expires in ');
    expect(stdout).toContain('POLICY    ok, 2 of 3 policies select it, loaded ');
    expect(stdout).toContain('REFUSED   new policies: /p/a.yaml:3:1: found no kind');
    expect(stdout).toContain('inbound    127.0.0.1:15006  STRICT  127.0.0.1:8080   -\n');
    expect(stdout).toContain('outbound   unix:/run/out    -       127.0.0.1:16006  spiffe://demo.mesh/ns/shop/sa/ledger\n');
    expect(stdout).toMatch(
      /^4 {3}127\.0\.0\.1:15006 {2}10\.1\.2\.3:4000 {2}spiffe:\/\/demo\.mesh\/ns\/shop\/sa\/web {2}12 .* busy$/mu,
    );
  });

  test('finds the socket by the configuration file', async () => {
    const file = join(folder, 'proxy.yaml');
    writeFileSync(file, CONFIG);
    const { status, stdout } = await postern('proxy-status', '-c', file);
    expect(status).toBe(0);
    expect(stdout).toContain('shop/orders');
  });

  test.each(['json', 'yaml'])('gives everything as %s', async (form) => {
    const { stdout } = await postern('ps', '--admin', socket, '-o', form);
    // JSON is YAML.
    expect(parse(stdout)).toEqual({
      config: ANSWERS['/config'],
      policy: ANSWERS['/policy'],
      identity: ANSWERS['/identity'],
      connections: ANSWERS['/connections'],
    });
  });
});

async function postern(...args: string[]) {
  const written = { stdout: '', stderr: '' };
  const into = (name: 'stdout' | 'stderr') =>
    new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        written[name] += chunk.toString();
        done();
      },
    });
  const status = await run(args, { stdin: Readable.from([]), stdout: into('stdout'), stderr: into('stderr') });
  return { status, ...written };
}

function decided(id: string, path: string, decision: object, model: string | null): object {
  return {
    id,
    at: '2026-11-24T11:40:00.123Z',
    decision: { effect: 'deny', revision: 'sha256:00', ...decision },
    input: {
      connection: {
        principal: 'spiffe://demo.mesh/ns/shop/sa/web',
        sourceIp: '10.1.2.3',
        remoteIp: '10.1.2.3',
        destinationIp: '10.1.2.4',
        destinationPort: 8080,
        sni: null,
        tls: true,
        protocol: 'http',
      },
      request: {
        method: 'DELETE',
        authority: 'orders.shop',
        path,
        headers: [
          ['x-tenant', 'a\u001b[2Jb'],
          ['authorization', 'Bearer s3cret'],
        ],
      },
    },
    model,
  };
}

const POLICIES = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: orders
  namespace: shop
  annotations: { postern.mesh/rule-names: "read,write" }
spec:
  rules:
    - from: [{ source: { principals: [demo.mesh/ns/shop/sa/web] } }]
      to: [{ operation: { methods: [GET] } }]
    - from: [{ source: { principals: [demo.mesh/ns/shop/sa/checkout] } }]
      to: [{ operation: { methods: [DELETE] } }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: no-admin
  namespace: shop
spec:
  action: DENY
  rules:
    - to: [{ operation: { paths: [/admin] } }]
`;

const MODEL = Buffer.from(
  compilePolicies(
    readPolicies(POLICIES, 'orders.yaml').policies,
    { namespace: 'shop', labels: {}, serviceAccount: null },
    { rootNamespace: 'istio-system', trustDomain: 'demo.mesh', trustDomainAliases: [] },
  ).model,
).toString('base64');

const ANSWERS: Readonly<Record<string, unknown>> = {
  '/config': {
    namespace: 'shop',
    name: 'orders',
    inbound: [{ listen: { host: '127.0.0.1', port: 15006 }, mtls: 'STRICT', forwardTo: { host: '127.0.0.1', port: 8080 } }],
    outbound: [
      {
        listen: { socket: '/run/out' },
        forwardTo: { host: '127.0.0.1', port: 16006 },
        expect: ['spiffe://demo.mesh/ns/shop/sa/ledger'],
      },
    ],
  },
  '/policy': {
    revision: 'sha256:00',
    state: 'ok',
    documents: 3,
    selected: 2,
    loadedAt: '2026-11-24T11:30:00.000Z',
    faults: [{ file: '/p/a.yaml', line: 3, column: 1, code: 'PN0111', path: '', message: 'found no kind', fix: null }],
  },
  '/identity': {
    spiffeId: 'spiffe://demo.mesh/ns/shop/sa/orders',
    serial: '01',
    notAfter: '2099-11-24T12:40:00.000Z',
    generation: 2,
    bundleGeneration: 1,
    trustDomains: ['demo.mesh'],
    fault: null,
  },
  '/connections': [
    {
      id: 4,
      listener: '127.0.0.1:15006',
      peer: '10.1.2.3:4000',
      principal: 'spiffe://demo.mesh/ns/shop/sa/web',
      openedAt: '2026-11-24T11:39:00.000Z',
      requests: 12,
      isIdle: false,
    },
  ],
  '/decisions/k3f9-1a': decided('k3f9-1a', '/orders/17', { code: 'denied_no_match', policy: null, rule: null }, null),
  '/decisions/k3f9-2b': decided('k3f9-2b', '/orders/17', { code: 'denied_no_match', policy: null, rule: null }, MODEL),
  '/decisions/k3f9-2c': decided('k3f9-2c', '/admin', { code: 'denied_by_rule', policy: 'shop/no-admin', rule: '0' }, MODEL),
  '/decisions/k3f9-odd': { id: 'k3f9-odd' },
};

const LOG = `{"start_time":"2026-11-24T11:39:59.000Z","method":"GET","decision":null,"decision_id":null}
{"start_time":"2026-11-24T11:40:00.000Z","method":"DELETE","path":"/orders/17","authority":"orders","downstream_remote_address":"10.1.2.3:4000","source_principal":"spiffe://demo.mesh/ns/shop/sa/web","decision":"deny","decision_code":"denied_by_rule","decision_id":"k3f9-02","policy":"shop/orders-deny","rule":"0","policy_revision":"sha256:00"}
{"start_time":"2026-11-24T11:40:01.000Z","decision_id":"k3f9-0
`;

const CONFIG = `apiVersion: postern.mesh/v1alpha1
kind: Proxy
metadata: { name: orders, namespace: shop }
spec:
  identity: { trustDomain: demo.mesh, files: { certificate: a, key: b, bundles: { demo.mesh: c } } }
  inbound: [{ listen: 127.0.0.1:15006, forwardTo: 127.0.0.1:8080 }]
  telemetry: { admin: admin.sock }
`;
