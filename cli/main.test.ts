import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { runProcess } from '#test/support/processes.ts';

import { run } from './main.ts';

const BIN = join(import.meta.dirname, '../bin/postern.js');

describe('postern', () => {
  test.each([
    { args: '', status: 0, out: 'Usage: postern COMMAND' },
    { args: '--help', status: 0, out: 'proxy-status|ps' },
    { args: '-h', status: 0, out: 'Commands:' },
    { args: 'help proxy', status: 0, out: '--check' },
    { args: 'proxy --help', status: 0, out: 'Examples:' },
    { args: 'policy decide --help', status: 0, out: '--root-namespace' },
    { args: '--version', status: 0, out: 'postern 0.' },
    { args: 'version', status: 0, out: 'node 26.' },
    { args: 'schema config', status: 0, out: '"$schema": "https://json-schema.org/draft/2020-12/schema"' },
    { args: 'explain denied_no_match', status: 0, out: 'no rule of theirs matched' },
    { args: 'explain upstream_reset', status: 0, out: 'status 502' },
    { args: 'explain PN0513', status: 0, out: 'contradict' },
    { args: 'explain leaf_is_ca', status: 0, out: 'X509-SVID 4.1' },

    { args: 'polcy', status: 64, err: 'Did you mean policy?' },
    { args: '--hepl', status: 64, err: "unknown option '--hepl'" },
    { args: 'policy', status: 64, err: 'validate' },
    { args: 'policy decde', status: 64, err: 'Did you mean decide?' },
    { args: 'policy decide', status: 64, err: '--file' },
    { args: 'policy decide -f', status: 64, err: 'argument missing' },
    { args: 'policy decide -f x --engine v8', status: 64, err: 'Allowed choices are wasm, interpreter, both' },
    { args: 'policy decide -f x --path-policy BASE', status: 64, err: 'Allowed choices are' },
    { args: 'policy validate -f x --ignore-kind', status: 64, err: 'Did you mean --ignore-kinds?' },
    { args: 'identity parse x', status: 64, err: 'too many arguments' },
    { args: 'http parse', status: 64, err: '--kind' },
    { args: 'http parse --kind reply', status: 64, err: 'request, response' },
    { args: 'proxy --chek', status: 64, err: 'Did you mean --check?' },
    { args: 'proxy -c', status: 64, err: 'argument missing' },
    { args: 'proxy -c a --check b', status: 64, err: 'too many arguments' },
    { args: 'explain', status: 64, err: "missing required argument 'id'" },
    { args: 'ps --timeout never --admin x', status: 64, err: 'number of seconds' },
    { args: 'completion tcsh', status: 64, err: 'bash, zsh, fish' },

    { args: 'proxy --check -c /nowhere/proxy.yaml', status: 78, err: '/nowhere/proxy.yaml: found nothing there' },
    { args: 'explain denied_no_mach', status: 1, err: 'did you mean denied_no_match?' },
    { args: 'explain ab-1 --admin /nowhere/admin.sock', status: 69, err: 'no such socket' },
    { args: 'ps --admin /nowhere/admin.sock', status: 69, err: 'no such socket' },
    { args: 'explain ab-1 --log /nowhere/access.log', status: 1, err: 'Cannot read the access log' },
  ])('$args ends with $status', async ({ args, status, out, err }) => {
    const ran = await runWith(args.split(' ').filter((word) => word !== ''));
    expect(ran.status, ran.stderr).toBe(status);
    if (out !== undefined) {
      expect(ran.stdout).toContain(out);
      expect(ran.stderr).toBe('');
    }
    if (err !== undefined) {
      expect(ran.stderr).toContain(err);
      expect(ran.stdout).toBe('');
    }
  });

  test('answers questions and ends with 65 when one was not understood', async () => {
    const { status, stdout } = await runWith(
      ['identity', 'parse'],
      '{"id":1,"in":"spiffe://a.test/x"}\n{"id":2}\n{"id":3,"in":"x"}\n',
    );
    expect(status).toBe(65);
    expect(
      stdout
        .split('\n')
        .filter(Boolean)
        .map((line): unknown => JSON.parse(line)),
    ).toMatchObject([
      { id: 1, ok: true, trustDomain: 'a.test', path: '/x' },
      { id: 2, error: { code: 'question_member' } },
      { id: 3, ok: false, code: 'scheme' },
    ]);
  });

  test.each(['bash', 'zsh', 'fish'])('prints a completion script for %s', async (shell) => {
    const { status, stdout } = await runWith(['completion', shell]);
    expect(status).toBe(0);
    for (const word of ['decide', 'path-policy', 'merge-slashes', 'proxy-status']) expect(stdout).toContain(word);
  });

  test('completes with bash itself', async () => {
    const { stdout: script } = await runWith(['completion', 'bash']);
    const complete = async (...words: string[]): Promise<string[]> => {
      const line = `${script}\nCOMP_WORDS=(postern ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _postern; echo "\${COMPREPLY[*]}"`;
      const { code, stdout } = await runProcess('bash', ['-c', line]);
      expect(code).toBe(0);
      return stdout.trim().split(' ');
    };
    expect(await complete('pol')).toEqual(['policy']);
    expect(await complete('policy', 'dec')).toEqual(['decide']);
    expect(await complete('policy', 'decide', '--engine', 'in')).toEqual(['interpreter']);
    expect(await complete('http', 'parse', '--ki')).toEqual(['--kind']);
  });
});

describe('postern proxy', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-check-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const check = (text: string) => {
    const file = join(folder, 'proxy.yaml');
    writeFileSync(file, text);
    return runWith(['proxy', '-c', file, '--check']);
  };

  test('--check accepts a file and tells what a sidecar would do', async () => {
    const { status, stdout, stderr } = await check(CONFIG);
    expect(status).toBe(0);
    expect(stdout).toContain('is valid: 1 inbound, 0 outbound, everything allowed');
    expect(stderr).toContain('a.pem" cannot be read');
  });

  test('--check names file, line and column of each fault and ends with 78', async () => {
    const { status, stdout, stderr } = await check(
      CONFIG.replace('mtls: STRICT', 'mtls: STRIKT').replace('forwardTo', 'fowardTo'),
    );
    expect(status).toBe(78);
    expect(stdout).toBe('');
    const file = join(folder, 'proxy.yaml');
    expect(stderr).toContain(`${file}:9:36: found "STRIKT", wanted STRICT, PERMISSIVE or DISABLE`);
    expect(stderr).toContain(`${file}:9:44: found the unknown key "fowardTo"`);
    expect(stderr).toContain('fix: did you mean forwardTo?');
    expect(stderr).not.toContain('found no "forwardTo"');
  });

  test('--check reports a policy at its place', async () => {
    writeFileSync(join(folder, 'p.yaml'), 'apiVersion: security.istio.io/v1\nkind: AuthorizationPolcy\nmetadata: { name: a }\n');
    const { status, stderr } = await check(CONFIG.replace('allowAll: true', 'files: [p.yaml]'));
    expect(status).toBe(78);
    expect(stderr).toContain(`${join(folder, 'p.yaml')}:2:`);
  });

  test('run as a program ends with 78 for a file at fault, its place on standard error', async () => {
    const file = join(folder, 'bad.yaml');
    writeFileSync(file, CONFIG.replace('kind: Proxy', 'kind: Proxi'));
    const { code, stdout, stderr } = await runProcess(process.execPath, [BIN, 'proxy', '-c', file]);
    expect(code).toBe(78);
    expect(stdout).toBe('');
    expect(stderr).toContain(`${file}:2:7: found "Proxi", wanted Proxy`);
  });

  test('run as a program ends with 64 for an unknown option', async () => {
    const { code, stderr } = await runProcess(process.execPath, [BIN, 'proxy', '--confg', 'x']);
    expect(code).toBe(64);
    expect(stderr).toContain('Did you mean --config?');
  });
});

async function runWith(args: readonly string[], input = '') {
  const written = { stdout: '', stderr: '' };
  const into = (name: 'stdout' | 'stderr') =>
    new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        written[name] += chunk.toString();
        done();
      },
    });
  const status = await run(args, { stdin: Readable.from([Buffer.from(input)]), stdout: into('stdout'), stderr: into('stderr') });
  return { status, ...written };
}

const CONFIG = `apiVersion: postern.mesh/v1alpha1
kind: Proxy
metadata: { name: app }
spec:
  identity:
    trustDomain: a.test
    files: { certificate: a.pem, key: a.key, bundles: { a.test: ca.pem } }
  inbound:
    - { listen: 127.0.0.1:0, mtls: STRICT, forwardTo: 127.0.0.1:8080 }
  policies: { allowAll: true }
`;
