import { describe, expect, test } from 'vitest';

import { authorityText, parseAuthority } from './authority.ts';

describe('parseAuthority()', () => {
  test.each([
    ['app.test', 'app.test', null],
    ['App.TEST', 'app.test', null],
    ['app.test.', 'app.test', null],
    ['app.test:80', 'app.test', 80],
    ['app.test.:8080', 'app.test', 8080],
    ['app.test:', 'app.test', null],
    ['app.test:65535', 'app.test', 65_535],
    ['10.1.2.3:9', '10.1.2.3', 9],
    ['orders', 'orders', null],
    ['outbound_.8080_._.orders.shop', 'outbound_.8080_._.orders.shop', null],
    ['[::1]', '[::1]', null],
    ['[FE80::A]:443', '[fe80::a]', 443],
    ['[::ffff:10.0.0.1]', '[::ffff:10.0.0.1]', null],
  ])('takes %s', (text, host, port) => {
    const authority = parseAuthority(text);
    expect(authority).toEqual({ host, port });
    if (authority !== null) expect(authorityText(authority)).toBe(port === null ? host : `${host}:${port}`);
  });

  test.each([
    '',
    '.',
    'a..',
    ':80',
    'a:80:80',
    'a:x',
    'a:-1',
    'a:0',
    'a:65536',
    'a:000080',
    'a b',
    ' a',
    'a ',
    'a,b',
    'a@b',
    'user:pass@a',
    'a/b',
    'a?b',
    'a#b',
    'a\\b',
    'a%41',
    'http://a',
    '::1',
    '[::1',
    '[]',
    '[a]',
    '[::1]x',
    '[::1%25eth0]',
    '[v1.a]',
    '\xe4',
    'a\0',
    'a'.repeat(301),
  ])('refuses %j', (text) => {
    expect(parseAuthority(text)).toBeNull();
  });
});
