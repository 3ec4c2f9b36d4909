/**
 * llhttp's own cases through `postern http parse`: what llhttp takes strictly is read to the same messages, what it refuses or takes
 * in a lenient mode only is refused. The expected message is what node:http's own llhttp makes of the bytes.
 */
import { readFileSync } from 'node:fs';
import { METHODS } from 'node:http';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { parseMessages } from '#cli/verbs/http-parse.ts';
import type { ParseAnswer } from '#cli/verbs/http-parse.ts';

import { vectorsDir } from '../../support/vectors.ts';

import { STRICTER_THAN_LLHTTP } from './llhttp-stricter.ts';
import { parseNatively } from './native-llhttp.ts';

interface LlhttpCase {
  readonly index: number;
  readonly title: string;
  readonly type: string;
  readonly raw_b64: string;
  readonly lenient: boolean;
  /** llhttp's error, null when the case must parse. */
  readonly error: string | null;
}

const vectors = vectorsDir();
const cases = vectors === null ? [] : readCases(join(vectors, 'llhttp', 'cases.json'));
const stricter = new Map(STRICTER_THAN_LLHTTP.map((row) => [row.index, row]));

describe.skipIf(vectors === null)('llhttp', () => {
  test('all cases are there, and each exception still names the case that it was written for', () => {
    expect(cases.length).toBe(251);
    for (const row of STRICTER_THAN_LLHTTP) expect(cases[row.index]?.title.endsWith(row.title), row.title).toBe(true);
  });

  test.each(cases.filter((row) => !isInvalid(row) && !stricter.has(row.index)))(
    '$index reads as node:http does: $title',
    (row) => {
      for (const bytes of variants(row)) {
        for (const isEof of [false, true]) {
          const native = parseNatively(kindOf(row), bytes, 'GET', isEof);
          const ours = parseMessages(kindOf(row), bytes, 'GET', isEof);
          expect(messagesOf(ours)).toEqual(native.messages);
          expect(ours.ok === false, 'refused').toBe(native.error !== null);
        }
      }
    },
  );

  test.each(cases.filter(isInvalid))('$index is refused: $title', (row) => {
    const answers = variants(row).map((bytes) => parseMessages(kindOf(row), bytes, 'GET', true));
    expect(answers.map((answer) => answer.ok)).toEqual(answers.map(() => false));
  });

  test.each(STRICTER_THAN_LLHTTP)('$index is refused, stricter than llhttp: $title', ({ code, index }) => {
    const row = cases[index];
    expect(row).toBeDefined();
    if (row === undefined) return;
    const kind = kindOf(row);
    expect(variants(row).map((bytes) => parseMessages(kind, bytes, 'GET', true))).toMatchObject(
      variants(row).map(() => ({ ok: false, code })),
    );
  });
});

test('the codec knows the methods that node:http knows', () => {
  for (const method of METHODS) {
    const target = method === 'CONNECT' ? 'a:1' : '/';
    const bytes = Buffer.from(`${method} ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect(parseMessages('request', bytes, 'GET', true)).toMatchObject({ ok: true, messages: [{ method, target }] });
  }
});

function readCases(file: string): LlhttpCase[] {
  // The vectors' own README describes the shape; a case without these members fails its test.
  const list = JSON.parse(readFileSync(file, 'utf8')) as Omit<LlhttpCase, 'index'>[];
  return list.map((row, index) => ({ ...row, index }));
}

function kindOf(row: LlhttpCase): 'request' | 'response' {
  return row.type.startsWith('response') ? 'response' : 'request';
}

/** llhttp's pauses at a change of protocol are no errors, except that HTTP/2's preface is no HTTP/1.1. */
function isInvalid(row: LlhttpCase): boolean {
  if (row.type.includes('lenient')) return true;
  return row.error !== null && !row.error.includes('Pause on CONNECT/Upgrade');
}

/** The vectors' bytes have lost the empty line that ends a message where it ended the case: with it and without. */
function variants(row: LlhttpCase): Buffer[] {
  const bytes = Buffer.from(row.raw_b64, 'base64');
  return bytes.at(-1) === 10 ? [bytes, Buffer.concat([bytes, Buffer.from('\r\n')])] : [bytes];
}

function messagesOf(answer: ParseAnswer): readonly unknown[] {
  return answer.ok === null ? [] : answer.messages;
}
