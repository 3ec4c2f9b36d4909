import { describe, expect, test } from 'vitest';

import { addressText, isLoopback, parseDurationMs, parseHostPort, parseListenAddress, parseSizeBytes } from './units.ts';

test.each([
  ['250ms', 250],
  ['5s', 5_000],
  ['0s', 0],
  ['2m', 120_000],
  ['1h', 3_600_000],
  ['5', null],
  ['', null],
  ['1.5s', null],
  ['-1s', null],
  ['1h30m', null],
  ['5 s', null],
  ['5S', null],
  ['9999999999s', null],
])('parseDurationMs() of "%s" is %s', (text, want) => {
  expect(parseDurationMs(text)).toBe(want);
});

test.each([
  ['16384', 16_384],
  ['16B', 16],
  ['16KiB', 16_384],
  ['1MiB', 1_048_576],
  ['16K', null],
  ['16kB', null],
  ['1GiB', null],
  ['0x10', null],
  ['1e3', null],
])('parseSizeBytes() of "%s" is %s', (text, want) => {
  expect(parseSizeBytes(text)).toBe(want);
});

describe('addresses', () => {
  test.each([
    '127.0.0.1:80',
    '[::1]:80',
    '[fd00::1]:65535',
    'localhost:0',
    'orders.shop.svc:8080',
    'my_db:5432',
    'unix:/run/a.sock',
    'unix:a',
  ])('%s is read and written the same', (text) => {
    const address = parseListenAddress(text);
    expect(address).not.toBeNull();
    if (address !== null) expect(addressText(address)).toBe(text);
  });

  test.each([
    '',
    '80',
    ':80',
    'a',
    'a:',
    'a:b',
    'a:65536',
    'a:080',
    'a:-1',
    'a:1e3',
    '::1:80',
    '[::1]',
    '[::1',
    '[1.2.3.4]:80',
    '[::1]x:80',
    '1.2.3:80',
    '256.1.1.1:80',
    '01.2.3.4:80',
    'http://a:80',
    'h2c://127.0.0.1:80',
    'a b:80',
    'a/b:80',
    '-a:80',
    'unix:',
    'unix:a\0b',
  ])('%j is no address', (text) => {
    expect(parseListenAddress(text)).toBeNull();
  });

  test('a target is never a socket', () => {
    expect(parseHostPort('unix:/run/a.sock')).toBeNull();
  });

  test.each([
    ['127.0.0.1', true],
    ['127.9.9.9', true],
    ['::1', true],
    ['localhost', true],
    ['0.0.0.0', false],
    ['::', false],
    ['10.0.0.1', false],
    ['127.evil.example', false],
    ['localhost.evil.example', false],
  ])('isLoopback() of %s is %s', (host, want) => {
    expect(isLoopback(host)).toBe(want);
  });
});
