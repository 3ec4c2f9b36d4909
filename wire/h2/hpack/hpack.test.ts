import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { FieldTable } from '../../h1/head.ts';
import type { H2Fault } from '../faults.ts';
import { DecodedFields, idOfName } from './decoded-fields.ts';
import { HpackDecoder } from './decoder.ts';
import { HpackEncoder } from './encoder.ts';
import { decodeHuffman, encodeHuffman, huffmanLength } from './huffman.ts';
import { CODE_LENGTHS, CODES } from './huffman-code.ts';

type Field = readonly [name: string, value: string];

/** Decodes a block as a response's, so that pseudo-headers show and nothing else is kept apart. */
function decode(decoder: HpackDecoder, block: Buffer, limits = LIMITS): readonly Field[] | H2Fault {
  FIELDS.begin(TABLE, 0, false, limits);
  const fault = decoder.decode(block, 0, block.length, FIELDS) ?? FIELDS.fault;
  if (fault !== null) return fault;
  const { bytes, pseudo } = FIELDS;
  const fields: Field[] = [];
  for (let which = 1; which <= 6; which++) {
    const end = pseudo[2 * which + 1] ?? -1;
    const name = [':method', ':scheme', ':path', ':authority', ':protocol', ':status'][which - 1] ?? '';
    if (end >= 0) fields.push([name, bytes.toString('latin1', pseudo[2 * which], end)]);
  }
  for (let index = 0; index < TABLE.count; index++) {
    const [from = 0, to = 0, valueFrom = 0, valueTo = 0] = TABLE.ranges.subarray(4 * index, 4 * index + 4);
    expect(bytes.toString('latin1', to, valueFrom)).toBe(': ');
    expect(bytes.toString('latin1', valueTo, valueTo + 2)).toBe('\r\n');
    fields.push([bytes.toString('latin1', from, to), bytes.toString('latin1', valueFrom, valueTo)]);
  }
  return fields;
}

/** What the dynamic table holds, newest first. */
function tableOf({ table }: HpackDecoder | HpackEncoder): readonly string[] {
  return Array.from({ length: table.count }, (_, age) => {
    const slot = table.slotOf(age);
    const start = table.starts[slot] ?? 0;
    return table.bytes.toString('latin1', start, start + (table.lengths[slot] ?? 0) - 2);
  });
}

function encode(encoder: HpackEncoder, fields: readonly Field[]): Buffer {
  encoder.begin();
  for (const [name, value] of fields) {
    const bytes = Buffer.from(name + value, 'latin1');
    const id = idOfName(bytes, 0, name.length, 0);
    encoder.field(bytes, 0, name.length, name.length, bytes.length, id);
  }
  return Buffer.from(encoder.out.subarray(0, encoder.end));
}

describe('the Huffman code', () => {
  test('is complete: its lengths leave no gap', () => {
    expect(CODE_LENGTHS.reduce((sum, length) => sum + 2 ** -length, 0)).toBe(1);
  });

  test.each([
    { symbol: '0'.charCodeAt(0), code: 0x0 },
    { symbol: 'a'.charCodeAt(0), code: 0x3 },
    { symbol: ' '.charCodeAt(0), code: 0x14 },
    { symbol: '\\'.charCodeAt(0), code: 0x7fff0 },
    { symbol: 0, code: 0x1ff8 },
    { symbol: 1, code: 0x7fffd8 },
    { symbol: 10, code: 0x3ffffffc },
    { symbol: 249, code: 0xffffffe },
    { symbol: 255, code: 0x3ffffee },
    { symbol: 256, code: 0x3fffffff },
  ])('has the code of RFC 7541, appendix B, for $symbol', ({ symbol, code }) => {
    expect(CODES[symbol]).toBe(code);
  });

  test('is read back as it was written', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const packed = Buffer.alloc(2000);
        const end = encodeHuffman(bytes, 0, bytes.length, packed, 3);
        expect(end - 3).toBe(huffmanLength(bytes, 0, bytes.length));
        const plain = Buffer.alloc(2000);
        const plainEnd = decodeHuffman(packed, 3, end, plain, 5);
        expect(Buffer.from(bytes).equals(plain.subarray(5, plainEnd))).toBe(true);
      }),
    );
  });

  test.each([
    { why: 'padding of eight ones', hex: '1fff' },
    { why: 'padding with a zero', hex: '18' },
    { why: 'EOS', hex: 'ffffffff' },
    { why: 'nothing but padding, a byte of it', hex: 'ff' },
  ])('refuses $why', ({ hex }) => {
    const bytes = Buffer.from(hex, 'hex');
    expect(decodeHuffman(bytes, 0, bytes.length, Buffer.alloc(100), 0)).toBe(-1);
  });
});

describe('HpackDecoder', () => {
  test.each(APPENDIX_C())('reads RFC 7541, appendix $section', ({ blocks }) => {
    const decoder = new HpackDecoder();
    for (const { hex, fields, table } of blocks) {
      if (hex === 'resize 256') {
        decoder.table.resize(256);
        continue;
      }
      expect(decode(decoder, Buffer.from(hex.replaceAll(' ', ''), 'hex'))).toEqual(fields);
      expect(tableOf(decoder)).toEqual(table);
    }
  });

  test.each([
    { why: 'index 0', hex: '80', fault: 'hpack_index' },
    { why: 'an index behind the table', hex: 'be', fault: 'hpack_index' },
    { why: 'a name index behind the table', hex: '7f0000', fault: 'hpack_index' },
    { why: 'an integer without end', hex: 'ff80808080808080', fault: 'hpack_integer' },
    { why: 'an integer cut off', hex: 'ff80', fault: 'hpack_integer' },
    { why: 'a literal without its strings', hex: '40', fault: 'hpack_string' },
    { why: 'a string longer than the block', hex: '400a6162', fault: 'hpack_string' },
    { why: 'a Huffman string with EOS', hex: '40016184ffffffff', fault: 'hpack_huffman' },
    { why: 'a table size behind a field', hex: '8820', fault: 'hpack_table_size' },
    { why: 'a table size above the bound', hex: '3fe21f', fault: 'hpack_table_size' },
    { why: 'a name in upper case', hex: '4001410161', fault: 'field_name' },
    { why: 'an empty name', hex: '40000161', fault: 'field_name' },
    { why: 'a line feed in a value', hex: '40016103610a62', fault: 'field_value' },
    { why: 'NUL in a value', hex: '4001610100', fault: 'field_value' },
    { why: 'a value with a blank before it', hex: '400161022061', fault: 'field_value' },
    { why: 'a value with a tab behind it', hex: '400161026109', fault: 'field_value' },
    { why: 'a pseudo-header behind a field', hex: '4001610161 88', fault: 'pseudo_misplaced' },
    { why: 'a pseudo-header twice', hex: '8889', fault: 'pseudo_repeated' },
    { why: 'a pseudo-header that does not exist', hex: '40023a610161', fault: 'pseudo_unknown' },
  ])('refuses $why', ({ hex, fault }) => {
    expect(decode(new HpackDecoder(), Buffer.from(hex.replaceAll(' ', ''), 'hex'))).toBe(fault);
  });

  test('keeps its table in step behind a malformed field, which stays malformed', () => {
    const decoder = new HpackDecoder();
    expect(decode(decoder, Buffer.from('4001610161400162010a400163022079', 'hex'))).toBe('field_value');
    expect(tableOf(decoder)).toHaveLength(3);
    expect(decode(decoder, Buffer.from('c0', 'hex'))).toEqual([['a', 'a']]);
    expect(decode(decoder, Buffer.from('bf', 'hex'))).toBe('field_value');
  });

  test('counts each field and 32 bytes for it', () => {
    const block = Buffer.from('4001610161'.repeat(10), 'hex');
    expect(decode(new HpackDecoder(), block, { headerListBytes: 340, headerFields: 10 })).toHaveLength(10);
    expect(decode(new HpackDecoder(), block, { headerListBytes: 339, headerFields: 10 })).toBe('fields_too_large');
    expect(decode(new HpackDecoder(), block, { headerListBytes: 340, headerFields: 9 })).toBe('fields_too_large');
  });

  test('reads a bomb of references without writing them', () => {
    const decoder = new HpackDecoder();
    const entry = Buffer.concat([Buffer.from('4001617fa11e', 'hex'), Buffer.alloc(4000, 120)]);
    expect(decode(decoder, Buffer.concat([entry, Buffer.alloc(40_000, 0xbe)]))).toBe('fields_too_large');
    expect(FIELDS.end).toBeLessThan(FIELDS.bytes.length - 100_000);
    expect(decode(decoder, Buffer.from('be', 'hex'))).toHaveLength(1);
  });
});

describe('HpackEncoder', () => {
  test('is read back by the decoder, whatever the fields, the table sizes and the order', () => {
    const name = fc.constantFrom(
      'a',
      'accept',
      'x-id',
      'cookie',
      'set-cookie',
      'authorization',
      'content-type',
      'x-'.repeat(60),
      'via',
    );
    const value = fc.oneof(
      fc.constantFrom('', 'x', 'gzip, deflate', 'application/grpc', 'v'.repeat(130), 'w'.repeat(700)),
      fc.stringMatching(/^[!-~]{0,40}$/),
    );
    const block = fc.record({
      fields: fc.array(fc.tuple(name, value), { maxLength: 30 }),
      sizes: fc.array(fc.constantFrom(0, 64, 200, 1000, 4096, 65_536), { maxLength: 2 }),
    });
    fc.assert(
      fc.property(fc.array(block, { maxLength: 20 }), (blocks) => {
        const encoder = new HpackEncoder();
        const decoder = new HpackDecoder();
        for (const { fields, sizes } of blocks) {
          for (const size of sizes) encoder.resize(size);
          const bytes = encode(encoder, fields);
          expect(decode(decoder, bytes, { headerListBytes: 65_536, headerFields: 500 })).toEqual(fields);
          expect(tableOf(decoder)).toEqual(tableOf(encoder));
        }
      }),
      { numRuns: 300 },
    );
  });

  test('writes names in lower case', () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    for (let round = 0; round < 3; round++) {
      const bytes = encode(encoder, [
        ['Content-Type', 'a/b'],
        ['X-Tenant', 'Blue'],
      ]);
      expect(decode(decoder, bytes)).toEqual([
        ['content-type', 'a/b'],
        ['x-tenant', 'Blue'],
      ]);
    }
  });

  test('indexes what comes again, in one byte for each field', () => {
    const encoder = new HpackEncoder();
    const fields: readonly Field[] = [
      ['content-type', 'application/grpc'],
      ['grpc-encoding', 'identity'],
      ['accept-encoding', 'gzip, deflate'],
    ];
    encode(encoder, fields);
    encode(encoder, fields);
    expect(encode(encoder, fields)).toHaveLength(3);
    expect(encoder.isRepeatable).toBe(true);
  });

  test('keeps values that never come again out of the table', () => {
    const encoder = new HpackEncoder();
    for (let round = 0; round < 500; round++)
      encode(encoder, [
        ['x-request-id', `id-${round * 7919}`],
        [':path', `/orders/${round}`],
      ]);
    expect(encoder.table.count).toBeLessThan(5);
  });

  test.each(['authorization', 'proxy-authorization', 'cookie', 'set-cookie'])('never indexes %s', (name) => {
    const encoder = new HpackEncoder();
    for (let round = 0; round < 4; round++) {
      const bytes = encode(encoder, [[name, 'secret']]);
      expect((bytes[0] ?? 0) & 0xf0).toBe(0x10);
      expect(encoder.table.count).toBe(0);
    }
  });

  test('tells a smaller table before the first field, the lowest size first', () => {
    const encoder = new HpackEncoder();
    encoder.resize(0);
    encoder.resize(100);
    expect(
      encode(encoder, [[':status', '200']])
        .subarray(0, 3)
        .toString('hex'),
    ).toBe('203f45');
    expect(encoder.isRepeatable).toBe(false);
  });
});

const LIMITS = { headerListBytes: 16_384, headerFields: 100 };
const TABLE = new FieldTable();
const FIELDS = new DecodedFields();

/** The examples of RFC 7541, appendix C: what each block holds, and the table behind it. */
function APPENDIX_C(): readonly {
  section: string;
  blocks: readonly { hex: string; fields: readonly Field[]; table: readonly string[] }[];
}[] {
  const get: readonly Field[] = [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
  ];
  const getNoCache: readonly Field[] = [...get, ['cache-control', 'no-cache']];
  const getCustom: readonly Field[] = [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/index.html'],
    [':authority', 'www.example.com'],
    ['custom-key', 'custom-value'],
  ];
  const requestTables = [
    [':authority: www.example.com'],
    ['cache-control: no-cache', ':authority: www.example.com'],
    ['custom-key: custom-value', 'cache-control: no-cache', ':authority: www.example.com'],
  ] as const;
  const date = 'Mon, 21 Oct 2013 20:13:21 GMT';
  const date22 = 'Mon, 21 Oct 2013 20:13:22 GMT';
  const location = 'https://www.example.com';
  const cookie = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';
  const rest = (when: string): readonly Field[] => [
    ['cache-control', 'private'],
    ['date', when],
    ['location', location],
  ];
  const responses: readonly (readonly Field[])[] = [
    [[':status', '302'], ...rest(date)],
    [[':status', '307'], ...rest(date)],
    [
      [':status', '200'],
      ['cache-control', 'private'],
      ['date', date22],
      ['location', location],
      ['content-encoding', 'gzip'],
      ['set-cookie', cookie],
    ],
  ];
  const responseTables = [
    [`location: ${location}`, `date: ${date}`, 'cache-control: private', ':status: 302'],
    [':status: 307', `location: ${location}`, `date: ${date}`, 'cache-control: private'],
    [`set-cookie: ${cookie}`, 'content-encoding: gzip', `date: ${date22}`],
  ] as const;
  const requests = (hexes: readonly string[]) =>
    hexes.map((hex, at) => ({ hex, fields: [get, getNoCache, getCustom][at] ?? [], table: requestTables[at] ?? [] }));
  const answers = (hexes: readonly string[]) => [
    { hex: 'resize 256', fields: [], table: [] },
    ...hexes.map((hex, at) => ({ hex, fields: responses[at] ?? [], table: responseTables[at] ?? [] })),
  ];
  return [
    {
      section: 'C.2.1',
      blocks: [
        {
          hex: '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
          fields: [['custom-key', 'custom-header']],
          table: ['custom-key: custom-header'],
        },
      ],
    },
    { section: 'C.2.2', blocks: [{ hex: '040c 2f73 616d 706c 652f 7061 7468', fields: [[':path', '/sample/path']], table: [] }] },
    {
      section: 'C.2.3',
      blocks: [{ hex: '1008 7061 7373 776f 7264 0673 6563 7265 74', fields: [['password', 'secret']], table: [] }],
    },
    { section: 'C.2.4', blocks: [{ hex: '82', fields: [[':method', 'GET']], table: [] }] },
    {
      section: 'C.3',
      blocks: requests([
        '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '8286 84be 5808 6e6f 2d63 6163 6865',
        '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      ]),
    },
    {
      section: 'C.4',
      blocks: requests([
        '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
        '8286 84be 5886 a8eb 1064 9cbf',
        '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      ]),
    },
    {
      section: 'C.5',
      blocks: answers([
        '4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '4803 3330 37c1 c0bf',
        '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
      ]),
    },
    {
      section: 'C.6',
      blocks: answers([
        '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
        '4883 640e ffc1 c0bf',
        '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
      ]),
    },
  ];
}
