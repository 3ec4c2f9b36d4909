import { describe, expect, test } from 'vitest';

import { cidrContains, parseCidr, parseIp } from './cidr.ts';

describe('parseIp()', () => {
  test.each([
    ['10.1.2.3', '0a010203'],
    ['0.0.0.0', '00000000'],
    ['::', '00'.repeat(16)],
    ['::1', `${'00'.repeat(15)}01`],
    ['2001:db8::8:800:200c:417a', '20010db80000000000080800200c417a'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['::ffff:10.1.2.3', '0a010203'],
    ['::FFFF:a01:203', '0a010203'],
    ['64:ff9b::1.2.3.4', '0064ff9b000000000000000001020304'],
    ['1::', `0001${'00'.repeat(14)}`],
  ])('reads %s', (text, hex) => {
    expect(Buffer.from(parseIp(text) ?? []).toString('hex')).toBe(hex);
  });

  test.each([
    '',
    '10.1.2',
    '10.1.2.3.4',
    '256.1.1.1',
    '01.2.3.4',
    '1.2.3.4 ',
    '0x1.2.3.4',
    '::1%eth0',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '12345::',
    ':::',
    '::1.2.3',
    '1.2.3.4::',
    '1:2:3:4:5:6:7::8',
    '[::1]',
    'localhost',
    '+1.2.3.4',
  ])('refuses "%s"', (text) => {
    expect(parseIp(text)).toBeNull();
  });
});

describe('parseCidr()', () => {
  test.each([
    ['10.0.0.0/8', '10.255.1.1', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['10.9.9.9/8', '10.0.0.1', true],
    ['10.0.0.0/9', '10.128.0.0', false],
    ['1.2.3.4', '1.2.3.4', true],
    ['1.2.3.4', '1.2.3.5', false],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['0.0.0.0/0', '::1', false],
    ['::/0', '1.2.3.4', false],
    ['2001:db8::/33', '2001:db8:7fff::', true],
    ['2001:db8::/33', '2001:db8:8000::', false],
    ['::ffff:10.0.0.0/104', '10.1.2.3', true],
    ['::1', '::1', true],
  ])('%s holds %s: %s', (block, address, wanted) => {
    const parsed = parseCidr(block);
    const bytes = parseIp(address);
    expect(parsed !== null && bytes !== null && cidrContains(parsed, bytes)).toBe(wanted);
  });

  test.each(['10.0.0.0/33', '::/129', '10.0.0.0/', '10.0.0.0/08', '10.0.0.0/-1', '/8', '10.0.0.0/8/8', 'x/8'])(
    'refuses "%s"',
    (text) => {
      expect(parseCidr(text)).toBeNull();
    },
  );
});
