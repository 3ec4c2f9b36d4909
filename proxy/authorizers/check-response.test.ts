import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { ProtoWriter } from '#wire/protobuf/write.ts';

import { framed } from './check-request.ts';
import { checkAnswer } from './check-response.ts';

const status = (code: number): ProtoWriter => new ProtoWriter().count(1, code);
const option = (key: string, value: string): ProtoWriter =>
  new ProtoWriter().message(1, new ProtoWriter().text(1, key).text(2, value));
const allowed = (): ProtoWriter =>
  new ProtoWriter()
    .message(1, status(0))
    .message(3, new ProtoWriter().message(2, option('x-user', 'ann')).text(5, 'x-gone').message(6, option('x-told', '1')));

describe('checkAnswer()', () => {
  test('reads what an answer wants changed', () => {
    expect(checkAnswer(framed(allowed().finish()))).toEqual({
      kind: 'allow',
      changes: {
        set: [['x-user', 'ann']],
        append: [],
        remove: ['x-gone'],
        respond: [['x-told', '1']],
        setQuery: [],
        removeQuery: [],
      },
    });
  });

  test.each([
    ['nothing', Buffer.alloc(0), 'no_message'],
    ['four bytes', Buffer.alloc(4), 'no_message'],
    ['an empty message', framed(Buffer.alloc(0)), 'no_status'],
    ['a compressed one', Buffer.from([1, 0, 0, 0, 0]), 'compressed'],
    ['less than was announced', framed(allowed().finish()).subarray(0, 20), 'message_length'],
    ['two messages', Buffer.concat([framed(allowed().finish()), framed(allowed().finish())]), 'message_length'],
    ['a field that is cut off', framed(Buffer.from([0x0a, 5, 8])), 'malformed'],
    ['OK and a denial', framed(new ProtoWriter().message(1, status(0)).message(2, new ProtoWriter()).finish()), 'contradiction'],
    ['OK and an error', framed(new ProtoWriter().message(1, status(0)).message(5, new ProtoWriter()).finish()), 'contradiction'],
    ['an error', framed(new ProtoWriter().message(1, status(14)).message(5, new ProtoWriter()).finish()), 'error_response'],
    [
      'changes that are cut off',
      framed(
        new ProtoWriter()
          .message(1, status(0))
          .bytes(3, Buffer.from([0x12, 9]))
          .finish(),
      ),
      'malformed',
    ],
  ])('takes %s for no answer', (_, bytes, detail) => {
    expect(checkAnswer(bytes)).toEqual({ kind: 'none', code: 'provider_error', detail });
  });

  test('never throws, and allows nothing that does not say so', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const answer = checkAnswer(framed(Buffer.from(bytes)));
        // A yes has at least the field of a status in it.
        if (answer.kind === 'allow') expect(bytes.length).toBeGreaterThanOrEqual(2);
      }),
    );
    const good = framed(allowed().finish());
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, bits) => {
        const bytes = Buffer.from(good);
        bytes[at] = (bytes[at] ?? 0) ^ bits;
        expect(['allow', 'deny', 'none']).toContain(checkAnswer(bytes).kind);
      }),
    );
  });
});
