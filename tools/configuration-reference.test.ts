import { expect, test } from 'vitest';

import { configurationReference } from './configuration-reference.ts';

test('configurationReference() gives a row for each setting, in the order of the file', () => {
  const page = configurationReference({
    type: 'object',
    required: ['name', 'listeners'],
    properties: {
      name: { type: 'string', description: 'A name.' },
      listeners: {
        type: 'array',
        description: 'Listeners.',
        items: {
          type: 'object',
          required: ['port'],
          properties: {
            port: { type: 'integer', minimum: 1, maximum: 65_535, description: 'A port.' },
            mode: { enum: ['a', 'b'], default: 'a', description: 'a | b.' },
          },
        },
      },
      log: {
        anyOf: [
          { type: 'object', properties: { file: { type: 'string', default: '-', description: 'A file.' } } },
          { type: 'null' },
        ],
        default: {},
        description: 'A log.',
      },
      head: {
        anyOf: [{ type: 'integer' }, { type: 'string', pattern: String.raw`^\d+(|KiB)$` }],
        default: '16KiB',
        description: 'Head.',
      },
      drain: { type: 'string', pattern: String.raw`^\d+(ms|s)$`, description: 'Drain.' },
    },
  });
  expect(page.split('\n').filter((line) => line.startsWith('| `'))).toStrictEqual([
    '| `name` | text | required | A name. |',
    '| `listeners` | list of map | required | Listeners. |',
    '| `listeners[].port` | 1-65535 | required | A port. |',
    String.raw`| ${'`listeners[].mode` | `a`, `b` | `a`'} | a \| b. |`,
    '| `log` | map or null |  | A log. |',
    '| `log.file` | text | `-` | A file. |',
    '| `head` | size | `16KiB` | Head. |',
    '| `drain` | duration | none | Drain. |',
  ]);
});
