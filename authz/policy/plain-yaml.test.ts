import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { readPlainYaml } from './plain-yaml.ts';
import { parseYamlFile } from './yaml-documents.ts';
import type { YamlNode } from './yaml-node.ts';

const ROOT = join(import.meta.dirname, '../..');

test.each<[string, string]>([
  ['maps and lists by indentation', 'a: 1\nb:\n  - x\n  - y: z\n    w: "q"\nc:\n- 1\n- two words # and a comment\n'],
  ['maps and lists in brackets', 'a: [x, \'y\', "z", {b: c, "d":e}]\nb: { c: [ ], d: {} }'],
  ['several documents', '# first\n---\na: 1\n--- \n\n  # second\nb: x:y\n'],
  [
    'scalars of the core schema',
    'a: [true, Null, ~, 0, 17, no, 10.0.0.0/8, 1.2.3:4, .hidden/x, yes]\nb: False\nc: "true"\nd: \'~\'',
  ],
  ['an end without a line break', '- a\n- b'],
  ['texts with indicators inside', 'a: x-y?z!a&b*c|d>e\'f"g%h@i`j[k]l{m},n\nb: http://a/b#c\nc: \\d+'],
])('readPlainYaml() reads %s as the whole language has them', (_, text) => {
  const plain = readPlainYaml(text, 'f');
  expect(plain).not.toBeNull();
  expect(plain).toEqual(whole(text));
});

test.each<[string, string]>([
  ['nothing', ''],
  ['a comment alone', '# a'],
  ['a scalar', 'a'],
  ['an empty value', 'a:\nb: 1'],
  ['an empty document', 'a: 1\n---\n'],
  ['an end of a document', 'a: 1\n...\n'],
  ['a directive', '%YAML 1.2\n---\na: 1'],
  ['content behind a border', '--- {a: 1}'],
  ['an anchor', 'a: &x 1'],
  ['an alias', 'a: *x'],
  ['a tag', 'a: !!str 1'],
  ['a literal text', 'a: |\n  x\n'],
  ['a folded text', 'a: >-\n  x\n'],
  ['a text of two lines', 'a: x\n  y'],
  ['brackets over two lines', 'a: [x,\n  y]'],
  ['a quoted text over two lines', 'a: "x\n  y"'],
  ['an escape', 'a: "\\x41"'],
  ['a quote in a quoted text', "a: 'x''y'"],
  ['a tabulator', 'a:\t1'],
  ['a carriage return', 'a: 1\r\n'],
  ['what is not ASCII', 'a: \u00e9'],
  ['a key twice', 'a: 1\na: 2'],
  ['a key twice in brackets', 'a: {b: 1, b: 2}'],
  ['a key that no document may hold', 'constructor: 1'],
  ['the same in brackets', 'a: {"__proto__": 1}'],
  ['a key that is no text', 'true: 1'],
  ['a key that is a number', '1: a'],
  ['an explicit key', '? a\n: b'],
  ['a map as a list item in brackets', 'a: [b: c]'],
  ['an empty item', 'a: [b, , c]'],
  ['a comma at the end', 'a: [b, ]'],
  ['a key without a value in brackets', 'a: {b}'],
  ['a fraction', 'a: 1.5'],
  ['a negative number', 'a: -1'],
  ['a hexadecimal number', 'a: 0x1f'],
  ['no number', 'a: .nan'],
  ['a number that rounds', 'a: 12345678901234567890'],
  ['a colon in a text', 'a: b: c'],
  ['a colon at the end of a text', 'a: b:'],
  ['a comment at a quote', 'a: "b"#c'],
  ['text behind brackets', 'a: [b] c'],
  ['a deeper line', 'a: 1\n  b: 2'],
  ['a line between two columns', 'a:\n    b: 1\n  c: 2'],
  ['a map behind a list', '- a\nb: 1'],
  ['a list behind a map', 'a: 1\n- b'],
  ['a list in a list', '- - a'],
  ['a list item on the next line', '-\n  a: 1'],
  ['deep nesting', `a: ${'['.repeat(40)}${']'.repeat(40)}`],
])('readPlainYaml() leaves %s to the reader of the whole language', (_, text) => {
  expect(readPlainYaml(text, 'f')).toBeNull();
});

describe('readPlainYaml() and the whole language say the same', () => {
  const files = ['examples', 'test/conformance', 'docs', 'authz', 'proto', '.ci']
    .flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(ROOT, folder, name)),
    )
    .filter((name) => /\.ya?ml$/.test(name))
    .map((name) => readFileSync(name, 'utf8'))
    .filter((text) => text.length < 20_000);

  test('of the YAML in this repository', () => {
    let count = 0;
    for (const text of files) count += agreed(text) ? 1 : 0;
    expect(count).toBeGreaterThan(files.length / 4);
  });

  test('of such texts with characters changed', { timeout: 300_000 }, () => {
    const short = files.filter((text) => text.length < 2_000);
    const change = fc.tuple(fc.nat(), fc.nat(2), fc.constantFrom(...PIECES));
    let count = 0;
    fc.assert(
      fc.property(fc.constantFrom(...SEEDS, ...short), fc.array(change, { minLength: 1, maxLength: 3 }), (text, changes) => {
        let changed = text;
        for (const [seed, taken, piece] of changes) {
          const at = seed % (changed.length + 1);
          changed = changed.slice(0, at) + piece + changed.slice(at + taken);
        }
        count += agreed(changed) ? 1 : 0;
      }),
      { numRuns: RUNS },
    );
    expect(count).toBeGreaterThan(RUNS / 20);
  });

  test('of texts made of pieces', { timeout: 300_000 }, () => {
    let count = 0;
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 14 }), (pieces) => {
        count += agreed(pieces.join('')) ? 1 : 0;
      }),
      { numRuns: 2 * RUNS },
    );
    expect(count).toBeGreaterThan(0);
  });
});

/** Whether the text is plain; then it has to be read alike. */
function agreed(text: string): boolean {
  const plain = readPlainYaml(text, 'f');
  if (plain === null) return false;
  expect(plain, text).toEqual(whole(text));
  return true;
}

/** Read as a text that is not plain: for the comment's last character. */
function whole(text: string): readonly YamlNode[] {
  const { documents, faults } = parseYamlFile(`${text}\n# \u00e9`, 'f');
  expect(faults, text).toEqual([]);
  return documents;
}

const PIECES = [
  ...[
    '\n',
    '\n  ',
    '\n    ',
    '\n- ',
    '\n  - ',
    ' ',
    '  ',
    '- ',
    'a: ',
    'b:',
    'c: ',
    ': ',
    ':',
    ',',
    ', ',
    '[',
    ']',
    '{',
    '}',
    '#',
    ' # ',
  ],
  ...[
    '"',
    "'",
    '"x"',
    "'y'",
    'x',
    'true',
    'null',
    '~',
    '0',
    '10',
    '007',
    '1.5',
    '-',
    '--',
    '\n---\n',
    '---',
    '...',
    '1e5',
    '0x1',
    '+1',
  ],
  ...[
    '&',
    '*',
    '!',
    '|',
    '>',
    '%',
    '@',
    '`',
    '?',
    '? ',
    '\\',
    '=',
    '<<',
    '.',
    '/',
    '$',
    '^',
    '(',
    ')',
    ';',
    '_',
    '',
    '\t',
    '[a]',
    '{a: b}',
  ],
];
const SEEDS = [
  'a: 1\nb:\n  - x\n  - y: z\n    w: "q"\nc:\n- 1\n- two words # and a comment\n',
  'spec:\n  rules:\n    - from: [{ source: { principals: ["a/b", \'c\'] } }]\n      to: [{ operation: { paths: [/x/*] } }]\n---\na: b\n',
];
const RUNS = process.env['POSTERN_FULL'] === '1' ? 200_000 : 4_000;
