/** What `policy decide` and `policy validate` say of kinds beside ALLOW and DENY. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { policyDecide } from './policy-decide.ts';
import { policyValidate } from './policy-validate.ts';

const OURS = 'security.postern.mesh/v1alpha1';
const ISTIO = 'security.istio.io/v1';
const QUESTION = {
  workload: { namespace: 'shop', labels: { app: 'orders' } },
  source: { principal: 'spiffe://cluster.local/ns/shop/sa/web', ip: '10.1.2.3' },
  destination: { ip: '10.1.2.4', port: 8080 },
  connection: { protocol: 'http', tls: true },
  request: { method: 'GET', authority: 'orders.shop', path: '/orders/17', headers: [] },
};
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-kinds-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

class Collected extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

function document(apiVersion: string, kind: string, name: string, spec: object, annotations: object = {}): object {
  const isOfCluster = kind.startsWith('Cluster') || kind === 'NamespaceTree';
  return { apiVersion, kind, metadata: { name, annotations, ...(isOfCluster ? {} : { namespace: 'shop' }) }, spec };
}

async function ask(documents: readonly object[], questions: readonly object[]) {
  const { files, stdout } = written(documents);
  const stdin = Readable.from(questions.map((question) => `${JSON.stringify({ ...QUESTION, ...question })}\n`));
  const stderr = new Collected();
  const status = await policyDecide(
    {
      files,
      rootNamespace: 'istio-system',
      trustDomain: 'cluster.local',
      trustDomainAliases: [],
      pathPolicy: 'base',
      engine: 'both',
      whenNoneSelects: 'allow',
      explain: false,
      ignoreKinds: false,
      nowMs: Date.parse('2026-06-01T00:00:00Z'),
    },
    { stdin, stdout, stderr },
  );
  return { status, answers: linesOf(stdout), stderr: stderr.text };
}

async function validate(documents: readonly object[]) {
  const { files, stdout } = written(documents);
  const io = { stdin: Readable.from([]), stdout, stderr: new Collected() };
  const status = await policyValidate({ files, ignoreKinds: false, rootNamespace: 'istio-system', nowMs: 0 }, io);
  return { status, lines: linesOf(stdout) };
}

function written(documents: readonly object[]) {
  const file = join(folder, 'p.yaml');
  writeFileSync(file, documents.map((each) => JSON.stringify(each)).join('\n---\n'));
  return { files: [file], stdout: new Collected() };
}

function linesOf(stream: Collected): readonly unknown[] {
  return stream.text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line));
}

describe('policy decide', () => {
  test('asks providers by their answers in the question', async () => {
    const custom = document(ISTIO, 'AuthorizationPolicy', 'ask', { action: 'CUSTOM', provider: { name: 'opa' }, rules: [{}] });
    const { answers } = await ask([custom], [{ providers: { opa: 'allow' } }, { providers: { opa: 'deny' } }, {}]);
    expect(answers).toMatchObject([
      { decision: 'allow', code: 'allowed_no_policy' },
      { decision: 'deny', code: 'denied_by_provider', policy: 'shop/ask' },
      { decision: 'deny', code: 'provider_unavailable', policy: 'shop/ask' },
    ]);
  });

  test('tells audits, trials, and what would be if trials were enforced', async () => {
    const audit = document(ISTIO, 'AuthorizationPolicy', 'watch', { action: 'AUDIT', rules: [{}] });
    const trial = document(ISTIO, 'AuthorizationPolicy', 'next', { action: 'DENY', rules: [{}] }, { 'istio.io/dry-run': 'true' });
    const { answers } = await ask([audit, trial], [{}]);
    expect(answers).toMatchObject([
      {
        decision: 'allow',
        audited: ['shop/watch'],
        shadow: [{ policy: 'shop/next', decision: 'deny' }],
        ifEnforced: 'deny',
      },
    ]);
  });

  test('goes by the time of the question, else by its own', async () => {
    const policy = document(OURS, 'AccessPolicy', 'soon', {
      expires: '2026-06-02T00:00:00Z',
      rules: [{ to: [{ methods: ['GET'] }] }],
    });
    const put = { request: { ...QUESTION.request, method: 'PUT' } };
    const { answers } = await ask([policy], [put, { ...put, at: '2026-06-02T00:00:00Z' }, put]);
    expect(answers).toMatchObject([
      { decision: 'deny', code: 'denied_no_match' },
      { decision: 'allow', code: 'allowed_no_policy' },
      { decision: 'deny', code: 'denied_no_match' },
    ]);
  });

  test('takes tags of a verified caller, as a list or by name', async () => {
    const policy = document(OURS, 'AccessPolicy', 'tags', { rules: [{ from: [{ tags: ['env=prod'] }] }] });
    const source = (tags: unknown): object => ({ source: { ...QUESTION.source, tags } });
    const plaintext = { connection: { protocol: 'http', tls: false } };
    const questions = [source(['env=prod']), source({ env: 'prod' }), source([]), { ...source(['env=prod']), ...plaintext }];
    const { answers } = await ask([policy], questions);
    expect(answers).toMatchObject([{ decision: 'allow' }, { decision: 'allow' }, { decision: 'deny' }, { decision: 'deny' }]);
  });

  test('lists what of network policies is lost', async () => {
    const spec = { podSelector: {}, ingress: [{ ports: [{ port: 8080 }, { port: 53, protocol: 'UDP' }] }] };
    const { answers } = await ask([document('networking.k8s.io/v1', 'NetworkPolicy', 'np', spec)], [{}]);
    expect(answers).toMatchObject([{ decision: 'allow', lossy: [{ code: 'protocol_not_carried', policy: 'shop/np' }] }]);
  });

  test('denies everything where a policy widens a ceiling, and ends with 65', async () => {
    const { answers, status, stderr } = await ask(WIDENING, [{}]);
    expect(status).toBe(65);
    expect(answers).toMatchObject([{ decision: 'deny', code: 'policy_invalid' }]);
    expect(stderr).toContain('"shop/wide#all" allows what the ceiling "/top#gets" does not');
  });

  test.each([
    ['tags', { source: { ...QUESTION.source, tags: ['env'] } }],
    ['providers', { providers: { opa: 'maybe' } }],
    ['at', { at: 'yesterday' }],
  ])('does not understand %s of another form', async (_what, question) => {
    const { answers, status } = await ask([document(OURS, 'AccessPolicy', 'a', { rules: [{}] })], [question]);
    expect(status).toBe(65);
    expect(answers).toMatchObject([{ error: { code: 'question_member' } }]);
  });
});

describe('policy validate', () => {
  test('looks at documents together', async () => {
    const { lines, status } = await validate(WIDENING);
    expect(status).toBe(65);
    expect(lines).toMatchObject([
      { name: 'top', ok: true },
      { name: 'wide', ok: false, errors: [{ code: 'PN0401', line: 3 }] },
    ]);
  });

  test('warns of what is lost', async () => {
    const spec = { podSelector: {}, ingress: [{ ports: [{ port: 'http' }] }] };
    const { lines, status } = await validate([
      document('networking.k8s.io/v1', 'NetworkPolicy', 'np', spec),
      document(OURS, 'AccessPolicy', 'a', {}),
    ]);
    expect(status).toBe(0);
    expect(lines).toMatchObject([
      { name: 'np', ok: true, warnings: [{ code: 'named_port_unknown' }] },
      { name: 'a', ok: true },
    ]);
  });
});

const WIDENING = [
  document(OURS, 'ClusterAccessPolicy', 'top', {
    inheritance: 'ceiling',
    action: 'ALLOW',
    rules: [{ name: 'gets', to: [{ methods: ['GET'] }] }],
  }),
  document(OURS, 'AccessPolicy', 'wide', { rules: [{ name: 'all', to: [{ methods: ['GET', 'PUT'] }] }] }),
];
