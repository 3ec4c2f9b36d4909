import { describe, expect, test } from 'vitest';

import { readPolicies } from '../policy/read.ts';
import { facetsOf, writtenCheck } from './parameter-facets.ts';

describe('facetsOf()', () => {
  const integer = { kind: 'type', type: 'integer' };
  test.each([
    ['an integer', { in: 'query', schema: { type: 'integer', format: 'int32' } }, [integer], []],
    ['a uuid', { in: 'path', schema: { type: 'string', format: 'uuid' } }, [{ kind: 'type', type: 'uuid' }], []],
    ['a text', { in: 'path', schema: { type: 'string', format: 'date' } }, [], []],
    ['an enum', { in: 'query', schema: { enum: ['a', 1, true] } }, [{ kind: 'values', values: ['a', '1', 'true'] }], []],
    ['an enum with null', { in: 'query', schema: { enum: ['a', null] } }, [], ['enum']],
    [
      'a pattern and lengths',
      { in: 'query', schema: { type: 'string', pattern: '^a|b$', minLength: 1, maxLength: 9 } },
      [
        { kind: 'pattern', text: '^a|b$' },
        { kind: 'length', least: 1, most: 9 },
      ],
      [],
    ],
    ['a pattern that RE2 has not', { in: 'query', schema: { pattern: '(?=a)' } }, [], ['pattern']],
    ['a pattern that looks around', { in: 'query', schema: { pattern: '\\ba' } }, [], ['pattern']],
    ['a length beyond the bound', { in: 'query', schema: { maxLength: 9_999 } }, [], ['maxLength']],
    ['bounds', { in: 'query', schema: { type: 'integer', minimum: 1 } }, [integer], ['minimum']],
    ['a list that repeats', { in: 'query', schema: { type: 'array', items: { type: 'integer' } } }, [integer], []],
    ['a list in one value', { in: 'query', explode: false, schema: { type: 'array' } }, [], ['type: array']],
    ['a list in the path', { in: 'path', schema: { type: 'array' } }, [], ['type: array']],
    ['another style', { in: 'query', style: 'deepObject', schema: { type: 'object' } }, [], ['style']],
    ['one that may be empty', { in: 'query', allowEmptyValue: true, schema: { type: 'integer' } }, [], ['allowEmptyValue']],
    ['content', { in: 'query', content: {} }, [], ['content']],
    ['several types', { in: 'query', schema: { type: ['integer', 'null'] } }, [], ['type']],
  ])('reads %s of OpenAPI 3', (_, parameter, facets, unchecked) => {
    expect(facetsOf(parameter, false)).toEqual({ facets, unchecked });
  });

  test.each([
    ['an integer', { in: 'query', type: 'integer' }, [integer], []],
    ['a list that repeats', { in: 'query', type: 'array', collectionFormat: 'multi', items: { type: 'integer' } }, [integer], []],
    ['a list with commas', { in: 'query', type: 'array', items: { type: 'integer' } }, [], ['type: array']],
  ])('reads %s of OpenAPI 2.0', (_, parameter, facets, unchecked) => {
    expect(facetsOf(parameter, true)).toEqual({ facets, unchecked });
  });
});

test('writtenCheck() writes what an APIDefinition reads back', () => {
  const checks = [
    {
      in: 'path' as const,
      name: 'id',
      wildcard: 2,
      isRequired: false,
      facets: [{ kind: 'type', type: 'uuid' } as const, { kind: 'length', least: 3, most: null } as const],
    },
    {
      in: 'query' as const,
      name: 'q',
      wildcard: 0,
      isRequired: true,
      facets: [{ kind: 'values', values: ['a', '1'] } as const, { kind: 'pattern', text: '^a' } as const],
    },
  ];
  const operations = [{ id: 'a', method: 'GET', path: '/{*}/{*}', parameters: checks.map(writtenCheck) }];
  const document = { apiVersion: 'security.postern.mesh/v1alpha1', kind: 'APIDefinition', metadata: { name: 'a' } };
  const { faults, set } = readPolicies(JSON.stringify({ ...document, spec: { operations } }), 'a.yaml');
  expect(faults).toEqual([]);
  expect(set.apis[0]?.operations[0]?.checks).toEqual(checks);
});

test.each([
  ['no place', { name: 'a', type: 'integer' }, 'PN0204'],
  ['no wildcard', { in: 'path', name: 'a', type: 'integer' }, 'PN0204'],
  ['a wildcard that is not there', { in: 'path', name: 'a', wildcard: 2, type: 'integer' }, 'PN0211'],
  ['nothing that it asks for', { in: 'query', name: 'a', type: 'string' }, 'PN0204'],
  ['a pattern with an assertion within', { in: 'query', name: 'a', pattern: 'a$b' }, 'PN0314'],
  ['a pattern that is none', { in: 'query', name: 'a', pattern: '(' }, 'PN0314'],
  ['lengths that exclude each other', { in: 'query', name: 'a', minLength: 3, maxLength: 2 }, 'PN0204'],
  ['an unknown type', { in: 'query', name: 'a', type: 'int' }, 'PN0212'],
  ['an unknown member', { in: 'query', name: 'a', required: true, format: 'uuid' }, 'PN0201'],
])('an APIDefinition with a parameter of %s is refused', (_, parameter, code) => {
  const operations = [{ id: 'a', method: 'GET', path: '/{*}', parameters: [parameter] }];
  const document = { apiVersion: 'security.postern.mesh/v1alpha1', kind: 'APIDefinition', metadata: { name: 'a' } };
  const { faults } = readPolicies(JSON.stringify({ ...document, spec: { operations } }), 'a.yaml');
  expect(faults[0]?.code).toBe(code);
});
