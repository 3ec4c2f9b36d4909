import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';

import { afterAll, expect, test } from 'vitest';

import { runProgram } from '../program.ts';

const folder = mkdtempSync(join(tmpdir(), 'policy-tools-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const POLICY = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: orders, namespace: shop, annotations: { postern.mesh/rule-names: "read,write" } }
spec:
  selector: { matchLabels: { app: orders } }
  rules:
    - from: [{ source: { principals: [cluster.local/ns/shop/sa/web] } }]
      to: [{ operation: { methods: [GET], paths: ["/orders/*"] } }]
    - from: [{ source: { namespaces: [admin] } }]
      to: [{ operation: { methods: [POST] } }]
`;
const CASES = `cases:
  - name: the shop reads orders
    request: { from: shop/web, to: shop/orders, path: /orders/17 }
    expect: allow
    rule: read
  - name: the shop reads nothing else
    request: { from: shop/web, to: shop/orders, path: /users }
    expect: deny
  - name: others read nothing
    request: { from: shop/api, to: shop/orders, path: /orders/17 }
    expect: deny
`;

test('policy test passes, tells the faults that no case notices, and fails below the score', async () => {
  const path = given('good', { 'orders.yaml': POLICY, 'orders_test.yaml': CASES });
  const { status, stdout } = await run('test', '-f', path, '-o', 'json');
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    passed: 3,
    failed: 0,
    mutations: {
      planted: 6,
      noticed: 3,
      scorePercent: 50,
      survivors: [
        { policy: 'shop/orders', rule: 'write', kind: 'removed' },
        { rule: 'write', kind: 'any source' },
        { rule: 'write', kind: 'any operation' },
      ].map((one) => expect.objectContaining(one) as object),
    },
  });
  expect((await run('test', '-f', path, '--min-score', '80')).status).toBe(79);
  expect((await run('test', '-f', path)).stdout).toContain('mutation score 50 % (3 of 6 planted faults are noticed)');
});

test('policy test tells what failed, as JUnit too', async () => {
  const cases = CASES.replace('expect: allow', 'expect: deny');
  const path = given('failing', { 'orders.yaml': POLICY, 'orders_test.yaml': cases });
  const { status, stdout } = await run('test', '-f', path, '-o', 'junit');
  expect(status).toBe(79);
  expect(stdout).toContain('<testsuites tests="3" failures="1" errors="0">');
  expect(stdout).toContain('<failure message="wanted deny by read, got allow (shop/orders#read)"/>');
});

test.each([
  { why: 'no case', files: { 'a.yaml': POLICY }, want: 'found no case' },
  { why: 'an unknown word', files: { 'a_test.yaml': CASES.replace('path: /users', 'pth: /users') }, want: 'Cannot read "pth"' },
  { why: 'an expectation that is none', files: { 'a_test.yaml': CASES.replace('deny', 'no') }, want: 'allow or deny' },
  { why: 'a policy at fault', files: { 'a.yaml': POLICY.replace('methods', 'method') }, want: 'found 1 fault' },
])('policy test refuses $why', async ({ files, why, want }) => {
  await expect(run('test', '-f', given(why, files))).rejects.toThrow(want);
});

test('policy test judges 1,000 cases within 2 s of CPU', async () => {
  const one = '  - { name: n, request: { from: shop/web, to: shop/orders, path: /orders/17 }, expect: allow }\n';
  const path = given('many', { 'orders.yaml': POLICY, 'many_test.yaml': `cases:\n${one.repeat(1_000)}` });
  const start = process.cpuUsage();
  expect((await run('test', '-f', path)).stdout).toContain('1000 passed');
  const { system, user } = process.cpuUsage(start);
  expect((system + user) / 1_000).toBeLessThan(2_000);
});

test('policy diff tells requests, or that there are none', async () => {
  const [before, after] = [
    given('before', { 'a.yaml': POLICY }),
    given('after', { 'a.yaml': POLICY.replace('[POST]', '[POST, PUT]') }),
  ];
  const { status, stdout } = await run('diff', before, after, '-o', 'json');
  expect(status).toBe(79);
  expect(JSON.parse(stdout)).toMatchObject({
    result: 'different',
    workloads: [
      {
        requests: [{ request: { method: 'PUT' }, before: { decision: 'deny' }, after: { policy: 'shop/orders', rule: 'write' } }],
      },
    ],
  });
  expect(await run('diff', before, before)).toMatchObject({ status: 0, stdout: 'no request is decided differently\n' });
  expect((await run('diff', before, after, '--budget', '1', '--workload', 'shop', '--label', 'app=orders')).stdout).toContain(
    'undecided',
  );
});

test('policy lint tells where and why, and is silent about what is sound', async () => {
  const path = given('lint', { 'a.yaml': POLICY.replace('[GET]', '[get]') });
  const { status, stdout } = await run('lint', '-f', path, '-o', 'yaml');
  expect(status).toBe(79);
  expect(stdout).toContain('code: dead-value');
  expect(await run('lint', '-f', given('clean', { 'a.yaml': POLICY }))).toMatchObject({ status: 0, stdout: 'nothing found\n' });
});

test('policies in a file that is named like cases are read all the same', async () => {
  const path = given('named', { 'd_test.yaml': POLICY.replace('[GET]', '[get]') });
  expect((await run('lint', '-f', path)).status).toBe(79);
});

function given(name: string, files: Readonly<Record<string, string | undefined>>): string {
  const path = join(folder, name.replaceAll(' ', '-'));
  mkdirSync(path);
  for (const [file, text] of Object.entries({ 'p.yaml': undefined, ...files }))
    if (text !== undefined) writeFileSync(join(path, file), text);
  return path;
}

async function run(...args: readonly string[]): Promise<{ status: number; stdout: string }> {
  const stdout = new PassThrough();
  const status = await runProgram(['policy', ...args], { stdin: Readable.from([]), stdout, stderr: new PassThrough() });
  return { status, stdout: String(stdout.read() ?? '') };
}
