import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';

import { afterAll, expect, test } from 'vitest';

import { runProgram } from '../program.ts';

const folder = mkdtempSync(join(tmpdir(), 'access-tools-'));
writeFileSync(
  join(folder, 'orders.yaml'),
  `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: orders, namespace: shop, annotations: { postern.mesh/rule-names: "read,pay" } }
spec:
  selector: { matchLabels: { app: orders } }
  rules:
    - from: [{ source: { namespaces: [web] } }]
      to: [{ operation: { methods: [GET], paths: ["/orders/*"] } }]
    - from: [{ source: { principals: [cluster.local/ns/shop/sa/till] } }]
      to: [{ operation: { methods: [POST] } }]
      when: [{ key: "request.headers[x-tenant]", values: [a] }]
`,
);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  { words: 'GET /orders/17 --from web/front', status: 0, says: 'yes' },
  { words: 'GET /orders/../users --from web/front', status: 1, says: 'no' },
  { words: 'POST /x --from shop/till --header x-tenant:a', status: 0, says: 'yes  shop/orders#pay' },
  { words: 'POST /x --from shop/till --explain', status: 1, says: 'shop/orders#pay: `when` does not include' },
  { words: 'GET /orders/17', status: 1, says: 'no' },
])('can-i answers $says to $words', async ({ says, status, words }) => {
  const found = await run('can-i', ...words.split(' '), '--to', 'shop/orders');
  expect(found.status).toBe(status);
  expect(found.stdout).toContain(says);
});

test('policy explain tells the nearest rule with its place, whatever the answer', async () => {
  const { status, stdout } = await run('policy', 'explain', 'PUT', '/orders/17', '--from', 'web/front', '--to', 'shop/orders');
  expect(status).toBe(0);
  expect(stdout).toContain('`to` does not include method PUT');
  expect(stdout).toMatch(/orders\.yaml:7/);
});

test('who-can and what-can tell the ways in, and what else is asked for', async () => {
  const who = await run('who-can', 'POST', '/orders/1', '--to', 'shop/orders', '-o', 'json');
  expect(JSON.parse(who.stdout)).toMatchObject({
    workloads: [
      {
        isComplete: true,
        accesses: [{ by: 'shop/orders#pay', who: 'principal cluster.local/ns/shop/sa/till', what: ['header x-tenant a'] }],
      },
    ],
  });
  const what = await run('what-can', '--from', 'web/front', '-o', 'json');
  expect(JSON.parse(what.stdout)).toMatchObject({
    workloads: [{ accesses: [{ by: 'shop/orders#read', what: ['method GET', 'path /orders/*'] }] }],
  });
  expect((await run('what-can', '--from', 'dev/x')).stdout).toBe('nobody, nothing\n');
});

async function run(...args: readonly string[]): Promise<{ status: number; stdout: string }> {
  const stdout = new PassThrough();
  const streams = { stdin: Readable.from([]), stdout, stderr: new PassThrough() };
  const status = await runProgram([...args, '-f', folder], streams);
  return { status, stdout: String(stdout.read() ?? '') };
}
