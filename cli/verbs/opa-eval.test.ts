import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { peer, requirePeer } from '#test/support/peers.ts';

import { run } from '../main.ts';

describe.skipIf(peer('opa') === null)('postern opa', () => {
  const root = mkdtempSync(join(tmpdir(), 'postern-opa-verb-'));
  const bundle = join(root, 'bundle.tar.gz');

  beforeAll(() => {
    const folder = join(root, 'source');
    mkdirSync(folder);
    writeFileSync(join(folder, 'p.rego'), 'package p\n\nallow if input.ok\n\nnow := time.now_ns()\n\nwrong := "x" if input.ok\n');
    writeFileSync(join(folder, '.manifest'), '{"revision":"r7","roots":["p"]}');
    execFileSync(requirePeer('opa'), [
      'build',
      '-t',
      'plan',
      '-e',
      'p/allow',
      '-e',
      'p/now',
      '-e',
      'p/wrong',
      '-o',
      bundle,
      '-b',
      folder,
    ]);
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  test('eval answers each line with a decision', async () => {
    const lines = ['{"id":1,"input":{"ok":true}}', '{"id":2,"input":{"ok":false}}', '{"id":3}', '{"id":4,"inputText":"{"}'];
    const { answers, status } = await call(['opa', 'eval', '-b', bundle, '-e', 'p/allow'], lines);
    expect(status).toBe(0);
    expect(answers).toMatchObject([
      { id: 1, decision: 'allow', code: 'allowed_by_rule', revision: 'r7', result: true },
      { id: 2, decision: 'deny', code: 'opa_undefined', result: null },
      { id: 3, decision: 'deny', code: 'opa_undefined' },
      { id: 4, decision: 'deny', code: 'opa_input_invalid' },
    ]);
  });

  test('eval takes the time that it is given, names of rules with dots, and says raw results', async () => {
    const { answers } = await call(
      ['opa', 'eval', '-b', bundle, '-e', 'data.p.now', '--raw', '--at', '2026-01-01T00:00:00Z'],
      ['{}'],
    );
    expect(answers).toEqual([{ result: 1_767_225_600_000_000_000 }]);
  });

  test('a result that is no decision denies', async () => {
    const { answers } = await call(['opa', 'eval', '-b', bundle, '-e', 'p/wrong'], ['{"input":{"ok":true}}']);
    expect(answers).toMatchObject([{ decision: 'deny', code: 'opa_result_type', result: 'x' }]);
  });

  test.each([
    { why: 'no such bundle', args: ['opa', 'eval', '-b', 'nothing.tar.gz'], status: 65, says: 'Cannot read the bundle' },
    { why: 'several entry points and none named', args: ['opa', 'eval', '-b', '@'], status: 65, says: 'opa_entrypoint' },
    {
      why: 'an entry point that is not there',
      args: ['opa', 'eval', '-b', '@', '-e', 'p/other'],
      status: 65,
      says: 'opa_entrypoint',
    },
    {
      why: 'a time that is none',
      args: ['opa', 'eval', '-b', '@', '-e', 'p/allow', '--at', 'soon'],
      status: 64,
      says: 'RFC 3339',
    },
    {
      why: 'a key for an unsigned bundle',
      args: ['opa', 'inspect', '@', '--verification-key', '@'],
      status: 65,
      says: 'opa_bundle_signature',
    },
    { why: 'no bundle at all', args: ['opa', 'eval'], status: 64, says: 'required option' },
  ])('ends with $status for $why', async ({ args, says, status }) => {
    const result = await call(
      args.map((arg) => (arg === '@' ? bundle : arg)),
      [],
    );
    expect(result.status).toBe(status);
    expect(result.stderr).toContain(says);
  });

  test('inspect says what is in a bundle', async () => {
    const { answers } = await call(['opa', 'inspect', bundle, '-o', 'json'], []);
    expect(JSON.parse(answers.join(''))).toMatchObject({
      revision: 'r7',
      signed: false,
      roots: ['p'],
      policy: { kind: 'plan', entrypoints: ['p/allow', 'p/now', 'p/wrong'] },
    });
    const text = await call(['opa', 'inspect', bundle], []);
    expect(text.stdout).toContain('entry points: p/allow, p/now, p/wrong');
  });
});

async function call(args: readonly string[], lines: readonly string[]) {
  const collected: string[] = [];
  const errors: string[] = [];
  const into = (place: string[]): Writable =>
    new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        place.push(chunk.toString());
        done();
      },
    });
  const status = await run(args, {
    stdin: Readable.from([Buffer.from(lines.join('\n'))]),
    stdout: into(collected),
    stderr: into(errors),
  });
  const stdout = collected.join('');
  const isLines = lines.length > 0 && status === 0;
  return {
    status,
    stdout,
    stderr: errors.join(''),
    answers: isLines
      ? stdout
          .trimEnd()
          .split('\n')
          .map((line): unknown => JSON.parse(line))
      : [stdout],
  };
}
