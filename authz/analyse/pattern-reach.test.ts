import { expect, test } from 'vitest';

import { matchesPath } from '../engine/interpreter-text.ts';
import { parseRegex } from '../plan/regex/parse.ts';
import { couldMeet, fitsTemplate, prefixOf } from './pattern-reach.ts';

test.each([
  [{ form: 'exact', text: '/a' } as const, '/a'],
  [{ form: 'suffix', text: '/a' } as const, ''],
  [{ form: 'template', segments: ['a', '{*}', 'b'] } as const, '/a/'],
  [{ form: 'template', segments: ['a', 'b'] } as const, '/a/b'],
  [{ form: 'bytes', key: '1', pattern: parseRegex('ab(c|d)e') } as const, 'ab'],
  [{ form: 'bytes', key: '2', pattern: parseRegex('a+b') } as const, ''],
  [{ form: 'bytes', key: '3', pattern: parseRegex('a|b') } as const, ''],
])('prefixOf() of %j is "%s"', (pattern, prefix) => {
  expect(prefixOf(pattern)).toBe(prefix);
});

test.each([
  [['/a'], ['/a/b'], true],
  [['/a/b'], ['/c', '/a'], true],
  [['/a'], ['/b'], false],
  [[''], ['/b'], true],
  [[], ['/b'], false],
])('couldMeet() of %j and %j is %s', (left, right, met) => {
  expect(couldMeet(left, right)).toBe(met);
});

test('fitsTemplate() fits what the interpreter fits', () => {
  const paths = ['/', '/a', '/a/', '/a/b', '/a//b', '/a/b/c', '/a/b/c/', 'a/b', '*', '/a/\xe9/b', '/a/b/b'];
  for (const template of ['/a/{*}', '/{*}', '/a/{**}', '/{**}/b', '/a/{*}/b', '/a/{*}/{**}', '/{**}']) {
    for (const path of paths) {
      expect([template, path, fitsTemplate(template.slice(1).split('/'), path)]).toEqual([
        template,
        path,
        matchesPath(template, path),
      ]);
    }
  }
});
