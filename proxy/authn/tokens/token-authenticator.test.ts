import { describe, expect, test } from 'vitest';

import { requestHead, ruleOf } from '#test/support/token-request.ts';
import { TokenIssuer } from '#test/support/token-issuer.ts';
import type { SelectedJwtRule } from '#authz/policy/authentication.ts';
import type { RequestHead } from '#wire/h1/head.ts';
import { KeyStore } from './key-store.ts';
import { ProofCache, TokenCounts } from './proof-cache.ts';
import { TokenAuthenticator } from './token-authenticator.ts';
import { planTokens } from './token-plan.ts';

const idp = new TokenIssuer('https://idp.test');
const other = new TokenIssuer('https://other.test');
const NOW = Date.now();
const IDP = { issuer: idp.issuer, jwks: idp.jwks };
const OTHER = { issuer: other.issuer, jwks: other.jwks };
const good = idp.token();

function users(...rules: (Partial<SelectedJwtRule> & { issuer: string })[]): TokenAuthenticator {
  const plan = planTokens(rules.map(ruleOf), new KeyStore(() => {}), 'sha256:x', 0);
  return new TokenAuthenticator({ plan, keyMaxAgeMs: Infinity, counts: new TokenCounts() });
}

/** Names of the fields that go on, the host apart. */
function kept({ bytes, fields }: RequestHead): string[] {
  const { count, dropped, ranges } = fields;
  const names = Array.from({ length: count }, (_, at) => bytes.toString('latin1', ranges[4 * at], ranges[4 * at + 1]));
  return names.filter((name, at) => dropped[at] === 0 && name !== 'host');
}

describe('TokenAuthenticator', () => {
  const header = (name: string): Partial<SelectedJwtRule> => ({ fromHeaders: [{ name, prefix: '' }] });
  const a = header('a');
  const b = header('b');

  test.each<readonly [string, (Partial<SelectedJwtRule> & { issuer: string })[], [string, string][], string | null]>([
    ['no rule sees a token', [IDP], [], null],
    ['a rule passes', [{ ...IDP, ...a }], [['a', good]], null],
    ['a rule fails', [{ ...IDP, ...a }], [['a', 'x']], 'jwt_malformed'],
    [
      'one passes, one fails',
      [
        { ...IDP, ...a },
        { ...OTHER, ...b },
      ],
      [
        ['a', good],
        ['b', 'x'],
      ],
      null,
    ],
    [
      'one is silent, one fails',
      [
        { ...IDP, ...a },
        { ...OTHER, ...b },
      ],
      [['b', 'x']],
      'jwt_malformed',
    ],
    [
      'a required one is silent',
      [
        { ...IDP, ...a, isRequired: true },
        { ...OTHER, ...b },
      ],
      [['b', other.token()]],
      'jwt_missing',
    ],
    [
      'a required one fails',
      [
        { ...IDP, ...a, isRequired: true },
        { ...OTHER, ...b },
      ],
      [
        ['a', 'x'],
        ['b', other.token()],
      ],
      'jwt_malformed',
    ],
    [
      'both are required and pass',
      [
        { ...IDP, ...a, isRequired: true },
        { ...OTHER, ...b, isRequired: true },
      ],
      [
        ['a', good],
        ['b', other.token()],
      ],
      null,
    ],
    [
      'two rules look at one place',
      [
        { ...IDP, ...a },
        { ...OTHER, ...a },
      ],
      [['a', good]],
      null,
    ],
    [
      'it is another rule that looks there',
      [
        { ...OTHER, ...a },
        { ...IDP, ...b },
      ],
      [['a', good]],
      'jwt_issuer',
    ],
    [
      'two rules are for one issuer',
      [
        { ...IDP, ...a, audiences: ['x'] },
        { ...IDP, ...a },
      ],
      [['a', good]],
      null,
    ],
    [
      'neither of them takes it',
      [
        { ...IDP, ...a, audiences: ['x'] },
        { ...IDP, ...a, audiences: ['y'] },
      ],
      [['a', good]],
      'jwt_audience',
    ],
    [
      'a place holds two tokens',
      [{ ...IDP, ...a }],
      [
        ['a', good],
        ['a', idp.token({ sub: 'eve' })],
      ],
      null,
    ],
    [
      'a place holds two, and one is bad',
      [{ ...IDP, ...a }],
      [
        ['a', good],
        ['a', 'x'],
      ],
      'jwt_malformed',
    ],
    [
      'a place holds a bad one first',
      [{ ...IDP, ...a }],
      [
        ['a', 'x'],
        ['a', good],
      ],
      'jwt_malformed',
    ],
    ['a place is empty', [{ ...IDP, ...a }], [['a', '']], null],
    ['a place is empty and required', [{ ...IDP, ...a, isRequired: true }], [['a', '']], 'jwt_missing'],
    ['it is longer than 16 KiB', [{ ...IDP, ...a }], [['a', idp.token({ more: 'x'.repeat(16_384) })]], 'jwt_too_large'],
  ])('says so when %s', (_, rules, fields, want) => {
    const authenticator = users(...rules);
    const head = requestHead('GET', '/', fields);
    expect(authenticator.authenticate(head, NOW)).toBe(want);
    // What was found before makes no difference.
    expect(authenticator.authenticate(requestHead('GET', '/', fields), NOW)).toBe(want);
    expect(authenticator.tokens.length > 0).toBe(want === null && fields.some(([, text]) => text !== ''));
  });

  test('takes all that it finds out again, in every spelling', () => {
    const authenticator = users({ ...IDP, ...a, fromParams: ['t'], fromCookies: ['c'] });
    const cookies: [string, string] = ['cookie', `x=1; c=${good}; y=2`];
    const head = requestHead('GET', `/p?q=1&%74=${good}&t=${good}`, [
      ['A', good],
      cookies,
      ['cookie', `c="${good}"`],
      ['z', '1'],
    ]);
    expect(authenticator.authenticate(head, NOW)).toBeNull();
    expect(kept(head)).toEqual(['z']);
    expect(authenticator.query).toBe('?q=1');
    expect(authenticator.fields).toEqual([['cookie', 'x=1; y=2']]);
  });

  test.each([
    [
      'what it wrote is said by the caller',
      [
        ['x-user', 'root'],
        ['X-User', 'root'],
        ['x_user', 'root'],
      ],
      [],
    ],
    [
      'the token says it',
      [
        ['x-user', 'root'],
        ['authorization', `Bearer ${good}`],
      ],
      [['x-user', 'ann']],
    ],
    [
      'it is a preflight',
      [
        ['x-user', 'root'],
        ['origin', 'x'],
        ['access-control-request-method', 'GET'],
      ],
      [],
    ],
  ] as [string, [string, string][], [string, string][]][])('believes no caller when %s', (_, fields, written) => {
    const authenticator = users({ ...IDP, outputClaimToHeaders: [{ header: 'X-User', claim: 'sub' }] });
    const head = requestHead(fields.length === 3 ? 'OPTIONS' : 'GET', '/', fields);
    expect(authenticator.authenticate(head, NOW)).toBeNull();
    expect(kept(head).filter((name) => /user/iu.test(name))).toEqual([]);
    expect(authenticator.fields).toEqual(written);
  });

  test.each<readonly [string, unknown, string | null]>([
    ['a text', 'Zoë', Buffer.from('Zoë').toString('latin1')],
    ['a number', 1.5, '1.5'],
    ['a boolean', false, 'false'],
    ['a list', ['a', 1], Buffer.from('["a",1]').toString('base64')],
    ['an object', { a: 1 }, Buffer.from('{"a":1}').toString('base64')],
    ['null', null, null],
    ['nothing', undefined, null],
    ['an empty text', '', null],
    ['a line break', 'a\r\nx: 1', null],
    ['a NUL', 'a\0', null],
    ['a blank at its end', 'a ', null],
  ])('hands on %s', (_, claim, want) => {
    const authenticator = users({ ...IDP, outputClaimToHeaders: [{ header: 'x-out', claim: 'a.b' }] });
    for (const claims of [{ a: { b: claim } }, { 'a.b': claim }]) {
      const head = requestHead('GET', '/', [['authorization', `Bearer ${idp.token(claims)}`]]);
      expect(authenticator.authenticate(head, NOW)).toBeNull();
      expect(authenticator.fields).toEqual(want === null ? [] : [['x-out', want]]);
    }
  });

  test.each([
    [
      'a preflight',
      'OPTIONS',
      '/',
      [
        ['origin', 'x'],
        ['access-control-request-method', 'GET'],
        ['authorization', 'Bearer x'],
      ],
      null,
    ],
    [
      'OPTIONS without a method',
      'OPTIONS',
      '/',
      [
        ['origin', 'x'],
        ['authorization', 'Bearer x'],
      ],
      'jwt_malformed',
    ],
    [
      'OPTIONS with an empty one',
      'OPTIONS',
      '/',
      [
        ['origin', 'x'],
        ['access-control-request-method', ''],
        ['authorization', 'Bearer x'],
      ],
      'jwt_malformed',
    ],
    ['a parameter spelled otherwise', 'GET', '/?%61ccess_token=x', [], 'jwt_malformed'],
    ['a parameter with an escape in its value', 'GET', `/?access_token=${good.replaceAll('.', '%2e')}`, [], null],
    ['a parameter that is empty', 'GET', '/?access_token=&access_token', [], null],
    ['an escape that is none', 'GET', '/?access_token=%zz', [], 'jwt_malformed'],
  ] as [string, string, string, [string, string][], string | null][])('judges %s', (_, method, target, fields, want) => {
    expect(users(IDP).authenticate(requestHead(method, target, fields), NOW)).toBe(want);
  });

  test('looks at the usual places only where a rule names none', () => {
    const head = requestHead('GET', '/?access_token=x', [['authorization', 'Bearer x']]);
    expect(users({ ...IDP, ...a }).authenticate(head, NOW)).toBeNull();
    expect(kept(head)).toEqual(['authorization']);
  });

  test.each([
    [true, ['a', 'b']],
    [false, ['a']],
  ])('takes out what no rule has proved, unless all that look there forward (%s)', (forwardOriginalToken, want) => {
    const authenticator = users({ ...IDP, ...a, forwardOriginalToken: true }, { ...OTHER, ...b, forwardOriginalToken });
    const head = requestHead('GET', '/', [
      ['a', good],
      ['b', 'bad'],
    ]);
    expect(authenticator.authenticate(head, NOW)).toBeNull();
    expect(kept(head)).toEqual(want);
  });

  test('does not let an inherited member pass for a claim', () => {
    const claims = ['constructor', '__proto__', 'a.constructor', 'a.length'];
    const outputClaimToHeaders = claims.map((claim, index) => ({ header: `x-${index}`, claim }));
    const authenticator = users({ ...IDP, outputClaimToHeaders });
    const head = requestHead('GET', '/', [['authorization', `Bearer ${idp.token({ a: {}, b: [] })}`]]);
    expect(authenticator.authenticate(head, NOW)).toBeNull();
    expect(authenticator.fields).toEqual([]);
  });

  test('knows when the first of the tokens ends, also one that it has proved before', () => {
    const seconds = Math.floor(NOW / 1000);
    const authenticator = users({ ...IDP, ...a }, { ...OTHER, ...b });
    const fields: [string, string][] = [
      ['a', idp.token({ exp: seconds + 9 })],
      ['b', other.token({ exp: seconds + 5 })],
    ];
    expect(authenticator.authenticate(requestHead('GET', '/', fields), NOW)).toBeNull();
    expect(authenticator.validUntilMs).toBe((seconds + 5) * 1000);
    expect(authenticator.authenticate(requestHead('GET', '/', fields.slice(0, 1)), (seconds + 9) * 1000 - 1)).toBeNull();
    expect(authenticator.authenticate(requestHead('GET', '/', fields.slice(0, 1)), (seconds + 9) * 1000)).toBe('jwt_expired');
  });

  test('looks a token up that it has proved, at little cost', () => {
    const authenticator = users(IDP);
    const head = requestHead('GET', '/', [
      ['authorization', `Bearer ${good}`],
      ['user-agent', 'x'],
      ['accept', '*/*'],
    ]);
    const rounds = 200_000;
    let best = Infinity;
    for (let round = 0; round < 3; round++) {
      const start = process.cpuUsage();
      for (let index = 0; index < rounds; index++) {
        head.fields.dropped.fill(0);
        if (authenticator.authenticate(head, NOW) !== null) throw new Error('the token was refused');
      }
      const { system, user } = process.cpuUsage(start);
      best = Math.min(best, (system + user) / rounds);
    }
    process.stdout.write(`figure: a proved token is found, judged and taken out in ${best.toFixed(2)} us of CPU\n`);
    expect(best).toBeLessThan(20);
  });
});

describe('ProofCache', () => {
  const proof = { codes: [], tokens: [], fields: [], expiresMs: 0 };

  test('is bounded by entries, and lets go of what was not seen for longest', () => {
    const cache = new ProofCache();
    for (let index = 0; index < 4_096; index++) cache.add(`t${index}`, proof);
    cache.get('t0');
    cache.add('more', proof);
    expect(cache.size).toBe(4_096);
    expect(cache.get('t0')).toBe(proof);
    expect(cache.get('t1')).toBeUndefined();
  });

  test('is bounded by characters', () => {
    const cache = new ProofCache();
    for (let index = 0; index < 300; index++) cache.add(`${index}`.padEnd(16_384), proof);
    expect(cache.size).toBe(128);
  });
});
