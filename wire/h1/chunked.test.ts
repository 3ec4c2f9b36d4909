import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { ChunkedDecoder, DEFAULT_CHUNK_LIMITS } from './chunked.ts';
import { wireFault } from './head.ts';
import { writeChunkHeader } from './serialise.ts';

describe('ChunkedDecoder', () => {
  test.each([
    { text: '0\r\n\r\n', body: '' },
    { text: '5\r\nhello\r\n0\r\n\r\n', body: 'hello' },
    { text: '00005\r\nhello\r\n000\r\n\r\n', body: 'hello' },
    { text: 'A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n', body: '01234567890123456789' },
    { text: '1;a;b=c;d="e\\"f;\t\xe4"\r\nx\r\n0;z\r\n\r\n', body: 'x' },
    { text: '2\r\n\r\n\r\n0\r\n\r\n', body: '\r\n' },
  ])('decodes $text', ({ text, body }) => {
    expect(decode(`${text}NEXT`)).toEqual({ body, end: Buffer.byteLength(text, 'latin1'), trailers: [] });
  });

  test('collects trailers', () => {
    expect(decode('1\r\nx\r\n0\r\nX-Sum:  1 \r\nEmpty:\r\n\r\n')).toMatchObject({
      trailers: [
        ['X-Sum', '1'],
        ['Empty', ''],
      ],
    });
  });

  test.each([
    ['chunk_size', 'g\r\n'],
    ['chunk_size', '\r\n'],
    ['chunk_size', '5 \r\n'],
    ['chunk_size', ' 5\r\n'],
    ['chunk_size', '0x5\r\n'],
    ['chunk_size', '-5\r\n'],
    ['chunk_size', '0000000000005\r\n'],
    ['line_end', '5\n'],
    ['line_end', '5\r\r'],
    ['line_end', '0\r\n\n'],
    ['line_end', '0\r\n\rX'],
    ['line_end', '5;a\n'],
    ['chunk_extension', '5;\r\n'],
    ['chunk_extension', '5; a\r\n'],
    ['chunk_extension', '5;a=\r\n'],
    ['chunk_extension', '5;a="b\r\n'],
    ['chunk_extension', '5;a="b"c\r\n'],
    ['chunk_extension', '5;a="\0"\r\n'],
    ['chunk_data_end', '1\r\nxy'],
    ['chunk_data_end', '1\r\nx\n'],
    ['chunk_data_end', '1\r\nx\ry'],
    ['trailer', '0\r\n X: y\r\n\r\n'],
    ['trailer', '0\r\n: y\r\n\r\n'],
    ['field_whitespace', '0\r\nX : y\r\n\r\n'],
    ['line_folding', '0\r\nX: y\r\n z\r\n\r\n'],
    ['field_value', '0\r\nX: \0\r\n\r\n'],
    ['trailers_too_large', `0\r\n${'X: y\r\n'.repeat(65)}\r\n`],
    ['trailers_too_large', `0\r\nX: ${'y'.repeat(DEFAULT_CHUNK_LIMITS.trailerBytes)}`],
    ['chunk_extension_too_large', `1;${'a'.repeat(DEFAULT_CHUNK_LIMITS.extensionBytes)}`],
  ])('refuses as %s: %j', (code, text) => {
    expect(decode(text)).toBe(code);
  });

  test('bounds extensions over the whole body', () => {
    const chunk = `1;${'a'.repeat(999)}\r\nx\r\n`;
    expect(decode(`${chunk.repeat(4)}0\r\n\r\n`)).toMatchObject({ body: 'xxxx' });
    expect(decode(`${chunk.repeat(5)}0\r\n\r\n`)).toBe('chunk_extension_too_large');
  });

  test('takes extensions up to the bound, the semicolon counted', () => {
    const most = `1;${'a'.repeat(DEFAULT_CHUNK_LIMITS.extensionBytes - 1)}\r\nx\r\n0\r\n\r\n`;
    expect(decode(most)).toMatchObject({ body: 'x' });
    expect(decode(most.replace('a', 'aa'))).toBe('chunk_extension_too_large');
  });

  test('is ready for the next body after a reset, and forgets trailers', () => {
    const decoder = new ChunkedDecoder();
    expect(feed(decoder, Buffer.from('0\r\nA: b\r\n\r\n'), 100)).toMatchObject({ trailers: [['A', 'b']] });
    decoder.reset();
    expect(feed(decoder, Buffer.from('1\r\nx\r\n0\r\n\r\n'), 100)).toEqual({ body: 'x', end: 11, trailers: [] });
    decoder.reset({ ...DEFAULT_CHUNK_LIMITS, trailerBytes: 4 });
    expect(feed(decoder, Buffer.from('0\r\nA: b\r\n\r\n'), 100)).toBe('trailers_too_large');
  });

  test('reads what writeChunkHeader() wrote, however it is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 5 }),
        fc.integer({ min: 1, max: 40 }),
        (chunks, step) => {
          const parts = chunks.flatMap((chunk) => [header(chunk.length), Buffer.from(chunk), Buffer.from('\r\n')]);
          const bytes = Buffer.concat([...parts, header(0), Buffer.from('X: y\r\n\r\n')]);
          expect(feed(new ChunkedDecoder(), bytes, step)).toEqual({
            body: Buffer.concat(chunks).toString('latin1'),
            end: bytes.length,
            trailers: [['X', 'y']],
          });
        },
      ),
    );
  });
});

describe('writeChunkHeader()', () => {
  test.each([0, 1, 9, 10, 15, 16, 255, 4096, 65_535, 1_048_576, 0xffff_ffff, 0xffff_ffff_ffff])('writes %i in hex', (size) => {
    expect(header(size).toString()).toBe(`${size.toString(16)}\r\n`);
  });
});

interface Decoded {
  body: string;
  end: number;
  trailers: [string, string][];
}

function decode(text: string): Decoded | string {
  const bytes = Buffer.from(text, 'latin1');
  const whole = feed(new ChunkedDecoder(), bytes, bytes.length);
  expect(feed(new ChunkedDecoder(), bytes, 1)).toEqual(whole);
  return whole;
}

function feed(decoder: ChunkedDecoder, bytes: Buffer, step: number): Decoded | string {
  let body = '';
  let at = 0;
  for (let end = Math.min(step, bytes.length); ; end = Math.min(end + step, bytes.length)) {
    while (at < end && !decoder.isDone) {
      at = decoder.next(bytes, at, end);
      if (at < 0) return wireFault(at);
      body += bytes.toString('latin1', decoder.dataStart, decoder.dataEnd);
    }
    if (decoder.isDone || end === bytes.length) break;
  }
  if (!decoder.isDone) return 'open';
  const { trailers } = decoder;
  if (trailers === null) return { body, end: at, trailers: [] };
  const list = Array.from({ length: trailers.fields.count }, (_, index): [string, string] => {
    const [nameStart, nameEnd, valueStart, valueEnd] = trailers.fields.ranges.subarray(4 * index, 4 * index + 4);
    return [trailers.bytes.toString('latin1', nameStart, nameEnd), trailers.bytes.toString('latin1', valueStart, valueEnd)];
  });
  return { body, end: at, trailers: list };
}

function header(size: number): Buffer {
  const out = Buffer.alloc(14);
  return out.subarray(0, writeChunkHeader(out, 0, size));
}
