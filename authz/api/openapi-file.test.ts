import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { dereference } from '@readme/openapi-parser';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

import { readOpenApiFile } from './openapi-file.ts';

const place = mkdtempSync(join(tmpdir(), 'openapi-'));
const folder = join(place, 'api');
// The parser never asks loopback; whether it would ask another host is seen where it would connect.
const connected = vi.spyOn(Socket.prototype, 'connect').mockImplementation(() => {
  throw new Error('nothing may be fetched');
});

beforeAll(() => {
  mkdirSync(folder);
  writeFileSync(join(place, 'outside.yaml'), 'type: string\n');
  symlinkSync(join(place, 'outside.yaml'), join(folder, 'link.yaml'));
});
beforeEach(() => void connected.mockClear());
afterAll(() => rmSync(place, { recursive: true, force: true }));

describe('readOpenApiFile() refuses a reference', () => {
  test.each([
    ['to another host', 'http://203.0.113.9/a.yaml#/a', 'api_reference_remote'],
    ['to another host without a scheme', '//203.0.113.9/a.yaml', 'api_reference_remote'],
    ['to another host by backslashes', '\\\\\\\\203.0.113.9/a.yaml', 'api_reference_remote'],
    ['by the URL of a file', 'file:///etc/hostname', 'api_reference_remote'],
    ['to a file outside', '../outside.yaml', 'api_reference_outside'],
    ['to an absolute path', '/etc/hostname', 'api_reference_outside'],
    ['by a link that leads outside', 'link.yaml', 'api_reference_outside'],
    ['with an escape', '%2e%2e/outside.yaml', 'api_import_missing'],
    ['to a file that is not there', 'gone.yaml', 'api_import_missing'],
  ])('%s', async (_, reference, code) => {
    const file = write('api.yaml', documentWith(reference));
    const { description, faults } = await readOpenApiFile(file);
    expect({ description, codes: faults.map((fault) => fault.code) }).toEqual({ description: null, codes: [code] });
    expect(connected).not.toHaveBeenCalled();
  });

  test('to another host from a file that it refers to', async () => {
    write('inner.yaml', `type: object\nproperties: { a: { $ref: "http://203.0.113.9/a.yaml" } }\n`);
    const { faults } = await readOpenApiFile(write('api.yaml', documentWith('inner.yaml')));
    expect(faults.map(({ code }) => code)).toEqual(['api_reference_remote']);
    expect(connected).not.toHaveBeenCalled();
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

test.each([
  ['$id', '$id: "https://api.example/x/"'],
  ['the id of an old draft', '$schema: "http://json-schema.org/draft-04/schema#", id: "https://api.example/x/"'],
])('readOpenApiFile() refuses %s beside references to files, which it would lead elsewhere', async (_, members) => {
  write('inner.yaml', 'type: string\n');
  const moved = `{ ${members}, type: object, properties: { b: { $ref: "inner.yaml" } } }`;
  const text = documentWith('#/components/schemas/A').replace('{ type: string }', moved);
  const { description, faults } = await readOpenApiFile(write('api.yaml', text));
  expect({ description, codes: faults.map(({ code }) => code) }).toEqual({ description: null, codes: ['api_reference_remote'] });
  expect(connected).not.toHaveBeenCalled();
});

test('readOpenApiFile() fetches nothing where $id makes references of one file lead to a host', async () => {
  const moved = '{ $id: "https://203.0.113.9/x/", type: object, properties: { b: { $ref: "#/$defs/gone" } } }';
  const text = documentWith('#/components/schemas/A').replace('{ type: string }', moved);
  await readOpenApiFile(write('api.yaml', text));
  expect(connected).not.toHaveBeenCalled();
});

test('readOpenApiFile() takes $id in a description of one file', async () => {
  const text = documentWith('#/components/schemas/A').replace(
    '{ type: string }',
    '{ $id: "https://api.example/x/", type: string }',
  );
  const { description, faults } = await readOpenApiFile(write('api.yaml', text));
  expect({ operations: description?.operations.length, faults }).toEqual({ operations: 1, faults: [] });
});

test('the parser by itself would connect', async () => {
  await dereference(write('api.yaml', documentWith('http://203.0.113.9/a.yaml'))).catch(() => {});
  expect(connected).toHaveBeenCalled();
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
