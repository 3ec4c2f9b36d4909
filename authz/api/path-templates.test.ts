import { expect, test } from 'vitest';

import type { DescribedOperation } from './description.ts';
import { ApiFaults } from './faults.ts';
import { checkTogether, convertTemplate } from './path-templates.ts';

test.each([
  ['/', '/'],
  ['/orders', '/orders'],
  ['/orders/', '/orders/'],
  ['/orders/{id}', '/orders/{*}'],
  ['/orders/{id}/', '/orders/{*}/'],
  ['/{a}/{b}', '/{*}/{*}'],
  ['/v1/orders:cancel', '/v1/orders:cancel'],
  ['/a%20b', '/a%20b'],
])('convertTemplate() reads %s', (template, path) => {
  expect(convertTemplate(template)).toEqual({ path });
});

test.each([
  ['', 'api_path_malformed'],
  ['orders', 'api_path_malformed'],
  ['/a//b', 'api_path_malformed'],
  ['/a/./b', 'api_path_malformed'],
  ['/a/../b', 'api_path_malformed'],
  ['/a?b', 'api_path_malformed'],
  ['/a#b', 'api_path_malformed'],
  ['/a b', 'api_path_malformed'],
  ['/é', 'api_path_malformed'],
  ['/a%2f', 'api_path_malformed'],
  ['/a%', 'api_path_malformed'],
  ['/a/*', 'api_path_malformed'],
  ['/a\\b', 'api_path_malformed'],
  ['/files/{name}.json', 'api_path_partial'],
  ['/{a}{b}', 'api_path_partial'],
  ['/{}', 'api_path_partial'],
  ['/{a', 'api_path_partial'],
  ['/a}', 'api_path_partial'],
])('convertTemplate() refuses %s', (template, code) => {
  expect(convertTemplate(template)).toMatchObject({ code });
});

test.each([
  { why: 'of different length', paths: ['GET /a/{*}', 'GET /a/{*}/b'], want: [] },
  { why: 'that no path fits both', paths: ['GET /a/{*}/c', 'GET /b/{*}/c'], want: [] },
  { why: 'one of which is more specific', paths: ['GET /users/{*}', 'GET /users/me'], want: [] },
  { why: 'of other methods', paths: ['GET /{*}/me', 'POST /users/{*}'], want: [] },
  { why: 'that differ by a last slash', paths: ['GET /a/{*}', 'GET /a/'], want: [] },
  { why: 'whose crossing is an operation', paths: ['GET /{*}/me', 'GET /users/{*}', 'GET /users/me'], want: [] },
  { why: 'that are the same', paths: ['GET /a/{*}', 'GET /a/{*}'], want: ['api_path_ambiguous'] },
  { why: 'that cross', paths: ['GET /{*}/me', 'GET /users/{*}'], want: ['api_path_ambiguous'] },
  {
    why: 'whose crossing is an operation of another method',
    paths: ['GET /{*}/me', 'GET /users/{*}', 'PUT /users/me'],
    want: ['api_path_ambiguous'],
  },
  { why: 'that read a path otherwise', paths: ['GET /f/{*}', 'PUT /f/{*} keeps'], want: ['api_path_meaning_conflict'] },
  { why: 'that read other paths otherwise', paths: ['GET /f/{*}', 'GET /g/{*} keeps'], want: [] },
])('checkTogether() judges operations $why', ({ paths, want }) => {
  const faults = new ApiFaults('api.yaml');
  checkTogether(paths.map(operationOf), faults);
  expect(faults.list.map(({ code }) => code)).toEqual(want);
});

test('checkTogether() names both operations and a request that fits them', () => {
  const faults = new ApiFaults('api.yaml');
  checkTogether(['GET /{*}/me', 'GET /users/{*}'].map(operationOf), faults);
  expect(faults.list[0]?.message).toBe('Cannot import "op0" and "op1": GET /users/me fits both "/{*}/me" and "/users/{*}"');
});

function operationOf(text: string, index: number): DescribedOperation {
  const [method = '', path = '', keeps] = text.split(' ');
  const rest = { tags: [], where: '', template: path, security: [], parameters: [] };
  return { id: `op${index}`, method, path, ...rest, keepsEncodedSlashes: keeps !== undefined };
}
