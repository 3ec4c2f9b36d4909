import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { parseSpiffeId, parseTrustDomain, SpiffeId } from './spiffe-id.ts';

describe('parseSpiffeId()', () => {
  test('takes an ID apart', () => {
    const parsed = parseSpiffeId('spiffe://a.test/ns/prod/sa/web');
    expect(parsed).toMatchObject({ ok: true, id: { trustDomain: 'a.test', path: '/ns/prod/sa/web' } });
    expect(parsed.ok && String(parsed.id)).toBe('spiffe://a.test/ns/prod/sa/web');
    expect(parsed.ok && Object.isFrozen(parsed.id)).toBe(true);
  });

  test('gives an ID without path the empty path', () => {
    expect(parseSpiffeId('spiffe://a.test')).toMatchObject({ ok: true, id: { path: '' } });
  });

  test.each([
    { text: '', code: 'id_empty' },
    { text: 'a.test/x', code: 'scheme' },
    { text: 'Spiffe://a.test/x', code: 'scheme' },
    { text: 'spiffe:/a.test/x', code: 'scheme' },
    { text: 'spiffe://', code: 'trust_domain_missing' },
    { text: 'spiffe:///x', code: 'trust_domain_missing' },
    { text: 'spiffe://A.test/x', code: 'trust_domain_charset' },
    { text: 'spiffe://a test/x', code: 'trust_domain_charset' },
    { text: 'spiffe://ä.test/x', code: 'trust_domain_charset' },
    { text: 'spiffe://[::1]/x', code: 'trust_domain_charset' },
    { text: 'spiffe://a.test:80/x', code: 'trust_domain_port' },
    { text: 'spiffe://a.test:/x', code: 'trust_domain_port' },
    { text: 'spiffe://u:p@a.test/x', code: 'trust_domain_user_info' },
    { text: 'spiffe://a.test?x', code: 'id_query' },
    { text: 'spiffe://a.test#x', code: 'id_fragment' },
    { text: `spiffe://${'a'.repeat(256)}/x`, code: 'trust_domain_too_long' },
    { text: 'spiffe://a.test/', code: 'path_trailing_slash' },
    { text: 'spiffe://a.test/x/', code: 'path_trailing_slash' },
    { text: 'spiffe://a.test//x', code: 'path_empty_segment' },
    { text: 'spiffe://a.test/.', code: 'path_dot_segment' },
    { text: 'spiffe://a.test/x/../y', code: 'path_dot_segment' },
    { text: 'spiffe://a.test/x%2e', code: 'path_percent_encoding' },
    { text: 'spiffe://a.test/x?y', code: 'id_query' },
    { text: 'spiffe://a.test/x#y', code: 'id_fragment' },
    { text: 'spiffe://a.test/x\u0000', code: 'path_charset' },
    { text: 'spiffe://a.test/x y', code: 'path_charset' },
    { text: `spiffe://a.test/${'x'.repeat(2033)}`, code: 'id_too_long' },
  ])('refuses $text as $code', ({ text, code }) => {
    expect(parseSpiffeId(text)).toMatchObject({ ok: false, code });
  });

  test.each([
    'spiffe://a.test/...',
    'spiffe://a.test/.x/x.',
    `spiffe://a.test/${'x'.repeat(2032)}`,
    `spiffe://${'a'.repeat(255)}/x`,
  ])('accepts %s', (text) => {
    expect(parseSpiffeId(text).ok).toBe(true);
  });

  test('accepts exactly what the grammar allows', () => {
    // The grammar as one expression, for a test only: the parser goes byte by byte and says which rule broke.
    const grammar = /^spiffe:\/\/[a-z0-9._\-]{1,255}(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._\-]+)*$/v;
    const piece = fc.constantFrom(
      'spiffe://',
      'a.test',
      '/',
      '//',
      '.',
      '..',
      'x',
      'X',
      '%2f',
      '?',
      '#',
      ':',
      '@',
      '1',
      '-',
      '_',
      '\u0000',
      'é',
    );
    const text = fc.array(piece, { maxLength: 9 }).map((pieces) => pieces.join(''));
    const near = fc.oneof(
      text,
      text.map((tail) => `spiffe://a.test/${tail}`),
      text.map((tail) => `spiffe://${tail}`),
      fc.string(),
    );
    fc.assert(
      fc.property(near, (each) => {
        const parsed = parseSpiffeId(each);
        expect(parsed.ok).toBe(each.length <= 2048 && grammar.test(each));
        if (!parsed.ok) return;
        expect(`spiffe://${parsed.id.trustDomain}${parsed.id.path}`).toBe(each);
        expect(SpiffeId.parse(parsed.id.uri)).toEqual(parsed);
      }),
      { numRuns: 5000 },
    );
  });

  test('says what is wrong and shows no more than the beginning of a long text', () => {
    const parsed = parseSpiffeId(`spiffe://a.test/${'%'.repeat(2000)}`);
    expect(parsed.ok ? '' : parsed.message).toContain('percent-encoded');
    expect(parsed.ok ? '' : parsed.message.length).toBeLessThan(300);
  });
});

describe('parseTrustDomain()', () => {
  test.each([
    { text: 'a.test', want: 'a.test' },
    { text: 'spiffe://a.test', want: 'a.test' },
    { text: 'spiffe://a.test/x', want: 'a.test' },
  ])('takes $want from $text', ({ text, want }) => {
    expect(parseTrustDomain(text)).toEqual({ ok: true, trustDomain: want });
  });

  test.each([
    { text: '', code: 'trust_domain_missing' },
    { text: 'A', code: 'trust_domain_charset' },
    { text: 'a/b', code: 'trust_domain_charset' },
    { text: 'a:1', code: 'trust_domain_port' },
    { text: 'https://a.test', code: 'scheme' },
    { text: 'spiffe://a.test/', code: 'path_trailing_slash' },
  ])('refuses $text as $code', ({ text, code }) => {
    expect(parseTrustDomain(text)).toMatchObject({ ok: false, code });
  });
});
