import { Readable, Writable } from 'node:stream';

import { describe, expect, test } from 'vitest';

import { run } from './http-canonicalise.ts';

describe('postern http canonicalise', () => {
  test.each([
    {
      mode: 'decode-and-merge',
      question: { id: 7, method: 'GET', target: '/a//b/../c%2Fd?x', hosts: ['Example.com:80'], scheme: 'http' },
      want: { id: 7, ok: true, method: 'GET', path: '/a/c/d', query: 'x', authority: 'example.com', port: null },
    },
    {
      mode: 'base',
      question: { method: 'GET', target: '/a//b/../c%2Fd?x', hosts: ['Example.com:8080'] },
      want: { ok: true, method: 'GET', path: '/a//c%2Fd', query: 'x', authority: 'example.com', port: 8080 },
    },
    {
      mode: 'base',
      question: { method: 'GET', target: '/a?', authority: '[::1]:443', scheme: 'https' },
      want: { ok: true, method: 'GET', path: '/a', query: '', authority: '[::1]', port: null },
    },
    {
      mode: 'base',
      question: { method: 'GET', target: '/a', hosts: ['a'], authority: null },
      want: { ok: true, method: 'GET', path: '/a', query: null, authority: 'a', port: null },
    },
  ] as const)('$mode: $question', async ({ mode, question, want }) => {
    expect(await ask(mode, [question])).toEqual({ status: 0, answers: [want] });
  });

  test.each([
    [{ method: 'GET', target: '/a#b', hosts: ['a'] }, 'bad_path', 400],
    [{ method: 'get', target: '/a', hosts: ['a'] }, 'bad_method', 400],
    [{ method: 'CONNECT', target: 'a:1', hosts: ['a'] }, 'method_refused', 501],
    [{ method: 'GET', target: '/a', hosts: ['a', 'b'] }, 'bad_authority', 400],
    [{ method: 'GET', target: '/a', hosts: ['a'], authority: 'b' }, 'bad_authority', 400],
    [{ method: 'GET', target: '/a', hosts: [] }, 'bad_authority', 400],
    [{ method: 'GET', target: '/a' }, 'bad_authority', 400],
  ])('%j is %s', async (question, code, status) => {
    const { answers } = await ask('base', [question]);
    expect(answers).toMatchObject([{ ok: false, code, status }]);
  });

  test('answers what it cannot understand, and ends with 65', async () => {
    const { answers, status } = await ask('base', [
      { id: 1, target: '/' },
      { id: 2, method: 'GET', target: '/', hosts: 'a' },
      { id: 3, method: 'GET', target: '/', hosts: [1] },
    ]);
    expect(status).toBe(65);
    expect(answers).toMatchObject([1, 2, 3].map((id) => ({ id, error: { code: 'question_member' } })));
  });
});

async function ask(
  pathPolicy: 'base' | 'decode-and-merge',
  questions: readonly object[],
): Promise<{ answers: unknown[]; status: number }> {
  const written: string[] = [];
  const stdout = new Writable({
    decodeStrings: false,
    write: (text: string, _encoding, done) => {
      written.push(text);
      done();
    },
  });
  const stdin = Readable.from(questions.map((question) => `${JSON.stringify(question)}\n`));
  const status = await run({ pathPolicy }, { stdin, stdout });
  const lines = written.join('').trim().split('\n');
  return { status, answers: lines.map((line): unknown => JSON.parse(line)) };
}
