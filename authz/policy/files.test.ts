import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { readPolicyFiles } from './files.ts';
import { EMPTY_SET } from './policy-set.ts';
import { readPolicies } from './read.ts';

const document = (name: string, namespace = 'shop'): string =>
  `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: ${name}, namespace: ${namespace} }\n`;

describe('readPolicyFiles()', () => {
  let folder = '';

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-policies-'));
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  test('reads folders with their sub-folders, in order, and passes over other files and dot names', () => {
    mkdirSync(join(folder, 'sub'));
    mkdirSync(join(folder, '..data'));
    writeFileSync(join(folder, 'b.yaml'), document('b'));
    writeFileSync(join(folder, 'sub/a.yml'), document('a'));
    writeFileSync(
      join(folder, 'c.json'),
      '{"apiVersion":"security.istio.io/v1","kind":"AuthorizationPolicy","metadata":{"name":"c"}}',
    );
    writeFileSync(join(folder, 'notes.txt'), 'no policy');
    writeFileSync(join(folder, '..data/x.yaml'), document('x'));
    const { policies, faults } = readPolicyFiles([folder]);
    expect(faults).toEqual([]);
    expect(policies.map(({ name }) => name)).toEqual(['b', 'c', 'a']);
  });

  test('refuses a name that two files share', () => {
    writeFileSync(join(folder, 'a.yaml'), document('x'));
    writeFileSync(join(folder, 'b.yaml'), document('x'));
    writeFileSync(join(folder, 'c.yaml'), document('x', 'other'));
    const { policies, faults } = readPolicyFiles([folder]);
    expect(faults).toMatchObject([{ code: 'PN0114', file: join(folder, 'b.yaml'), line: 1 }]);
    expect(policies).toHaveLength(2);
  });

  test('reports what cannot be read', () => {
    expect(readPolicyFiles([join(folder, 'none.yaml')]).faults).toMatchObject([{ code: 'PN0107', line: 0 }]);
  });
});

describe('readPolicies()', () => {
  test('places faults by line and column', () => {
    const text = `${document('a')}spec:\n  rules:\n  - to:\n    - operation:\n        ports: ["80", "x"]\n`;
    expect(readPolicies(text, 'f.yaml').faults).toEqual([
      {
        file: 'f.yaml',
        line: 8,
        column: 23,
        code: 'PN0303',
        path: 'spec.rules[0].to[0].operation.ports[1]',
        message: 'Cannot read "x": found no port',
        fix: 'Write a number from 1 to 65535, quoted',
      },
    ]);
  });

  test.each([
    ['ruels', 'spec', 'Did you mean rules'],
    ['ipBlock', 'spec.rules[0].from[0].source', 'Did you mean ipBlocks'],
  ])('suggests a name for %s', (field, path, fix) => {
    const spec = path === 'spec' ? `{ ${field}: [] }` : `{ rules: [{ from: [{ source: { ${field}: ["1.1.1.1"] } }] }] }`;
    expect(readPolicies(`${document('a')}spec: ${spec}`, 'f').faults).toMatchObject([{ code: 'PN0201', fix }]);
  });

  test('ignores other kinds on demand, never kinds of policy', () => {
    const text = `apiVersion: v1\nkind: Service\nmetadata: { name: s }\n---\n${document('a')}---\napiVersion: security.istio.io/v1\nkind: PeerAuthorisation\n`;
    const { documents, faults, policies } = readPolicies(text, 'f', { ignoreKinds: true });
    expect(documents.map(({ isIgnored }) => isIgnored)).toEqual([true, false, false]);
    expect(faults).toMatchObject([{ code: 'PN0113', fix: 'Did you mean PeerAuthentication' }]);
    expect(policies).toHaveLength(1);
  });

  test('takes an empty file for no document', () => {
    expect(readPolicies('\n# nothing\n---\n', 'f')).toEqual({ set: EMPTY_SET, policies: [], documents: [], faults: [] });
  });
});
