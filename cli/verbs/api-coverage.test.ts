import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';

import { afterAll, expect, test } from 'vitest';

import { FLOW_SCHEMA } from '#proto/flow-record.ts';

import { runProgram } from '../program.ts';

const folder = mkdtempSync(join(tmpdir(), 'api-coverage-'));
const at = (name: string): string => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

writeFileSync(
  at('policies.yaml'),
  `apiVersion: security.postern.mesh/v1alpha1
kind: APIDefinition
metadata: { name: orders, namespace: shop }
spec:
  selector: { matchLabels: { app: orders } }
  operations:
    - { id: list, method: GET, path: /orders }
    - { id: one, method: GET, path: "/orders/{*}" }
    - { id: mine, method: GET, path: /orders/mine }
    - { id: drop, method: DELETE, path: "/orders/{*}" }
---
apiVersion: security.postern.mesh/v1alpha1
kind: AccessPolicy
metadata: { name: callers, namespace: shop }
spec:
  selector: { matchLabels: { app: orders } }
  apiRef: { name: orders }
  rules:
    - { name: web, from: [{ serviceAccounts: [web] }], to: [{ operations: [list, one] }] }
    - { name: own, from: [{ serviceAccounts: [till] }], to: [{ operations: [one, mine] }] }
`,
);
writeFileSync(
  at('access.log'),
  [
    logLine('GET', '/orders', 'allow'),
    logLine('GET', '/orders/17', 'allow'),
    logLine('GET', '/orders/mine', 'deny'),
    logLine('GET', '/admin', 'deny'),
    logLine('GET', '/admin', 'deny'),
    logLine('POST', '/orders', 'allow'),
    JSON.stringify({ method: 'GET', path: '/elsewhere', decision: null, upstream_cluster: 'outbound|80||other' }),
    JSON.stringify({ method: null, path: null, protocol: 'tcp', decision: 'allow' }),
    '',
  ].join('\n'),
);
const flow = (direction: string, path: string): string =>
  JSON.stringify({ schema: FLOW_SCHEMA, direction, request: { method: 'DELETE', path }, decision: { effect: 'deny' } });
writeFileSync(
  at('flows.jsonl'),
  [flow('inbound', '/orders/17'), flow('outbound', '/orders/17'), flow('inbound', '/x')].join('\n'),
);
writeFileSync(
  at('openapi.json'),
  JSON.stringify({
    openapi: '3.1.0',
    info: { title: 'Orders', version: '1' },
    paths: { '/orders': { get: { operationId: 'all', responses: { 200: { description: 'They' } } } } },
  }),
);

test('api coverage tells who may call each operation, what was called, and what no operation knows', async () => {
  const { status, stdout } = await run('--log', at('access.log'), '--log', at('flows.jsonl'), '-o', 'json');
  expect(status).toBe(79);
  const found: unknown = JSON.parse(stdout);
  expect(found).toMatchObject({
    workload: { namespace: 'shop', labels: { app: 'orders' } },
    operations: [
      { id: 'list', callers: [{ by: 'shop/callers#web' }], traffic: { requests: 1, denied: 0 }, findings: [] },
      { id: 'one', traffic: { requests: 1, denied: 0 }, findings: [] },
      { id: 'mine', callers: [{ by: 'shop/callers#own' }], traffic: { requests: 1, denied: 1 }, findings: [] },
      { id: 'drop', callers: [], isComplete: true, traffic: { requests: 1, denied: 1 }, findings: ['unreachable'] },
    ],
    log: {
      requests: 8,
      passedOver: 3,
      shadows: [
        { method: 'GET', path: '/admin', requests: 2, denied: 2 },
        { method: 'POST', path: '/orders', requests: 1, denied: 0 },
        { method: 'DELETE', path: '/x', requests: 1, denied: 1 },
      ],
      unlisted: 0,
    },
  });
  expect(stdout).toContain('account shop/till');
});

test('api coverage says nothing of traffic without a log', async () => {
  const { status, stdout } = await run();
  expect(status).toBe(79);
  expect(stdout).toMatch(/^drop +DELETE +\/orders\/\{\*\} +nobody +- +- +unreachable$/m);
  expect(stdout).not.toContain('unused');
});

test('api coverage tells an operation that nobody called', async () => {
  const { stdout } = await run('--log', at('flows.jsonl'));
  expect(stdout).toMatch(/^list .* 0 +0 +unused$/m);
  expect(stdout).toMatch(/^DELETE +\/x +1 +1$/m);
});

test('api coverage reads a description, ends with 0 where all is covered, and writes YAML', async () => {
  const { status, stdout } = await run(at('openapi.json'), '--to', 'shop/orders', '-o', 'yaml');
  expect(status).toBe(0);
  expect(stdout).toContain('- id: all\n');
});

test.each([
  { why: 'a description without a workload', words: [at('openapi.json')], status: 64 },
  { why: 'a workload without an API', words: ['--to', 'shop/other'], status: 65 },
  { why: 'a log that is not there', words: ['--log', at('none')], status: 65 },
  { why: 'a log that is none', words: ['--log', at('policies.yaml')], status: 65 },
])('api coverage refuses $why', async ({ status, words }) => {
  await expect(run(...words)).rejects.toMatchObject({ status });
});

function logLine(method: string, path: string, decision: string): string {
  return JSON.stringify({ method, path, decision, response_code: 200, upstream_cluster: 'inbound|80||' });
}

async function run(...args: readonly string[]): Promise<{ status: number; stdout: string }> {
  const stdout = new PassThrough();
  const streams = { stdin: Readable.from([]), stdout, stderr: new PassThrough() };
  const status = await runProgram(['api', 'coverage', ...args, '-f', at('policies.yaml')], streams);
  return { status, stdout: String(stdout.read() ?? '') };
}
