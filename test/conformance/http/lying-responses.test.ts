/** The battery of lying responses at the level of the codec. */
import { expect, test } from 'vitest';

import { BodyDecoder } from '#wire/h1/body.ts';
import { DEFAULT_HEAD_LIMITS, ResponseHead } from '#wire/h1/head.ts';
import { parseResponseHead } from '#wire/h1/response.ts';

import { LYING_RESPONSES } from './lying-responses.ts';
import type { LyingResponse } from './lying-responses.ts';

test('ids are unique', () => {
  expect(new Set(LYING_RESPONSES.map((row) => row.id)).size).toBe(LYING_RESPONSES.length);
});

test.each(LYING_RESPONSES)('$id is $kind', (row) => {
  const { body, kind, status } = row;
  expect(walk(row)).toEqual({ kind, status, body });
});

type Walk = Pick<LyingResponse, 'kind' | 'status' | 'body'>;

const REFUSED: Walk = { kind: 'refused', status: 502, body: '' };
const MAX_INTERIM = 20;

function walk({ raw, method, closes }: LyingResponse): Walk {
  const head = new ResponseHead();
  let at = 0;
  for (let interim = 0; ; interim++) {
    const next = parseResponseHead(raw, at, raw.length, head, DEFAULT_HEAD_LIMITS, method);
    if (next <= 0 || head.status === 101 || interim > MAX_INTERIM) return REFUSED;
    at = next;
    if (head.status >= 200) break;
  }
  const decoder = new BodyDecoder();
  decoder.begin(head.framing, head.contentLength);
  const { status } = head;
  let body = '';
  while (at < raw.length && !decoder.isDone) {
    at = decoder.next(raw, at, raw.length);
    if (at >= 0) body += raw.toString('latin1', decoder.dataStart, decoder.dataEnd);
    else return { kind: 'broken', status, body };
  }
  if (!decoder.isDone && !(decoder.isUntilClose && closes)) return { kind: 'broken', status, body };
  return { kind: at < raw.length ? 'surplus' : 'passed', status, body };
}
