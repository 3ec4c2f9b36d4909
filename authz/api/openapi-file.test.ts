import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { readOpenApiFile } from './openapi-file.ts';

const place = mkdtempSync(join(tmpdir(), 'openapi-'));
const folder = join(place, 'api');
let fetched = 0;
const server = createServer((_, response) => {
  fetched++;
  response.end('{}');
});
let port = 0;

beforeAll(async () => {
  mkdirSync(folder);
  writeFileSync(join(place, 'outside.yaml'), 'type: string\n');
  symlinkSync(join(place, 'outside.yaml'), join(folder, 'link.yaml'));
  await new Promise<void>((settle) => server.listen(0, '127.0.0.1', settle));
  const address = server.address();
  port = typeof address === 'object' && address !== null ? address.port : 0;
});
afterAll(() => {
  server.close();
  rmSync(place, { recursive: true, force: true });
});

describe('readOpenApiFile() refuses a reference', () => {
  test.each([
    ['to another host', 'http://127.0.0.1:PORT/a.yaml#/a', 'api_reference_remote'],
    ['to another host without a scheme', '//127.0.0.1:PORT/a.yaml', 'api_reference_remote'],
    ['to another host by backslashes', '\\\\\\\\127.0.0.1:PORT/a.yaml', 'api_reference_remote'],
    ['by the URL of a file', 'file:///etc/hostname', 'api_reference_remote'],
    ['to a file outside', '../outside.yaml', 'api_reference_outside'],
    ['to an absolute path', '/etc/hostname', 'api_reference_outside'],
    ['by a link that leads outside', 'link.yaml', 'api_reference_outside'],
    ['with an escape', '%2e%2e/outside.yaml', 'api_import_missing'],
    ['to a file that is not there', 'gone.yaml', 'api_import_missing'],
  ])('%s', async (_, reference, code) => {
    const file = write('api.yaml', documentWith(reference.replace('PORT', String(port))));
    const { description, faults } = await readOpenApiFile(file);
    expect({ description, codes: faults.map((fault) => fault.code) }).toEqual({ description: null, codes: [code] });
    expect(fetched).toBe(0);
  });

  test('to another host from a file that it refers to', async () => {
    write('inner.yaml', `type: object\nproperties: { a: { $ref: "http://127.0.0.1:${port}/a.yaml" } }\n`);
    const { faults } = await readOpenApiFile(write('api.yaml', documentWith('inner.yaml')));
    expect(faults.map(({ code }) => code)).toEqual(['api_reference_remote']);
    expect(fetched).toBe(0);
  });
});

test.each([
  ['that is not there', null, 'api_unreadable'],
  ['that is no YAML', 'a: [', 'api_unreadable'],
  ['that is empty', '', 'api_unreadable'],
  ['that is something else', 'kind: Pod\n', 'api_version'],
  ['that lacks what its specification asks for', 'openapi: 3.1.0\npaths: {}\n', 'api_invalid'],
  ['that leads nowhere within itself', documentWith('#/components/schemas/Gone'), 'api_invalid'],
  ['of another version', 'openapi: 3.2.0\ninfo: { title: A, version: "1" }\npaths: {}\n', 'api_version'],
])('readOpenApiFile() refuses a file %s', async (_, text, code) => {
  const file = text === null ? join(folder, 'none.yaml') : write('api.yaml', text);
  const { description, faults } = await readOpenApiFile(file);
  expect({ description, codes: [...new Set(faults.map((fault) => fault.code))] }).toEqual({ description: null, codes: [code] });
});

test('readOpenApiFile() follows references to files beside it, and schemas that hold themselves', async () => {
  write('inner.yaml', 'type: object\nproperties: { self: { $ref: "inner.yaml" } }\n');
  const { description, faults } = await readOpenApiFile(write('api.yaml', documentWith('inner.yaml')));
  expect(faults).toEqual([]);
  expect(description?.operations.map(({ id }) => id)).toEqual(['getA']);
});

test('readOpenApiFile() refuses a tree of aliases before anything walks it', async () => {
  const levels = Array.from({ length: 40 }, (_, level) => `  l${level + 1}: &l${level + 1} [*l${level}, *l${level}]`);
  const file = write('api.yaml', `${documentWith('#/components/schemas/A')}\nx-bomb:\n  l0: &l0 [a]\n${levels.join('\n')}\n`);
  expect((await readOpenApiFile(file)).faults.map(({ message }) => message)).toEqual([
    'Cannot read the description: it has aliases of YAML',
  ]);
});

function documentWith(reference: string): string {
  return `openapi: 3.1.0
info: { title: A, version: "1" }
paths:
  /a:
    get:
      operationId: getA
      responses: { "200": { description: It, content: { application/json: { schema: { $ref: "${reference}" } } } } }
components: { schemas: { A: { type: string } } }`;
}

function write(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}
