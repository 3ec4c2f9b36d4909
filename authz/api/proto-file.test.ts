import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, test } from 'vitest';

import { readProtoFile } from './proto-file.ts';

const place = mkdtempSync(join(tmpdir(), 'proto-'));
const folder = join(place, 'api');
mkdirSync(join(folder, 'sub'), { recursive: true });
mkdirSync(join(place, 'more'));
writeFileSync(join(place, 'outside.proto'), 'syntax = "proto3";');
writeFileSync(join(place, 'more', 'far.proto'), 'syntax = "proto3"; import "gone.proto";');
writeFileSync(
  join(folder, 'sub', 'ring.proto'),
  'syntax = "proto3"; import "sub/ring.proto"; service Other { rpc Do(A) returns (A); }',
);
writeFileSync(join(folder, 'sub', 'broken.proto'), 'syntax = "proto3"; message {');
afterAll(() => rmSync(place, { recursive: true, force: true }));

test.each([
  ['that is not there', null, 'api_unreadable'],
  ['that is no .proto', 'message {', 'api_unreadable'],
  ['whose import is not there', 'import "gone.proto";', 'api_import_missing'],
  ['whose import is absolute', `import "${join(place, 'outside.proto')}";`, 'api_import_missing'],
  ['whose import leads outside', 'import "../outside.proto";', 'api_reference_outside'],
  ['whose import is broken', 'import "sub/broken.proto";', 'api_unreadable'],
  ['whose import imports what is not there', 'import "far.proto";', 'api_import_missing'],
])('readProtoFile() refuses a file %s', (_, text, code) => {
  const { description, faults } = read(text);
  expect({ description, codes: faults.map((fault) => fault.code) }).toEqual({ description: null, codes: [code] });
});

test('readProtoFile() lists the methods of its own services, nested packages and streams included', () => {
  const { description, faults } = read(`import "sub/ring.proto"; import "google/protobuf/empty.proto"; package a.b;
    service One { rpc Do(stream A) returns (stream A) { option deprecated = true; } rpc undo(A) returns (google.protobuf.Empty); }
    message A {} service Two { rpc Do(A) returns (A); }`);
  expect(faults).toEqual([]);
  expect(description?.operations.map(({ id, method, path, tags }) => [id, method, path, tags])).toEqual([
    ['a.b.One/Do', 'POST', '/a.b.One/Do', ['a.b.One']],
    ['a.b.One/undo', 'POST', '/a.b.One/undo', ['a.b.One']],
    ['a.b.Two/Do', 'POST', '/a.b.Two/Do', ['a.b.Two']],
  ]);
});

test('readProtoFile() remarks that a file has no service', () => {
  expect(read('message A {}').faults.map(({ code }) => code)).toEqual(['api_empty']);
});

function read(text: string | null) {
  const file = join(folder, text === null ? 'none.proto' : 'api.proto');
  if (text !== null) writeFileSync(file, `syntax = "proto3"; ${text}`);
  return readProtoFile(file, [join(place, 'more')]);
}
