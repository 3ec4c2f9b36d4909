import { expect, test } from 'vitest';

import { FIELD, FRAMING, RequestHead } from '#wire/h1/head.ts';
import { parseRequestHead } from '#wire/h1/request.ts';

import { freeHead, KeptHead } from './kept-head.ts';

const LIMITS = { headBytes: 16_384, fields: 100 };

/** A head that stands behind other bytes, as it does in a decoder's scratch. */
function parsed(text: string, before = 37): RequestHead {
  const bytes = Buffer.concat([Buffer.alloc(before, 0x2e), Buffer.from(text, 'latin1')]);
  const head = new RequestHead();
  expect(parseRequestHead(bytes, before, bytes.length, head, LIMITS)).toBe(bytes.length);
  return head;
}

function told(head: RequestHead): unknown {
  const { bytes, fields } = head;
  const text = (start: number, end: number): string => bytes.toString('latin1', start, end);
  return {
    method: head.method,
    target: text(head.targetStart, head.targetEnd),
    all: text(head.start, head.end),
    lines: text(head.fieldsStart, head.end),
    framing: head.framing,
    contentLength: head.contentLength,
    hostIndex: head.hostIndex,
    fields: Array.from({ length: fields.count }, (_, index) => [
      text(fields.ranges[4 * index] ?? 0, fields.ranges[4 * index + 1] ?? 0),
      text(fields.ranges[4 * index + 2] ?? 0, fields.ranges[4 * index + 3] ?? 0),
      fields.ids[index],
      fields.dropped[index],
    ]),
  };
}

const GET = 'GET /a?b HTTP/1.1\r\nhost: app.test\r\nx_y: 1\r\ntraceparent: t\r\n\r\n';

test('keep() says what the head says, after its bytes are gone', () => {
  const head = parsed(GET);
  head.fields.dropped[1] = 1;
  const before = told(head);
  const kept = new KeptHead().keep(head);
  head.bytes.fill(0);
  expect(told(kept)).toEqual(before);
  expect(kept.fields.hasUnderscore).toBe(true);
  freeHead(kept);
});

test('again() reads the head once more, with nothing dropped', () => {
  const source = new KeptHead();
  const kept = source.keep(parsed(GET));
  const before = told(kept);
  kept.fields.dropped[0] = 1;
  freeHead(kept);
  const again = source.again(LIMITS);
  expect(again === null ? null : told(again)).toEqual(before);
});

test('again() is of the newest head, shorter or longer than the one before', () => {
  const source = new KeptHead();
  for (const path of ['/first', '/a', `/${'long'.repeat(500)}`]) {
    freeHead(source.keep(parsed(`PUT ${path} HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n`)));
    const again = source.again(LIMITS);
    if (again === null) throw new Error('Cannot read a kept head again');
    expect(told(again)).toMatchObject({ method: 'PUT', target: path, framing: FRAMING.length, contentLength: 3 });
    expect(again.fields.ids[1]).toBe(FIELD.contentLength);
    freeHead(again);
  }
});

test('again() is null when the head is larger than is now allowed', () => {
  const source = new KeptHead();
  freeHead(source.keep(parsed(GET)));
  expect(source.again({ headBytes: 20, fields: 1 })).toBeNull();
});
