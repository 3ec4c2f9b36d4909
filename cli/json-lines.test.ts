import { PassThrough, Readable, Writable } from 'node:stream';

import { describe, expect, test } from 'vitest';

import { PosternError } from '#base/error.ts';

import { ExitError } from './exit.ts';
import { MAX_LINE_BYTES, answerLines, base64ListMember, base64Member, optionalTextMember, textMember } from './json-lines.ts';
import type { Question } from './json-lines.ts';

describe('answerLines()', () => {
  test('answers every line in order and repeats the id', async () => {
    const { status, answers } = await run(['{"id":"1","in":"a"}\n{"id":2,"in":"b"}\n{"in":"c"}'], echo);
    expect(status).toBe(0);
    expect(answers).toEqual([{ id: '1', out: 'a' }, { id: 2, out: 'b' }, { out: 'c' }]);
  });

  test.each([
    { why: 'no JSON', line: '{"id":', code: 'line_not_json', id: null },
    { why: 'a list', line: '[1]', code: 'line_not_object', id: null },
    { why: 'null', line: 'null', code: 'line_not_object', id: null },
    { why: 'a question without its member', line: '{"id":7}', code: 'question_member', id: 7 },
    {
      why: 'bytes that are not UTF-8',
      line: Buffer.from([0x22, 0xff, 0x22]),
      code: 'line_not_utf8',
      id: null,
    },
  ])('answers $why with an error, goes on, and ends with 65', async ({ line, code, id }) => {
    const { status, answers } = await run([Buffer.from(line), '\n{"id":"next","in":"x"}\n'], echo);
    expect(status).toBe(65);
    expect(answers).toMatchObject([
      { id, error: { code } },
      { id: 'next', out: 'x' },
    ]);
  });

  test('passes over blank lines', async () => {
    const { status, answers } = await run(['\n \r\n{"in":"x"}\r\n\n'], echo);
    expect(status).toBe(0);
    expect(answers).toEqual([{ out: 'x' }]);
  });

  test('joins a line that arrives byte by byte', async () => {
    const bytes = Buffer.from('{"id":"é","in":"€"}\n{"in":"y"}');
    const { answers } = await run(
      Array.from(bytes, (byte) => Buffer.from([byte])),
      echo,
    );
    expect(answers).toEqual([{ id: 'é', out: '€' }, { out: 'y' }]);
  });

  test('skips a line beyond the bound and answers the next', async () => {
    const part = Buffer.alloc(MAX_LINE_BYTES / 4, 0x20);
    const { status, answers } = await run([part, part, part, part, part, '\n{"in":"x"}\n', part, part, part, part, part], echo);
    expect(status).toBe(65);
    expect(answers).toMatchObject([{ error: { code: 'line_too_long' } }, { out: 'x' }, { error: { code: 'line_too_long' } }]);
  });

  test('answers a chunk before it waits for the next', async () => {
    const stdin = new PassThrough();
    const stdout = new PassThrough();
    const ended = answerLines({ stdin, stdout }, echo);
    for (const word of ['a', 'b']) {
      stdin.write(`{"in":"${word}"}\n`);
      expect(String(await readSome(stdout))).toBe(`{"out":"${word}"}\n`);
    }
    stdin.end();
    expect(await ended).toBe(0);
  });

  test('writes the answers so far before an ExitError ends it', async () => {
    const lines = ['{"in":"a"}\n{"in":"stop"}\n{"in":"b"}\n'];
    const collected: Buffer[] = [];
    const stdout = collector(collected);
    const answer = (question: Question): object => {
      if (question['in'] === 'stop') throw new ExitError(70, 'engines differ');
      return echo(question);
    };
    await expect(answerLines({ stdin: Readable.from(lines), stdout }, answer)).rejects.toThrow('engines differ');
    expect(Buffer.concat(collected).toString()).toBe('{"out":"a"}\n');
  });

  test('stops quietly when nobody reads any more', async () => {
    const stdout = new Writable({
      write: (_chunk, _encoding, done) => {
        done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
      },
    });
    const status = await answerLines({ stdin: Readable.from(['{"in":"a"}\n', '{"in":"b"}\n', '{"in":"c"}\n']), stdout }, echo);
    expect(status).toBe(0);
  });

  test('keeps order and count under a slow reader', async () => {
    const lines = Array.from({ length: 20_000 }, (_, index) => `{"id":${index},"in":"${'x'.repeat(index % 50)}"}\n`);
    const collected: Buffer[] = [];
    const stdout = new Writable({
      highWaterMark: 1,
      write: (chunk: Buffer, _encoding, done) => {
        collected.push(chunk);
        setImmediate(done);
      },
    });
    expect(await answerLines({ stdin: Readable.from(chunked(lines.join(''))), stdout }, echo)).toBe(0);
    const ids = Buffer.concat(collected).toString().trimEnd().split('\n');
    expect(ids.map((line) => Number(/"id":(\d+)/u.exec(line)?.[1]))).toEqual(lines.map((_, index) => index));
  });
});

describe('members of a question', () => {
  test.each([
    {
      why: 'a number for a text',
      read: (q: Question) => textMember(q, 'number'),
      message: 'found a number, wanted a string',
    },
    {
      why: 'nothing for a text',
      read: (q: Question) => textMember(q, 'none'),
      message: 'found nothing, wanted a string',
    },
    {
      why: 'a list for a text',
      read: (q: Question) => optionalTextMember(q, 'list'),
      message: 'found a list',
    },
    { why: 'no base64', read: (q: Question) => base64Member(q, 'text'), message: 'not base64' },
    {
      why: 'an item that is no text',
      read: (q: Question) => base64ListMember(q, 'list'),
      message: '"list[1]"',
    },
  ])('refuses $why', ({ read, message }) => {
    const question = { number: 1, text: 'a*b', list: ['YQ==', 2] };
    expect(() => read(question)).toThrow(PosternError);
    expect(() => read(question)).toThrow(message);
  });

  test('reads base64 with and without padding', () => {
    expect(base64Member({ raw: 'YQ==' }, 'raw').toString()).toBe('a');
    expect(base64Member({ raw: 'YQ' }, 'raw').toString()).toBe('a');
    expect(base64Member({ raw: '' }, 'raw')).toHaveLength(0);
  });

  test('takes null and absence for no text', () => {
    expect(optionalTextMember({ a: null }, 'a')).toBeNull();
    expect(optionalTextMember({}, 'a')).toBeNull();
  });
});

function echo(question: Question): object {
  return { out: textMember(question, 'in') };
}

async function run(chunks: readonly (Buffer | string)[], answer: (question: Question) => object) {
  const collected: Buffer[] = [];
  const stdin = Readable.from(chunks.map((chunk) => Buffer.from(chunk)));
  const status = await answerLines({ stdin, stdout: collector(collected) }, answer);
  const text = Buffer.concat(collected).toString();
  const answers = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line));
  return { status, answers };
}

function collector(into: Buffer[]): Writable {
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      into.push(chunk);
      done();
    },
  });
}

function* chunked(text: string): Generator<Buffer> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += 10_007) yield bytes.subarray(at, at + 10_007);
}

async function readSome(stream: PassThrough): Promise<unknown> {
  while (stream.readableLength === 0) await new Promise((resolve) => setImmediate(resolve));
  return stream.read();
}
