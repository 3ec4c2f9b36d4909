import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { policyDecide } from './policy-decide.ts';
import type { PolicyDecideOptions } from './policy-decide.ts';
import { policyValidate } from './policy-validate.ts';

const POLICY = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: orders, namespace: shop, annotations: { postern.mesh/rule-names: "read, write" } }
spec:
  selector: { matchLabels: { app: orders } }
  rules:
    - from: [{ source: { principals: [cluster.local/ns/shop/sa/web] } }]
      to: [{ operation: { methods: [GET], paths: ["/orders/{*}"], hosts: ["orders.shop"] } }]
    - from: [{ source: { requestPrincipals: ["https://idp/ann"] } }]
      to: [{ operation: { methods: [DELETE] } }]
      when: [{ key: "request.auth.audiences", values: [orders] }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ports, namespace: shop }
spec:
  action: DENY
  rules: [{ to: [{ operation: { ports: ["9999"] } }] }]
`;

const QUESTION = {
  id: '1',
  workload: { namespace: 'shop', labels: { app: 'orders' }, serviceAccount: 'orders' },
  source: { principal: 'spiffe://cluster.local/ns/shop/sa/web', ip: '10.1.2.3' },
  destination: { ip: '10.1.2.4', port: 8080 },
  connection: { protocol: 'http', tls: true },
  request: { method: 'GET', authority: 'Orders.shop.', path: '/orders/./17?x=1', headers: [['user-agent', 'curl/8']] },
};

let folder = '';
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-decide-'));
  file('policy.yaml', POLICY);
});

afterAll(() => rmSync(folder, { recursive: true }));

async function decide(questions: readonly unknown[], changed: Partial<PolicyDecideOptions> = {}) {
  const options: PolicyDecideOptions = {
    files: [join(folder, 'policy.yaml')],
    rootNamespace: 'istio-system',
    trustDomain: 'cluster.local',
    trustDomainAliases: [],
    pathPolicy: 'base',
    engine: 'both',
    whenNoneSelects: 'allow',
    explain: false,
    ignoreKinds: false,
    nowMs: 0,
    ...changed,
  };
  const stdin = Readable.from(
    questions.map((question) => `${typeof question === 'string' ? question : JSON.stringify(question)}\n`),
  );
  const { io, out, err } = streams(stdin);
  const status = await policyDecide(options, io);
  return { status, answers: lines(out()), stderr: err() };
}

function streams(stdin: Readable) {
  const collect = () => {
    const chunks: Buffer[] = [];
    const stream = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        chunks.push(chunk);
        done();
      },
    });
    return { stream, text: () => Buffer.concat(chunks).toString() };
  };
  const stdout = collect();
  const stderr = collect();
  return { io: { stdin, stdout: stdout.stream, stderr: stderr.stream }, out: stdout.text, err: stderr.text };
}

function lines(text: string): readonly Readonly<Record<string, unknown>>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
}

describe('policy decide', () => {
  test('answers with the deciding policy and rule', async () => {
    const { status, answers } = await decide([QUESTION]);
    expect(status).toBe(0);
    expect(answers[0]?.['revision']).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(answers).toEqual([
      {
        id: '1',
        decision: 'allow',
        policy: 'shop/orders',
        rule: 'read',
        code: 'allowed_by_rule',
        revision: answers[0]?.['revision'],
        audited: [],
        shadow: [],
      },
    ]);
  });

  test.each([
    {
      why: 'another method',
      changed: { request: { ...QUESTION.request, method: 'PUT' } },
      want: { decision: 'deny', code: 'denied_no_match', policy: null, rule: null },
    },
    {
      why: 'a denied port',
      changed: { destination: { ip: '10.1.2.4', port: 9999 } },
      want: { decision: 'deny', code: 'denied_by_rule', policy: 'shop/ports', rule: '0' },
    },
    {
      why: 'plaintext',
      changed: { connection: { protocol: 'http', tls: false } },
      want: { decision: 'deny', code: 'denied_no_match' },
    },
    {
      why: 'no identity',
      changed: { source: { principal: null, ip: '10.1.2.3' } },
      want: { decision: 'deny', code: 'denied_no_match' },
    },
    {
      why: 'a workload that only DENY selects',
      changed: { workload: { namespace: 'shop', labels: {} } },
      want: { decision: 'allow', code: 'allowed_no_policy' },
    },
    {
      why: 'a workload that nothing selects',
      changed: { workload: { namespace: 'other' } },
      want: { decision: 'allow', code: 'allowed_no_policy' },
    },
    {
      why: 'a path without canonical form',
      changed: { request: { ...QUESTION.request, path: '/orders/%00' } },
      want: { decision: 'deny', code: 'bad_path', policy: null },
    },
    {
      why: 'a host that is none',
      changed: { request: { ...QUESTION.request, authority: 'a b' } },
      want: { decision: 'deny', code: 'bad_authority' },
    },
    {
      why: 'a method that is none',
      changed: { request: { ...QUESTION.request, method: 'get' } },
      want: { decision: 'deny', code: 'bad_method' },
    },
    {
      why: 'raw TCP',
      changed: { connection: { protocol: 'tcp', tls: true }, request: undefined },
      want: { decision: 'deny', code: 'denied_no_match' },
    },
    {
      why: 'a token',
      changed: {
        request: { ...QUESTION.request, method: 'DELETE' },
        tokens: [{ issuer: 'https://idp', subject: 'ann', audiences: ['orders'], claims: {} }],
      },
      want: { decision: 'allow', rule: 'write' },
    },
    {
      why: 'a token of claims alone',
      changed: {
        request: { ...QUESTION.request, method: 'DELETE' },
        tokens: [{ claims: { iss: 'https://idp', sub: 'ann', aud: 'orders' } }],
      },
      want: { decision: 'allow', rule: 'write' },
    },
  ])('judges $why', async ({ changed, want }) => {
    const { answers, status } = await decide([{ ...QUESTION, ...changed }]);
    expect(status).toBe(0);
    expect(answers).toMatchObject([want]);
  });

  test('explains on demand', async () => {
    const { answers } = await decide([{ ...QUESTION, request: { ...QUESTION.request, method: 'PUT' } }], { explain: true });
    expect(answers).toMatchObject([
      {
        explain: { nearest: { policy: 'shop/orders', rule: 'read', text: 'shop/orders#read: `to` does not include method PUT' } },
      },
    ]);
  });

  test('answers what it cannot understand with an error and 65', async () => {
    const questions = ['{', { id: 2, request: [] }, { ...QUESTION, id: 3, source: { ip: 'x' } }, { ...QUESTION, id: 4 }];
    const { answers, status } = await decide(questions);
    expect(status).toBe(65);
    expect(answers).toMatchObject([
      { error: { code: 'line_not_json' } },
      { id: 2, error: { code: 'question_member' } },
      { id: 3, error: { code: 'question_member' } },
      { id: 4, decision: 'allow' },
    ]);
  });

  test.each(['wasm', 'interpreter', 'both'] as const)('answers alike with the engine %s', async (engine) => {
    const { answers } = await decide([QUESTION, { ...QUESTION, destination: { port: 9999 } }], { engine });
    expect(answers).toMatchObject([
      { decision: 'allow', rule: 'read' },
      { decision: 'deny', policy: 'shop/ports' },
    ]);
  });

  test('denies everything where the policies do not compile, and says where', async () => {
    const broken = file('broken.yaml', POLICY.replace('requestPrincipals', 'requestPrincipal'));
    const { answers, status, stderr } = await decide([QUESTION], { files: [broken] });
    expect(status).toBe(65);
    expect(answers).toMatchObject([{ decision: 'deny', code: 'policy_invalid', policy: null }]);
    expect(stderr).toContain(
      `${broken}:9:26: Cannot read "requestPrincipal": no such field here (PN0201)\n  Did you mean requestPrincipals`,
    );
  });

  test('denies everything without any document', async () => {
    const { answers, status } = await decide([QUESTION], { files: [file('empty.yaml', '')] });
    expect(status).toBe(0);
    expect(answers).toMatchObject([{ decision: 'deny', code: 'policy_missing' }]);
  });

  test('keeps a bounded number of workloads', async () => {
    const questions = Array.from({ length: 400 }, (_, index) => ({
      ...QUESTION,
      id: index,
      workload: { namespace: 'shop', labels: { app: 'orders', pod: String(index % 200) } },
    }));
    const { answers } = await decide(questions);
    expect(answers).toHaveLength(400);
    expect(new Set(answers.map(({ decision }) => decision))).toEqual(new Set(['allow']));
  });

  test('answers at least 20,000 lines a second of CPU time', async () => {
    const line = JSON.stringify(QUESTION);
    const questions = Array.from({ length: 20_000 }, () => line);
    const before = process.cpuUsage();
    const { answers } = await decide(questions, { engine: 'wasm' });
    const { user, system } = process.cpuUsage(before);
    expect(answers).toHaveLength(20_000);
    expect((user + system) / 1e6).toBeLessThan(2);
  });
});

describe('policy validate', () => {
  test('says of each document whether it is valid', async () => {
    const invalid = file(
      'invalid.yaml',
      `${POLICY}---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: x }\nspec: { rules: [{ to: [{ operation: { ports: [80] } }] }] }\n`,
    );
    const { io, out } = streams(Readable.from([]));
    expect(
      await policyValidate(
        { files: [invalid, join(folder, 'none.yaml')], ignoreKinds: false, rootNamespace: 'istio-system', nowMs: 0 },
        io,
      ),
    ).toBe(65);
    expect(lines(out())).toMatchObject([
      { file: join(folder, 'none.yaml'), line: 0, kind: null, ok: false, errors: [{ code: 'PN0107' }] },
      { file: invalid, line: 1, kind: 'AuthorizationPolicy', name: 'orders', ok: true },
      { line: 13, name: 'ports', ok: true },
      {
        line: 20,
        name: 'x',
        ok: false,
        errors: [{ path: 'spec.rules[0].to[0].operation.ports[0]', line: 23, column: 47, code: 'PN0202', fix: 'Quote it: "80"' }],
      },
    ]);
  });

  test('ends with 0 when all are valid', async () => {
    const { io, out } = streams(Readable.from([]));
    expect(
      await policyValidate(
        { files: [join(folder, 'policy.yaml')], ignoreKinds: false, rootNamespace: 'istio-system', nowMs: 0 },
        io,
      ),
    ).toBe(0);
    expect(lines(out()).map(({ ok }) => ok)).toEqual([true, true]);
  });
});
