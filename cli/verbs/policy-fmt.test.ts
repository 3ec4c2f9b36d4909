import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';

import { afterAll, expect, test } from 'vitest';

import { formatPolicies, policyFmt } from './policy-fmt.ts';

const folder = mkdtempSync(join(tmpdir(), 'policy-fmt-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const LOOSE = `# About the file
kind: AuthorizationPolicy
apiVersion: security.istio.io/v1   # the group
metadata:
    # who
    namespace: shop
    name: orders
spec:
    # what may be done
    rules:
    - to: [{operation: {methods: [GET]}}]   # reading
      # by whom
      from:
          - source: {principals: ["cluster.local/ns/shop/sa/web"]}
    action: ALLOW
---
# Second
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: b, namespace: shop }
spec: {}
`;
const STRICT = `# About the file
apiVersion: security.istio.io/v1 # the group
kind: AuthorizationPolicy
metadata:
  # who
  name: orders
  namespace: shop
spec:
  # what may be done
  action: ALLOW
  rules:
    # by whom
    - from:
        - source: { principals: [ "cluster.local/ns/shop/sa/web" ] }
      to: [ { operation: { methods: [ GET ] } } ] # reading
---
# Second
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: b, namespace: shop }
spec: {}
`;

test('formatPolicies() orders members, keeps every comment, and changes nothing the second time', () => {
  expect(formatPolicies(LOOSE, 'f')).toBe(STRICT);
  expect(formatPolicies(STRICT, 'f')).toBe(STRICT);
});

test('formatPolicies() refuses what is no policy', () => {
  expect(() => formatPolicies(LOOSE.replace('methods', 'method'), 'f')).toThrow('method');
});

test('policyFmt() tells which files would change, and changes them', async () => {
  const file = join(folder, 'a.yaml');
  writeFileSync(file, LOOSE);
  expect(await run('check')).toEqual({ status: 79, stdout: `${file}\n` });
  expect(await run('write')).toEqual({ status: 0, stdout: `${file}\n` });
  expect(readFileSync(file, 'utf8')).toBe(STRICT);
  expect(await run('check')).toEqual({ status: 0, stdout: '' });
  expect(await run('print')).toEqual({ status: 0, stdout: STRICT });
});

async function run(action: 'print' | 'check' | 'write'): Promise<{ status: number; stdout: string }> {
  const stdout = new PassThrough();
  const status = await policyFmt({ files: [folder], action }, { stdin: Readable.from([]), stdout, stderr: new PassThrough() });
  return { status, stdout: String(stdout.read() ?? '') };
}
