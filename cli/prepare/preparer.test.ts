import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import type { PrepareAnswer } from '#proto/prepare.ts';
import { Preparer } from '#proxy/config/preparer.ts';

const MODULE = join(import.meta.dirname, 'main.ts');

describe('the preparer', () => {
  const preparer = new Preparer(MODULE);
  let folder = '';

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-prepare-'));
  });
  beforeEach(() => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(join(folder, 'policies'), { recursive: true });
  });
  afterAll(async () => {
    await preparer.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  const prepare = (policies: string): Promise<PrepareAnswer> => {
    write('proxy.yaml', config(policies));
    return preparer.prepare(join(folder, 'proxy.yaml'));
  };

  test('compiles the policies of a folder', async () => {
    write('policies/a.yaml', policy('a'));
    write('policies/b.yml', policy('b', 'other'));
    write('policies/readme.md', '# not a policy');
    const answer = await prepare('{ files: [policies] }');
    expect(answer).toMatchObject({ configFaults: [], policyFaults: [], policyState: 'ok' });
    expect(answer.policy).toMatchObject({ documents: 2, selected: 1 });
    expect(answer.policy?.revision).toMatch(/^sha256:[0-9a-f]{64}$/u);
    expect(Buffer.from(answer.policy?.wasm.subarray(0, 4) ?? []).toString('latin1')).toBe('\0asm');
    expect(answer.cpuMs).toBeGreaterThan(0);
  });

  test('hands on whose tokens the workload takes, and refuses rules that cannot be obeyed', async () => {
    write('policies/a.yaml', policy('a'));
    const users = (rule: string): string => `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: users, namespace: shop }
spec: { jwtRules: [{ issuer: https://idp.test, ${rule} }] }
`;
    write('policies/users.yaml', users('jwksUri: https://idp.test/keys'));
    const answer = await prepare('{ files: [policies] }');
    const rule = { issuer: 'https://idp.test', jwksUri: 'https://idp.test/keys', policy: 'shop/users' };
    expect(answer).toMatchObject({ policyState: 'ok', policy: { jwtRules: [rule] } });
    for (const [unusable, message] of [
      [`jwks: '{"keys":[]}'`, 'no usable key'],
      [`jwks: '{"keys":[{"kty":"oct","k":"AA"}]}'`, 'symmetric'],
      [`outputPayloadToHeader: x_forwarded_for`, 'x_forwarded_for'],
    ] as const) {
      write('policies/users.yaml', users(unusable));
      const refused = await prepare('{ files: [policies] }');
      expect(refused).toMatchObject({ policy: null, policyState: 'invalid', policyFaults: [{ code: 'PN0403', line: 1 }] });
      expect(refused.policyFaults[0]?.message).toContain(message);
    }
    write('policies/users.yaml', users('jwksUri: https://idp.test/other'));
    const changed = await prepare('{ files: [policies] }');
    expect(changed.policy?.revision).not.toBe(answer.policy?.revision);
  });

  test('names every file and folder that is to be watched', async () => {
    mkdirSync(join(folder, 'policies/team'));
    write('policies/team/a.yaml', policy('a'));
    const { watched } = await prepare('{ files: [policies, later.yaml] }');
    const names = ['proxy.yaml', 'policies', 'policies/team', 'policies/team/a.yaml', 'later.yaml'];
    expect(watched).toEqual(names.map((name) => join(folder, name)));
  });

  test('reads the description that an API names, and has its folder watched', async () => {
    mkdirSync(join(folder, 'single/openapi'), { recursive: true });
    write('single/api.yaml', api('openapi: { file: openapi/a.yaml }'));
    write('single/openapi/a.yaml', description('/orders'));
    const { policy: compiled, policyFaults, watched } = await prepare('{ files: [single/api.yaml] }');
    expect(policyFaults).toEqual([]);
    expect(compiled?.documents).toBe(1);
    expect(watched).toEqual(
      ['proxy.yaml', 'single/api.yaml', 'single/openapi', 'single/openapi/a.yaml'].map((name) => join(folder, name)),
    );
    write('single/openapi/a.yaml', 'openapi: 9.0.0');
    const after = await prepare('{ files: [single/api.yaml] }');
    expect(after).toMatchObject({ policy: null, policyState: 'invalid', policyFaults: [{ code: 'PN0320', line: 1 }], watched });
  });

  test('refuses an API that asks for other canonical paths than the listener makes', async () => {
    write('policies/api.yaml', api('pathPolicy: strict, operations: [{ id: a, method: GET, path: /a }]'));
    const answer = await prepare('{ files: [policies] }');
    expect(answer).toMatchObject({ policy: null, policyFaults: [{ code: 'PN0404', line: 1, path: 'spec.pathPolicy' }] });
    write('policies/api.yaml', api('pathPolicy: base, operations: [{ id: a, method: GET, path: /a }]'));
    expect(await prepare('{ files: [policies] }')).toMatchObject({ policyFaults: [], policyState: 'ok' });
    write('policies/api.yaml', api('pathPolicy: strict, operations: [{ id: a, method: GET, path: /a }]', 'others'));
    expect(await prepare('{ files: [policies] }')).toMatchObject({ policyFaults: [], policyState: 'ok' });
  });

  test('reads a mounted ConfigMap once', async () => {
    mkdirSync(join(folder, 'policies/..2026_11_24'));
    write('policies/..2026_11_24/a.yaml', policy('a'));
    symlinkSync('..2026_11_24', join(folder, 'policies/..data'));
    symlinkSync('..data/a.yaml', join(folder, 'policies/a.yaml'));
    const { policy: compiled, policyState } = await prepare('{ files: [policies] }');
    expect(policyState).toBe('ok');
    expect(compiled?.documents).toBe(1);
  });

  test('gives equal revisions for equal sets, whatever the files are called', async () => {
    write('policies/a.yaml', policy('a'));
    write('policies/b.yaml', policy('b'));
    const first = await prepare('{ files: [policies] }');
    unlinkSync(join(folder, 'policies/b.yaml'));
    write('policies/a.yaml', `${policy('b')}---\n${policy('a')}`);
    const second = await prepare('{ files: [policies] }');
    expect(second.policy?.revision).toBe(first.policy?.revision);
  });

  test.each([
    { why: 'no source', policies: '{}', state: 'missing' },
    { why: 'an empty folder', policies: '{ files: [policies] }', state: 'missing' },
    { why: 'an empty folder and allowEmpty', policies: '{ files: [policies], allowEmpty: true }', state: 'ok' },
    { why: 'a lost mount', policies: '{ files: [gone] }', state: 'invalid' },
    { why: 'a lost mount and allowEmpty', policies: '{ files: [gone], allowEmpty: true }', state: 'invalid' },
    { why: 'allowAll', policies: '{ allowAll: true }', state: 'allow_all' },
  ])('says $state for $why', async ({ policies, state }) => {
    const answer = await prepare(policies);
    expect(answer.policyState).toBe(state);
    expect(answer.policy !== null).toBe(state === 'ok');
    expect(answer.policyFaults.length > 0).toBe(state === 'invalid');
  });

  test('refuses the whole set for one invalid document, with its place', async () => {
    write('policies/a.yaml', policy('a'));
    write('policies/b.yaml', policy('b').replace('methods', 'metods'));
    const answer = await prepare('{ files: [policies] }');
    expect(answer).toMatchObject({ policy: null, policyState: 'invalid' });
    expect(answer.config).not.toBeNull();
    expect(answer.policyFaults[0]).toMatchObject({
      file: join(folder, 'policies/b.yaml'),
      line: 8,
    });
    expect(answer.policyFaults[0]?.fix).toContain('methods');
  });

  test('gives no policy beside a configuration that is at fault', async () => {
    write('policies/a.yaml', policy('a'));
    const answer = await prepare('{ files: [policies], allowAl: true }');
    expect(answer).toMatchObject({ config: null, policy: null, policyState: 'invalid', watched: [join(folder, 'proxy.yaml')] });
    expect(answer.configFaults).toMatchObject([{ line: 11, code: 'PN0510', fix: 'did you mean allowAll?' }]);
  });

  test('says of a file that is not there that it is not there', async () => {
    const answer = await preparer.prepare(join(folder, 'nothing.yaml'));
    expect(answer.configFaults).toMatchObject([{ line: 0, code: 'PN0501' }]);
    expect(answer.configFaults[0]?.message).toContain('nothing there');
  });

  test('answers questions in the order in which they came', async () => {
    write('policies/a.yaml', policy('a'));
    write('proxy.yaml', config('{ files: [policies] }'));
    const file = join(folder, 'proxy.yaml');
    const answers = await Promise.all(Array.from({ length: 5 }, () => preparer.prepare(file)));
    expect(new Set(answers.map(({ policy: compiled }) => compiled?.revision)).size).toBe(1);
    const ids = answers.map(({ id }) => id);
    expect(ids).toEqual(ids.toSorted((a, b) => a - b));
  });
});

describe('the process of the preparer', () => {
  test('ends by itself when it was asked nothing for a while, and not before it has answered', async () => {
    const script = `import { serve } from ${JSON.stringify(join(import.meta.dirname, 'serve.ts'))};
      serve(() => new Promise((resolve) => setTimeout(resolve, 600, { policy: null, faults: [] })), 200);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
    const folder = mkdtempSync(join(tmpdir(), 'postern-prepare-'));
    writeFileSync(join(folder, 'proxy.yaml'), config('{ files: [proxy.yaml.d], allowEmpty: true }'));
    mkdirSync(join(folder, 'proxy.yaml.d'));
    const exited = once(child, 'exit');
    child.send({ id: 7, file: join(folder, 'proxy.yaml'), lastBundle: null });
    const message: unknown[] = await once(child, 'message');
    expect(message[0]).toMatchObject({ id: 7, policyState: 'invalid' });
    expect(await exited).toEqual([0, null]);
    rmSync(folder, { recursive: true });
  });

  test('ends when its parent lets go of it', async () => {
    const child = fork(MODULE, [], { serialization: 'advanced', execArgv: [] });
    await once(child, 'spawn');
    child.send({ id: 1, file: '/nowhere/proxy.yaml', lastBundle: null });
    await once(child, 'message');
    const exited = once(child, 'exit');
    child.disconnect();
    expect(await exited).toEqual([0, null]);
  });
});

function config(policies: string): string {
  return `apiVersion: postern.mesh/v1alpha1
kind: Proxy
metadata: { name: orders, namespace: shop, labels: { app: orders } }
spec:
  identity:
    trustDomain: demo.mesh
    files: { certificate: a.pem, key: a.key, bundles: { demo.mesh: ca.pem } }
  inbound:
    - listen: 127.0.0.1:0
      forwardTo: 127.0.0.1:8080
  policies: ${policies}
`;
}

function api(spec: string, app = 'orders'): string {
  const head = 'apiVersion: security.postern.mesh/v1alpha1, kind: APIDefinition, metadata: { name: a, namespace: shop }';
  return `{ ${head}, spec: { selector: { matchLabels: { app: ${app} } }, ${spec} } }\n`;
}

function description(path: string): string {
  return `openapi: 3.0.3
info: { title: a, version: '1' }
paths:
  ${path}:
    get: { operationId: a, responses: { 200: { description: ok } } }
`;
}

function policy(name: string, app = 'orders'): string {
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: shop }
spec:
  selector: { matchLabels: { app: ${app} } }
  rules:
    - from: [{ source: { principals: [demo.mesh/ns/shop/sa/web] } }]
      to: [{ operation: { methods: [GET] } }]
`;
}
