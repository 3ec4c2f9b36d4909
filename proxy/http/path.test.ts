import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { PATH_MODES, canonicalPath, isCanonicalPath } from './path.ts';

/** Expected per mode, in the order of `PATH_MODES`; null is refused. What `base` and the two after it do was seen on Envoy 1.40. */
const CASES: readonly (readonly [path: string, ...forms: (string | null)[]])[] = [
  // path, none, base, merge-slashes, decode-and-merge, strict
  ['/', '/', '/', '/', '/', '/'],
  ['/a/b', '/a/b', '/a/b', '/a/b', '/a/b', '/a/b'],
  ['/.well-known/x', '/.well-known/x', '/.well-known/x', '/.well-known/x', '/.well-known/x', '/.well-known/x'],
  ['/...', '/...', '/...', '/...', '/...', '/...'],
  ['/..a', '/..a', '/..a', '/..a', '/..a', '/..a'],
  ['/a/', '/a/', '/a/', '/a/', '/a/', '/a/'],
  ['/a/..', '/a/..', '/', '/', '/', null],
  ['/a/.', '/a/.', '/a/', '/a/', '/a/', null],
  ['/a/b/../c', '/a/b/../c', '/a/c', '/a/c', '/a/c', null],
  ['/../../a', '/../../a', '/a', '/a', '/a', null],
  ['/a/%2e%2E/b', '/a/%2e%2E/b', '/b', '/b', '/b', null],
  ['/a/.%2e/b', '/a/.%2e/b', '/b', '/b', '/b', null],
  ['/a%2etxt', '/a%2etxt', '/a.txt', '/a.txt', '/a.txt', '/a.txt'],
  ['/a/..;/b', '/a/..;/b', '/b', '/b', '/b', null],
  ['/a/..;x=1/b', '/a/..;x=1/b', '/b', '/b', '/b', null],
  ['/a/.;x', '/a/.;x', '/a/', '/a/', '/a/', null],
  ['/a/%2e%2e;/b', '/a/%2e%2e;/b', '/b', '/b', '/b', null],
  ['/a/..%3b/b', '/a/..%3b/b', '/a/..%3b/b', '/a/..%3b/b', '/a/..%3b/b', null],
  ['/a;x=1', '/a;x=1', '/a;x=1', '/a;x=1', '/a;x=1', null],
  ['//a//b', '//a//b', '//a//b', '/a/b', '/a/b', null],
  ['/a//../b', '/a//../b', '/a/b', '/a/b', '/a/b', null],
  ['/b//../a///', '/b//../a///', '/b/a///', '/b/a/', '/b/a/', null],
  ['/a\\b', '/a\\b', '/a/b', '/a/b', '/a/b', null],
  ['/b\\..\\a', '/b\\..\\a', '/a', '/a', '/a', null],
  ['/a%2Fb', '/a%2Fb', '/a%2Fb', '/a%2Fb', '/a/b', null],
  ['/a%5cb', '/a%5cb', '/a%5cb', '/a%5cb', '/a/b', null],
  ['/a%2F..%2fb', '/a%2F..%2fb', '/a%2F..%2fb', '/a%2F..%2fb', '/b', null],
  ['/a%252fb', '/a%252fb', '/a%252fb', '/a%252fb', '/a%252fb', null],
  ['/a%2561', '/a%2561', '/a%2561', '/a%2561', '/a%2561', null],
  ['/100%25', '/100%25', '/100%25', '/100%25', '/100%25', '/100%25'],
  ['/%61%7e', '/%61%7e', '/a~', '/a~', '/a~', '/a~'],
  ['/%c3%a9', '/%c3%a9', '/%c3%a9', '/%c3%a9', '/%c3%a9', '/%c3%a9'],
  ['/a%20b', '/a%20b', '/a%20b', '/a%20b', '/a%20b', '/a%20b'],
  [
    '/"<>^`{|}',
    '/"<>^`{|}',
    '/%22%3C%3E%5E%60%7B%7C%7D',
    '/%22%3C%3E%5E%60%7B%7C%7D',
    '/%22%3C%3E%5E%60%7B%7C%7D',
    '/%22%3C%3E%5E%60%7B%7C%7D',
  ],
  ["/[!$&'()*+,=:@]", "/[!$&'()*+,=:@]", "/[!$&'()*+,=:@]", "/[!$&'()*+,=:@]", "/[!$&'()*+,=:@]", "/[!$&'()*+,=:@]"],
  ['/a%01', '/a%01', '/a%01', '/a%01', '/a%01', null],
  ['/a%7f', '/a%7f', '/a%7f', '/a%7f', '/a%7f', null],
  ['/a%zz', '/a%zz', null, null, null, null],
  ['/a%', '/a%', null, null, null, null],
  ['/%%41', '/%%41', null, null, null, null],
  ['/a%00', null, null, null, null, null],
  ['/a#b', null, null, null, null, null],
  ['/a b', null, null, null, null, null],
  ['/a\x7f', null, null, null, null, null],
  ['/\xe4', null, null, null, null, null],
  ['/\u20ac', null, null, null, null, null],
  ['/\0', null, null, null, null, null],
  ['a', null, null, null, null, null],
  ['', null, null, null, null, null],
];

describe.each(PATH_MODES.map((mode, index) => ({ mode, index })))('canonicalPath() in mode $mode', ({ mode, index }) => {
  test.each(CASES.map(([path, ...forms]) => ({ path, want: forms[index] ?? null })))('$path is $want', ({ path, want }) => {
    expect(canonicalPath(path, mode)).toBe(want);
  });

  test('is idempotent, and agrees with isCanonicalPath()', () => {
    fc.assert(
      fc.property(paths(), (path) => {
        const once = canonicalPath(path, mode);
        const bytes = Buffer.from(path, 'latin1');
        if (isCanonicalPath(bytes, 0, bytes.length, mode)) expect(once).toBe(path);
        if (once === null) return;
        expect(canonicalPath(once, mode)).toBe(once);
        expect(once.startsWith('/')).toBe(true);
        if (mode === 'none') return;
        const segments = once.split('/').map((segment) => segment.split(';')[0]);
        expect(segments).not.toContain('.');
        expect(segments).not.toContain('..');
        if (mode !== 'base') expect(once).not.toContain('//');
        if (mode === 'decode-and-merge') expect(once.toLowerCase()).not.toMatch(/%2f|%5c/u);
      }),
      { numRuns: 3000 },
    );
  });
});

test.each(['/', '/a/b', '/api/v1/orders/17', '/a%20b', '/.well-known/x', '/a.b', '/a;x'])(
  'isCanonicalPath() settles %s at once',
  (path) => {
    const bytes = Buffer.from(`xx${path}xx`);
    expect(isCanonicalPath(bytes, 2, 2 + path.length, 'base')).toBe(true);
  },
);

/** Paths made of the pieces that matter. */
function paths(): fc.Arbitrary<string> {
  const piece = fc.constantFrom(
    '/',
    '/',
    '.',
    '..',
    '\\',
    ';',
    '%2e',
    '%2E',
    '%2f',
    '%5C',
    '%25',
    '%3b',
    '%41',
    '%',
    '%0',
    '2',
    'f',
    'a',
    '~',
    '{',
    '^',
    '%20',
    '%00',
    '#',
    '\x7f',
    '\xe4',
  );
  return fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`);
}
