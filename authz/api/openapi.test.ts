import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { readOpenApi } from './openapi.ts';

const answers = { responses: { 200: { description: 'It' } } };
const get = (operationId?: string, more: object = {}): object => ({
  ...(operationId === undefined ? {} : { operationId }),
  ...answers,
  ...more,
});
const v3 = (paths: object, more: object = {}): object => ({
  openapi: '3.1.0',
  info: { title: 'A', version: '1' },
  paths,
  ...more,
});
const read = (document: unknown) => readOpenApi(document, 'api.yaml');
const codes = (document: unknown): readonly string[] => read(document).faults.map(({ code }) => code);

describe('readOpenApi() refuses', () => {
  test.each([
    ['nothing', null, 'api_version'],
    ['OpenAPI 3.2', { openapi: '3.2.0' }, 'api_version'],
    ['Swagger 1.2', { swagger: '1.2' }, 'api_version'],
    ['an id that stands twice', v3({ '/a': { get: get('x') }, '/b': { get: get('x') } }), 'api_operation_id'],
    ['an id that looks like a tag', v3({ '/a': { get: get('tag:x') } }), 'api_operation_id'],
    ['the same path by two names', v3({ '/a/{x}': { get: get('x') }, '/a/{y}': { get: get('y') } }), 'api_path_ambiguous'],
    ['paths that cross', v3({ '/a/{x}': { get: get('x') }, '/{y}/b': { get: get('y') } }), 'api_path_ambiguous'],
    ['a parameter within a segment', v3({ '/a/{x}.json': { get: get('x') } }), 'api_path_partial'],
    ['an unknown meaning of a path', v3({ '/a': { get: get('x', { 'x-postern-path': 'raw' }) } }), 'api_path_meaning'],
    ['a server without a path', v3({ '/a': { get: get('x') } }, { servers: [{ url: 'api/v1' }] }), 'api_server_malformed'],
    [
      'a server variable that opens the path',
      v3({ '/a': { get: get('x') } }, { servers: [{ url: '/{v}', variables: { v: { default: 'a?b' } } }] }),
      'api_server_malformed',
    ],
    [
      'a meaning that two methods of one path do not share',
      v3({ '/f/{n}': { get: get('x', { 'x-postern-path': 'keep-encoded-slashes' }), put: get('y') } }),
      'api_path_meaning_conflict',
    ],
  ])('%s', (_, document, code) => {
    expect(read(document).description).toBeNull();
    expect(codes(document)).toContain(code);
  });
});

test.each([
  {
    why: 'a base path of 2.0',
    document: { swagger: '2.0', basePath: '/v1/', paths: { '/a': { get: get('x') } } },
    want: ['x /v1/a'],
  },
  { why: 'no server', document: v3({ '/a': { get: get('x') } }), want: ['x /a'] },
  { why: 'a host alone', document: v3({ '/a': { get: get('x') } }, { servers: [{ url: 'https://a.example' }] }), want: ['x /a'] },
  {
    why: 'servers of one path',
    document: v3({ '/a': { get: get('x') } }, { servers: [{ url: 'https://a.example/v1' }, { url: '//b.example/v1/' }] }),
    want: ['x /v1/a'],
  },
  {
    why: 'servers of two paths',
    document: v3({ '/a': { get: get('x') } }, { servers: [{ url: '/v1' }, { url: '/v2' }] }),
    want: ['x /v1/a', 'x@/v2 /v2/a'],
  },
  {
    why: 'a server of its own',
    document: v3({ '/a': { get: get('x', { servers: [{ url: '/own' }] }), put: get('y') } }, { servers: [{ url: '/all' }] }),
    want: ['y /all/a', 'x /own/a'],
  },
  {
    why: 'the variables of a server',
    document: v3(
      { '/a': { get: get('x') } },
      { servers: [{ url: '/{v}', variables: { v: { default: 'v1', enum: ['v1', 'v2'] } } }] },
    ),
    want: ['x /v1/a', 'x@/v2 /v2/a'],
  },
])('readOpenApi() puts paths below $why', ({ document, want }) => {
  const operations = read(document).description?.operations ?? [];
  expect(operations.map(({ id, path }) => `${id} ${path}`).toSorted()).toEqual(want.toSorted());
});

test('readOpenApi() tells security, its absence, and parameters of operation and path', () => {
  const parameter = (name: string, place: string, schema: object): object => ({ name, in: place, required: true, schema });
  const document = v3(
    {
      '/a/{id}': {
        parameters: [parameter('id', 'path', { type: 'string' }), parameter('x-trace', 'header', {})],
        get: get('x', { parameters: [parameter('id', 'path', { type: 'integer', enum: [1, 2] })] }),
        put: get('y', { security: [] }),
        post: get('z', { security: [{}, { key: [] }] }),
      },
    },
    { security: [{ users: ['a'], key: [] }], components: { securitySchemes: { users: {}, key: {} } } },
  );
  const { description, faults } = read(document);
  expect(faults.map(({ code, where }) => `${code} ${where}`)).toEqual([
    'api_operation_open paths./a/{id}.put',
    'api_operation_open paths./a/{id}.post',
  ]);
  const found = Object.fromEntries((description?.operations ?? []).map((operation) => [operation.id, operation]));
  expect(found['x']?.security).toEqual([{ users: ['a'], key: [] }]);
  expect(found['z']?.security).toEqual([]);
  expect(found['x']?.parameters).toMatchObject([{ name: 'id', in: 'path', type: 'integer', values: ['1', '2'] }]);
  expect(found['y']?.parameters).toMatchObject([{ name: 'id', in: 'path', type: 'string', values: null }]);
});

test('readOpenApi() names an operation without an id, and takes the meaning of a path from the nearest that says it', () => {
  const document = v3(
    { '/a/{n}': { get: get() }, '/b/{n}': { 'x-postern-path': 'canonical', get: get('b') } },
    { 'x-postern-path': 'keep-encoded-slashes', webhooks: { it: { post: get('hook') } } },
  );
  const { description, faults } = read(document);
  expect(faults.map(({ code }) => code)).toEqual(['api_operation_unnamed']);
  expect(description?.operations.map(({ id, keepsEncodedSlashes }) => [id, keepsEncodedSlashes])).toEqual([
    ['GET /a/{n}', true],
    ['b', false],
  ]);
});

test('readOpenApi() reads anything without a throw, and gives no operation that lacks a canonical path', () => {
  const words = fc.constantFrom(
    'paths',
    'servers',
    'url',
    'variables',
    'get',
    'operationId',
    'parameters',
    'tags',
    'security',
    '/a',
    '/{b}',
    '/a/{b}',
  );
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 3, depthSize: 'small' },
      words,
      fc.jsonValue({ maxDepth: 1 }),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(words, tie('tree'), { maxKeys: 4 }),
    ),
  }));
  const operation = fc.dictionary(words, tree, { maxKeys: 5 });
  const paths = fc.dictionary(fc.oneof(words, fc.string()), fc.oneof(tree, fc.record({ get: operation, post: operation })));
  fc.assert(
    fc.property(fc.constantFrom('3.0.0', '3.1.0', null), paths, tree, (openapi, found, servers) => {
      const version = openapi === null ? { swagger: '2.0', basePath: servers } : { openapi, servers };
      for (const { path } of read({ ...version, paths: found }).description?.operations ?? []) expect(path).toMatch(/^\//);
    }),
    { numRuns: 500 },
  );
});
