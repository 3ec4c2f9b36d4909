import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';

import { readDescribedPolicies } from './described-apis.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-described-'));
beforeEach(() => {
  rmSync(folder, { recursive: true });
  mkdirSync(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

test('an API takes its operations from the OpenAPI file that it names, which is no policy', async () => {
  write('api.yaml', api('openapi: { file: openapi/orders.yaml }, validate: [path]'));
  write('openapi/orders.yaml', openapi({ '/orders/{id}': { get: { operationId: 'get', parameters: [ID] } } }));
  const { descriptionFolders, documents, faults, set } = await readDescribedPolicies([folder]);
  expect({ faults, documents: documents.length }).toEqual({ faults: [], documents: 1 });
  expect(descriptionFolders).toEqual([join(folder, 'openapi')]);
  const check = { in: 'path', name: 'id', wildcard: 1, isRequired: false, facets: [{ kind: 'type', type: 'integer' }] };
  expect(set.apis[0]?.operations).toEqual([{ id: 'get', method: 'GET', path: '/orders/{*}', tags: [], checks: [check] }]);
});

test('an API takes the methods of the .proto file that it names, beside operations of its own', async () => {
  write('api.yaml', api('grpc: { file: s.proto }, operations: [{ id: own, method: GET, path: /own }]'));
  write('s.proto', 'syntax = "proto3"; package p; service S { rpc Get (M) returns (M); } message M {}');
  const { faults, set } = await readDescribedPolicies([folder]);
  expect(faults).toEqual([]);
  expect(set.apis[0]?.operations.map(({ path }) => path)).toEqual(['/own', '/p.S/Get']);
});

test.each([
  ['is missing', 'openapi: { file: missing.yaml }', 'PN0320', 'spec.openapi.file'],
  ['leads out of the folder', 'openapi: { file: ../other.yaml }', 'PN0320', 'spec.openapi.file'],
  ['is absolute', 'grpc: { file: /etc/passwd }', 'PN0320', 'spec.grpc.file'],
  ['is no OpenAPI document', 'openapi: { file: api.yaml }', 'PN0320', 'spec.openapi.file'],
  [
    'has an operation that the document has, too',
    'openapi: { file: openapi.yaml }, operations: [{ id: get, method: GET, path: /own }]',
    'PN0320',
    'spec',
  ],
  ['keeps encoded slashes, which no path policy keeps', 'openapi: { file: openapi.yaml }', 'PN0205', 'spec.pathPolicy'],
])('a description that %s is a fault of the document', async (_, spec, code, path) => {
  write('api.yaml', api(spec));
  write(
    'openapi.yaml',
    openapi({ '/a/{id}': { get: { operationId: 'get', 'x-postern-path': 'keep-encoded-slashes', parameters: [ID] } } }),
  );
  const { faults, set } = await readDescribedPolicies([folder]);
  expect(faults.map((fault) => [fault.code, fault.path, fault.line])).toContainEqual([code, path, 1]);
  expect(set.apis).toEqual([]);
});

test.each([
  ['a description in JSON', 'a.json', JSON.stringify({ swagger: '2.0', info: {}, paths: {} }), 0],
  ['a description after a comment', 'a.yaml', '# ours\n---\nopenapi: 3.0.0\npaths: {}\n', 0],
  ['a description with a kind within', 'a.yaml', 'openapi: 3.0.0\nx:\n  kind: AuthorizationPolicy\n', 0],
  ['a policy that calls itself a description', 'a.yaml', 'openapi: 3.0.0\nkind: AuthorizationPolicy\napiVersion: v1\n', 1],
  ['a policy behind a description', 'a.yaml', 'openapi: 3.0.0\n---\n  kind: AuthorizationPolicy\n', 2],
  ['a mapping without either', 'a.yaml', 'paths: {}\n', 1],
])('of %s beside policies', async (_, name, text, faulty) => {
  write(name, text);
  expect((await readDescribedPolicies([folder])).faults.length > 0).toBe(faulty > 0);
});

function write(name: string, text: string): void {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), text);
}

function api(spec: string): string {
  const head = 'apiVersion: security.postern.mesh/v1alpha1, kind: APIDefinition, metadata: { name: orders, namespace: shop }';
  return `{ ${head}, spec: { selector: { matchLabels: { app: orders } }, ${spec} } }\n`;
}

function openapi(paths: object): string {
  return JSON.stringify({ openapi: '3.0.3', info: { title: 'a', version: '1' }, paths: withResponses(paths) });
}

/** Every operation has some, or the document is none. */
function withResponses(paths: object): object {
  const text = JSON.stringify(paths, (key, value: unknown) =>
    /^(?:get|put)$/.test(key) && typeof value === 'object' ? { ...value, responses: { 200: { description: 'ok' } } } : value,
  );
  const parsed: unknown = JSON.parse(text);
  return typeof parsed === 'object' && parsed !== null ? parsed : {};
}

const ID = { in: 'path', name: 'id', required: true, schema: { type: 'integer' } };
