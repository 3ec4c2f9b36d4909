import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { DEFAULT_HEAD_LIMITS, RequestHead } from '#wire/h1/head.ts';
import { parseRequestHead } from '#wire/h1/request.ts';

import { CanonicalTarget, canonicaliseHead, canonicaliseText } from './canonicalise.ts';
import type { TargetText } from './canonicalise.ts';
import { PATH_MODES } from './path.ts';

const REQUEST: TargetText = { method: 'GET', target: '/x', hosts: ['app.test'], authority: null, scheme: 'http' };

describe('canonicaliseText()', () => {
  test.each([
    { why: 'origin-form', request: {}, want: { path: '/x', host: 'app.test', port: null, authority: 'app.test' } },
    {
      why: 'a query, unchanged',
      request: { target: '/x?a=%41&b=/../#'.slice(0, -1) },
      want: { path: '/x', query: '?a=%41&b=/../' },
    },
    { why: 'a bare question mark', request: { target: '/x?' }, want: { path: '/x', query: '?' } },
    { why: 'OPTIONS *', request: { method: 'OPTIONS', target: '*' }, want: { path: '*', query: '' } },
    { why: 'absolute-form of the same host', request: { target: 'http://APP.test:80/y?z' }, want: { path: '/y', query: '?z' } },
    { why: 'absolute-form without a path', request: { target: 'http://app.test' }, want: { path: '/', query: '' } },
    { why: 'absolute-form with a query alone', request: { target: 'http://app.test?q' }, want: { path: '/', query: '?q' } },
    {
      why: 'OPTIONS about the server',
      request: { method: 'OPTIONS', target: 'http://app.test' },
      want: { path: '*', query: '' },
    },
    {
      why: 'the port of the scheme as none',
      request: { hosts: ['app.test:80'] },
      want: { port: null, authority: 'app.test:80' },
    },
    { why: 'another port', request: { hosts: ['app.test:443'] }, want: { port: 443, authority: 'app.test:443' } },
    { why: '80 under https', request: { hosts: ['app.test:80'], scheme: 'https' }, want: { port: 80 } },
    { why: 'an :authority alone', request: { hosts: [], authority: 'App.test.' }, want: { host: 'app.test' } },
    { why: 'an :authority that agrees with Host', request: { authority: 'APP.test:80' }, want: { host: 'app.test', port: null } },
    { why: 'twenty letters', request: { method: 'A'.repeat(20) }, want: { path: '/x' } },
  ])('takes $why', ({ request, want }) => {
    const out = new CanonicalTarget();
    const text = { ...REQUEST, ...request };
    expect(canonicaliseText(text, 'base', out)).toBeNull();
    expect({ ...out, query: text.target.slice(out.queryStart, out.queryEnd) }).toMatchObject(want);
  });

  test.each([
    ['bad_method', 'a method in lower case', { method: 'get' }],
    ['bad_method', 'a method with a mark', { method: 'M-SEARCH' }],
    ['bad_method', 'no method', { method: '' }],
    ['bad_method', 'twenty-one letters', { method: 'A'.repeat(21) }],
    ['method_refused', 'CONNECT', { method: 'CONNECT', target: 'app.test:80' }],
    ['bad_authority', 'no Host', { hosts: [] }],
    ['bad_authority', 'two Host fields', { hosts: ['app.test', 'app.test'] }],
    ['bad_authority', 'an empty Host', { hosts: [''] }],
    ['bad_authority', 'a Host that differs from :authority', { authority: 'other.test' }],
    ['bad_authority', 'a port that differs from :authority', { authority: 'app.test:81' }],
    ['bad_authority', 'absolute-form of another host', { target: 'http://other.test/x' }],
    ['bad_authority', 'absolute-form of another port', { target: 'http://app.test:81/x' }],
    ['bad_authority', 'absolute-form with user info', { target: 'http://u@app.test/x' }],
    ['bad_path', 'another scheme', { scheme: 'ftp' }],
    ['bad_path', 'absolute-form of another scheme', { target: 'ftp://app.test/x' }],
    ['bad_path', 'a relative target', { target: 'x' }],
    ['bad_path', 'an empty target', { target: '' }],
    ['bad_path', '* with GET', { target: '*' }],
    ['bad_path', 'authority-form', { target: 'app.test:80' }],
    ['bad_path', 'a fragment', { target: '/x#y' }],
    ['bad_path', 'a fragment after the query', { target: '/x?y#z' }],
    ['bad_path', 'a byte beyond ASCII', { target: '/\xe4' }],
    ['bad_path', 'a byte beyond ASCII in the query', { target: '/?\xe4' }],
    ['bad_path', 'a character that is no byte', { target: '/\u0141' }],
    ['bad_path', 'a blank', { target: '/x y' }],
    ['bad_path', 'an escaped NUL', { target: '/x%00' }],
  ])('refuses as %s: %s', (code, _why, request) => {
    expect(canonicaliseText({ ...REQUEST, ...request }, 'base', new CanonicalTarget())).toBe(code);
  });

  test('is idempotent in every mode', () => {
    const piece = fc.constantFrom('/', '.', '..', '%2e', '%2f', '%41', 'a', ';', '\\', '?', '%25', '//', '=');
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 10 }),
        fc.constantFrom(...PATH_MODES),
        fc.constantFrom('a', 'A.', 'a:80', '[::1]:8'),
        (pieces, mode, host) => {
          const target = `/${pieces.join('')}`;
          const once = new CanonicalTarget();
          if (canonicaliseText({ ...REQUEST, target, hosts: [host] }, mode, once) !== null) return;
          const twice = new CanonicalTarget();
          const again = once.path + target.slice(once.queryStart, once.queryEnd);
          expect(canonicaliseText({ ...REQUEST, target: again, hosts: [once.authority] }, mode, twice)).toBeNull();
          expect([twice.path, twice.authority, again.slice(twice.queryStart)]).toEqual([
            once.path,
            once.authority,
            target.slice(once.queryStart),
          ]);
        },
      ),
      { numRuns: 3000 },
    );
  });
});

describe('canonicaliseHead()', () => {
  test('means the same as canonicaliseText()', () => {
    const target = fc.constantFrom(
      '/a/../b?c',
      '/%61',
      '*',
      'http://app.test/y',
      'http://other.test/',
      '/a#b',
      'x',
      '/..;/q',
      '/a//b',
    );
    const hosts = fc.array(fc.constantFrom('app.test', 'App.Test.', 'app.test:80', 'a b', '[::1]'), { maxLength: 2 });
    fc.assert(
      fc.property(
        fc.constantFrom('GET', 'OPTIONS', 'M-SEARCH', 'CONNECT'),
        target,
        hosts,
        fc.constantFrom(...PATH_MODES),
        (method, text, list, mode) => {
          const ofText = new CanonicalTarget();
          const ofHead = new CanonicalTarget();
          const head = parse(`${method} ${text} HTTP/1.1\r\n${list.map((host) => `Host: ${host}\r\n`).join('')}\r\n`);
          const failure = canonicaliseText({ method, target: text, hosts: list, authority: null, scheme: 'http' }, mode, ofText);
          expect(canonicaliseHead(head, mode, 'http', ofHead)).toBe(failure);
          if (failure !== null) return;
          expect([ofHead.path, ofHead.host, ofHead.port, ofHead.authority]).toEqual([
            ofText.path,
            ofText.host,
            ofText.port,
            ofText.authority,
          ]);
          expect(head.bytes.toString('latin1', ofHead.queryStart, ofHead.queryEnd)).toBe(
            text.slice(ofText.queryStart, ofText.queryEnd),
          );
        },
      ),
    );
  });

  test('a Host that comes again is not confused with the one before', () => {
    const out = new CanonicalTarget();
    for (const [host, authority] of [
      ['a.test', 'a.test'],
      ['a.test', 'a.test'],
      ['b.test', 'b.test'],
      ['A.TEST', 'a.test'],
      ['a.test:80', 'a.test:80'],
    ]) {
      expect(canonicaliseHead(parse(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`), 'base', 'http', out)).toBeNull();
      expect(out.authority).toBe(authority);
    }
    expect(canonicaliseHead(parse('GET / HTTP/1.1\r\nHost: a b\r\n\r\n'), 'base', 'http', out)).toBe('bad_authority');
    expect(canonicaliseHead(parse('GET / HTTP/1.1\r\nHost: a.test:80\r\n\r\n'), 'base', 'https', out)).toBeNull();
    expect(out.port).toBe(80);
  });
});

function parse(text: string): RequestHead {
  const bytes = Buffer.from(text, 'latin1');
  const head = new RequestHead();
  expect(parseRequestHead(bytes, 0, bytes.length, head, DEFAULT_HEAD_LIMITS)).toBe(bytes.length);
  return head;
}
