import { Readable, Writable } from 'node:stream';

import { describe, expect, test } from 'vitest';

import { run } from './http-parse.ts';

describe('postern http parse', () => {
  test('answers with every message and the bytes after them', async () => {
    const { answers, status } = await ask('request', [
      {
        id: '1',
        raw: base64(
          'POST /a?b HTTP/1.1\r\nHost: x\r\nX: \xe4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nT: u\r\n\r\nGET / HTTP/1.1\r\n\r\nGET',
        ),
      },
    ]);
    expect(status).toBe(0);
    expect(answers).toEqual([
      {
        id: '1',
        ok: true,
        messages: [
          {
            method: 'POST',
            target: '/a?b',
            version: '1.1',
            headers: [
              ['Host', 'x'],
              ['X', '\xe4'],
              ['Transfer-Encoding', 'chunked'],
            ],
            body: base64('hi'),
            trailers: [['T', 'u']],
          },
          { method: 'GET', target: '/', version: '1.1', headers: [], body: '', trailers: [] },
        ],
        rest: base64('GET'),
      },
    ]);
  });

  test.each([
    { raw: 'GET / HT', want: { ok: null, code: 'incomplete' } },
    { raw: '', want: { ok: null, code: 'incomplete' } },
    { raw: 'POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc', want: { ok: null, code: 'incomplete' } },
    {
      raw: 'POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc',
      eof: true,
      want: { ok: false, code: 'truncated', at: 41, messages: [] },
    },
    { raw: 'GET / HTTP/1.1\r\nA : b\r\n\r\n', want: { ok: false, code: 'field_whitespace', at: 17, messages: [] } },
    {
      raw: 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\ng',
      want: { ok: false, code: 'chunk_size', at: 53, messages: [] },
    },
    { raw: 'GET / HTTP/1.1\r\n\r\nGET /\r\n', want: { ok: false, code: 'start_line', at: 23, messages: [{ target: '/' }] } },
    {
      raw: 'GET / HTTP/1.0\r\n\r\nGET / HTTP/1.1\r\n\r\n',
      want: { ok: false, code: 'data_after_close', at: 18, messages: [{ version: '1.0' }] },
    },
    { raw: 'GET / HTTP/1.0\r\n\r\n\r\n', want: { ok: true, rest: base64('\r\n') } },
    { raw: 'GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nraw', want: { ok: true, rest: base64('raw') } },
    {
      raw: 'CONNECT a:1 HTTP/1.1\r\nContent-Length: 3\r\n\r\nraw',
      want: { ok: true, rest: base64('raw'), messages: [{ body: '' }] },
    },
  ])('of the request $raw says $want', async ({ raw, eof, want }) => {
    const { answers } = await ask('request', [{ raw: base64(raw), ...(eof === undefined ? {} : { eof }) }]);
    expect(answers).toMatchObject([want]);
  });

  test.each([
    {
      method: 'GET',
      raw: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi',
      want: { ok: true, messages: [{ status: 200, reason: 'OK', body: base64('hi') }] },
    },
    { method: 'HEAD', raw: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n', want: { ok: true, messages: [{ body: '' }] } },
    {
      method: 'HEAD',
      raw: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi',
      want: { ok: false, code: 'start_line', messages: [{ body: '' }] },
    },
    { method: 'CONNECT', raw: 'HTTP/1.1 200 OK\r\n\r\nraw', want: { ok: true, rest: base64('raw') } },
    { method: 'GET', raw: 'HTTP/1.1 200 OK\r\n\r\nhi', want: { ok: null } },
    {
      method: 'GET',
      raw: 'HTTP/1.1 200 OK\r\n\r\nhi',
      eof: true,
      want: { ok: true, messages: [{ body: base64('hi') }], rest: '' },
    },
    {
      method: 'GET',
      raw: 'HTTP/1.1 103 x\r\n\r\nHTTP/1.1 204 y\r\n\r\n',
      want: { ok: true, messages: [{ status: 103 }, { status: 204 }] },
    },
    { method: 'GET', raw: 'HTTP/1.1 101 x\r\n\r\nraw', want: { ok: true, messages: [{ status: 101 }], rest: base64('raw') } },
    { method: 'GET', raw: 'HTTP/1.1 999 x\r\n\r\n', want: { ok: false, code: 'status' } },
  ])('of the response to $method $raw says $want', async ({ method, raw, eof, want }) => {
    const { answers } = await ask('response', [{ method, raw: base64(raw), ...(eof === undefined ? {} : { eof }) }]);
    expect(answers).toMatchObject([want]);
  });

  test('answers what it cannot understand, and ends with 65', async () => {
    const { answers, status } = await ask('request', [
      { id: 1 },
      { id: 2, raw: '***' },
      { id: 3, raw: '', eof: 'yes' },
      { id: 4, raw: '' },
    ]);
    expect(status).toBe(65);
    expect(answers).toMatchObject([
      { id: 1, error: { code: 'question_member' } },
      { id: 2, error: { code: 'question_base64' } },
      { id: 3, error: { code: 'question_member' } },
      { id: 4, ok: null },
    ]);
  });
});

async function ask(kind: 'request' | 'response', questions: readonly object[]): Promise<{ answers: unknown[]; status: number }> {
  const written: string[] = [];
  const stdout = new Writable({
    decodeStrings: false,
    write: (text: string, _encoding, done) => {
      written.push(text);
      done();
    },
  });
  const stdin = Readable.from(questions.map((question) => `${JSON.stringify(question)}\n`));
  const status = await run({ kind }, { stdin, stdout });
  const lines = written.join('').trim().split('\n');
  return { status, answers: lines.map((line): unknown => JSON.parse(line)) };
}

function base64(text: string): string {
  return Buffer.from(text, 'latin1').toString('base64');
}
