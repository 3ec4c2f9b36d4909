import { PassThrough, Readable, Writable } from 'node:stream';

import { describe, expect, test } from 'vitest';

import { identityParse } from './identity-parse.ts';

describe('identityParse()', () => {
  test('answers with trust domain and path, or a code', async () => {
    const { status, answers } = await run([
      '{"id":"1","in":"spiffe://a.test/x"}',
      '{"id":2,"in":"spiffe://A.test/x"}',
      '{"in":"spiffe://a.test"}',
      '{"id":"td","in":"a.test","as":"trust-domain"}',
      '{"in":"a/b","as":"trust-domain"}',
    ]);
    expect(status).toBe(0);
    expect(answers).toEqual([
      { id: '1', ok: true, trustDomain: 'a.test', path: '/x' },
      { id: 2, ok: false, code: 'trust_domain_charset', message: expect.any(String) as string },
      { ok: true, trustDomain: 'a.test', path: '' },
      { id: 'td', ok: true, trustDomain: 'a.test' },
      { ok: false, code: 'trust_domain_charset', message: expect.any(String) as string },
    ]);
  });

  test.each([
    { why: 'no text', line: '{"id":1}' },
    { why: 'another kind', line: '{"id":1,"in":"x","as":"path"}' },
  ])('ends with 65 for a question with $why', async ({ line }) => {
    const { status, answers } = await run([line, '{"id":2,"in":"spiffe://a.test/x"}']);
    expect(status).toBe(65);
    expect(answers).toMatchObject([
      { id: 1, error: { code: 'question_member' } },
      { id: 2, ok: true },
    ]);
  });

  test('answers 20,000 lines in a second of CPU time', async () => {
    const lines = Array.from({ length: 20_000 }, (_, index) => `{"id":${index},"in":"spiffe://a.test/ns/x/sa/${index}"}`);
    const before = process.cpuUsage();
    const { answers } = await run(lines);
    const spent = process.cpuUsage(before);
    expect(answers).toHaveLength(20_000);
    expect((spent.user + spent.system) / 1_000_000).toBeLessThan(1);
  });
});

async function run(lines: readonly string[]) {
  const collected: Buffer[] = [];
  const stdout = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      collected.push(chunk);
      done();
    },
  });
  const io = { stdin: Readable.from([Buffer.from(lines.join('\n'))]), stdout, stderr: new PassThrough() };
  const status = await identityParse({}, io);
  const text = Buffer.concat(collected).toString().trimEnd();
  return { status, answers: text.split('\n').map((line): unknown => JSON.parse(line)) };
}
