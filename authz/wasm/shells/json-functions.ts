/**
 * The code that reads a JSON text (RFC 8259) along a tree of keys. Strict: what is no JSON, nests too deeply or names one of the
 * tree's keys twice is refused as a whole. A 0 byte stands after the text; no token goes on over it.
 */
import type { FunctionSource } from '../body-encoder.ts';
import {
  above,
  add,
  and,
  atLeast,
  below,
  bump,
  call,
  choose,
  equal,
  differ,
  giveBack,
  isZero,
  load,
  loadByte,
  loop,
  branch,
  loopWhile,
  or,
  set,
  shiftLeft,
  shiftRight,
  store,
  storeByte,
  subtract,
  when,
} from '../instructions.ts';
import type { Instruction, Operand } from '../instructions.ts';
import { OVERFLOW, SCRATCH_BYTES } from '../memory-map.ts';
import { QUOTE, BACKSLASH } from './ascii.ts';

// Constants that the functions below are made with.
const MAX_DEPTH = 100;
const SIMPLE_ESCAPES: readonly (readonly [number, number])[] = [
  [0x62, 8],
  [0x66, 12],
  [0x6e, 10],
  [0x72, 13],
  [0x74, 9],
];

/** Functions over positions: each gives where it ended, 0 for a text that is no JSON. `hexDigit` is that of addresses. */
export function jsonFunctions(text: number): readonly FunctionSource[] {
  return [
    skipBlanks,
    readString,
    readHex,
    putCode,
    unescape(text),
    readNumber,
    readLiteral,
    readObject(text),
    readArray,
    readValue(text),
  ];
}

const skipBlanks: FunctionSource = {
  name: 'skipBlanks',
  isExported: false,
  parameters: ['at'],
  hasResult: true,
  locals: ['byte'],
  body: [
    loop(
      'blanks',
      set('byte', loadByte('at')),
      when(or(or(equal('byte', 0x20), equal('byte', 0x0a)), or(equal('byte', 0x0d), equal('byte', 0x09))), [
        bump('at', 1),
        branch('blanks'),
      ]),
    ),
    giveBack('at'),
  ],
};

/** From the quotation mark on. */
const readString: FunctionSource = {
  name: 'readString',
  isExported: false,
  parameters: ['at'],
  hasResult: true,
  locals: ['byte'],
  body: [
    loop(
      'bytes',
      bump('at', 1),
      set('byte', loadByte('at')),
      when(equal('byte', QUOTE), [giveBack(add('at', 1))]),
      when(below('byte', 0x20), [giveBack(0)]),
      when(equal('byte', BACKSLASH), [
        bump('at', 1),
        set('byte', loadByte('at')),
        when(
          equal('byte', 0x75),
          [when(equal(call('readHex', add('at', 1)), -1), [giveBack(0)]), bump('at', 4)],
          [when(isZero(isSimpleEscape('byte')), [giveBack(0)])],
        ),
      ]),
      branch('bytes'),
    ),
    giveBack(0),
  ],
};

/** `" \ / b f n r t` */
function isSimpleEscape(byte: Operand): Instruction {
  return [0x22, 0x5c, 0x2f, 0x62, 0x66, 0x6e, 0x72, 0x74]
    .map((code) => equal(byte, code))
    .reduce((left, right) => or(left, right));
}

/** Four hexadecimal digits, -1 for what is not. */
const readHex: FunctionSource = {
  name: 'readHex',
  isExported: false,
  parameters: ['at'],
  hasResult: true,
  locals: ['value', 'digit', 'end'],
  body: [
    set('end', add('at', 4)),
    loopWhile(
      'digits',
      below('at', 'end'),
      set('digit', call('hexDigit', loadByte('at'))),
      when(equal('digit', 16), [giveBack(-1)]),
      set('value', or(shiftLeft('value', 4), 'digit')),
      bump('at', 1),
    ),
    giveBack('value'),
  ],
};

/** A code point as UTF-8; gives where it ended. */
const putCode: FunctionSource = {
  name: 'putCode',
  isExported: false,
  parameters: ['out', 'code'],
  hasResult: true,
  locals: [],
  body: [
    when(below('code', 0x80), [storeByte('out', 'code'), giveBack(add('out', 1))]),
    when(below('code', 0x800), [
      storeByte('out', or(0xc0, shiftRight('code', 6))),
      storeByte('out', or(0x80, and('code', 0x3f)), 1),
      giveBack(add('out', 2)),
    ]),
    when(below('code', 0x10000), [
      storeByte('out', or(0xe0, shiftRight('code', 12))),
      storeByte('out', or(0x80, and(shiftRight('code', 6), 0x3f)), 1),
      storeByte('out', or(0x80, and('code', 0x3f)), 2),
      giveBack(add('out', 3)),
    ]),
    storeByte('out', or(0xf0, shiftRight('code', 18))),
    storeByte('out', or(0x80, and(shiftRight('code', 12), 0x3f)), 1),
    storeByte('out', or(0x80, and(shiftRight('code', 6), 0x3f)), 2),
    storeByte('out', or(0x80, and('code', 0x3f)), 3),
    giveBack(add('out', 4)),
  ],
};

/** Writes a string that `readString` accepted without its escapes; gives its length. One that is too long is an error. */
function unescape(text: number): FunctionSource {
  return {
    name: 'unescape',
    isExported: false,
    parameters: ['at'],
    hasResult: true,
    locals: ['byte', 'out', 'code', 'low'],
    body: [
      set('out', text),
      loop(
        'bytes',
        bump('at', 1),
        set('byte', loadByte('at')),
        when(equal('byte', QUOTE), [giveBack(subtract('out', text))]),
        when(above('out', text + SCRATCH_BYTES - 8), [store(OVERFLOW, 1), giveBack(0)]),
        when(differ('byte', BACKSLASH), [storeByte('out', 'byte'), bump('out', 1), branch('bytes')]),
        bump('at', 1),
        set('byte', loadByte('at')),
        when(
          equal('byte', 0x75),
          [
            set('code', call('readHex', add('at', 1))),
            bump('at', 4),
            when(equal(and('code', 0xfc00), 0xd800), [
              when(and(equal(loadByte('at', 1), BACKSLASH), equal(loadByte('at', 2), 0x75)), [
                set('low', call('readHex', add('at', 3))),
                when(equal(and('low', 0xfc00), 0xdc00), [
                  set('code', add(add(shiftLeft(subtract('code', 0xd800), 10), subtract('low', 0xdc00)), 0x10000)),
                  bump('at', 6),
                ]),
              ]),
            ]),
            // Half of a pair is no character.
            when(equal(and('code', -2048), 0xd800), [set('code', 0xfffd)]),
            set('out', call('putCode', 'out', 'code')),
          ],
          [
            ...SIMPLE_ESCAPES.map(([letter, code]) => when(equal('byte', letter), [storeByte('out', code)])),
            when(isZero(SIMPLE_ESCAPES.map(([letter]) => equal('byte', letter)).reduce((left, right) => or(left, right))), [
              storeByte('out', 'byte'),
            ]),
            bump('out', 1),
          ],
        ),
        branch('bytes'),
      ),
      giveBack(0),
    ],
  };
}

const skipDigits: readonly Instruction[] = [
  set('start', 'at'),
  loopWhile('digits', below(subtract(loadByte('at'), 0x30), 10), bump('at', 1)),
  when(equal('at', 'start'), [giveBack(0)]),
];

const readNumber: FunctionSource = {
  name: 'readNumber',
  isExported: false,
  parameters: ['at'],
  hasResult: true,
  locals: ['start', 'first'],
  body: [
    when(equal(loadByte('at'), 0x2d), [bump('at', 1)]),
    set('first', loadByte('at')),
    ...skipDigits,
    when(equal('first', 0x30), [when(above(subtract('at', 'start'), 1), [giveBack(0)])]),
    when(equal(loadByte('at'), 0x2e), [bump('at', 1), ...skipDigits]),
    when(equal(or(loadByte('at'), 0x20), 0x65), [
      bump('at', 1),
      when(or(equal(loadByte('at'), 0x2b), equal(loadByte('at'), 0x2d)), [bump('at', 1)]),
      ...skipDigits,
    ]),
    giveBack('at'),
  ],
};

/** `true`, `false` or `null`. */
const readLiteral: FunctionSource = {
  name: 'readLiteral',
  isExported: false,
  parameters: ['at'],
  hasResult: true,
  locals: [],
  body: [
    ...['true', 'null', 'false'].map((word) =>
      when(
        [...word]
          .map((letter, index) => equal(loadByte('at', index), letter.charCodeAt(0)))
          .reduce((left, right) => and(left, right)),
        [giveBack(add('at', word.length))],
      ),
    ),
    giveBack(0),
  ],
};

/** From its brace on. */
function readObject(text: number): FunctionSource {
  return {
    name: 'readObject',
    isExported: false,
    parameters: ['at', 'node', 'depth'],
    hasResult: true,
    locals: ['child', 'end'],
    body: [
      set('at', call('skipBlanks', add('at', 1))),
      when(equal(loadByte('at'), 0x7d), [giveBack(add('at', 1))]),
      loop(
        'members',
        when(differ(loadByte('at'), QUOTE), [giveBack(0)]),
        set('end', call('readString', 'at')),
        when(isZero('end'), [giveBack(0)]),
        set('child', 0),
        when('node', [set('child', call('findChild', 'node', text, call('unescape', 'at')))]),
        when('child', [when(load(load('child')), [giveBack(0)]), store(load('child'), 1)]),
        set('at', call('skipBlanks', 'end')),
        when(differ(loadByte('at'), 0x3a), [giveBack(0)]),
        set('at', call('readValue', add('at', 1), 'child', 'depth', 0)),
        when(isZero('at'), [giveBack(0)]),
        set('at', call('skipBlanks', 'at')),
        when(equal(loadByte('at'), 0x2c), [set('at', call('skipBlanks', add('at', 1))), branch('members')]),
      ),
      when(equal(loadByte('at'), 0x7d), [giveBack(add('at', 1))]),
      giveBack(0),
    ],
  };
}

/** From its bracket on. Of the node only texts in the list are taken. */
const readArray: FunctionSource = {
  name: 'readArray',
  isExported: false,
  parameters: ['at', 'node', 'depth'],
  hasResult: true,
  locals: [],
  body: [
    set('at', call('skipBlanks', add('at', 1))),
    when(equal(loadByte('at'), 0x5d), [giveBack(add('at', 1))]),
    loop(
      'items',
      set('at', call('readValue', 'at', choose(equal(loadByte('at'), QUOTE), 'node', 0), 'depth', 1)),
      when(isZero('at'), [giveBack(0)]),
      set('at', call('skipBlanks', 'at')),
      when(equal(loadByte('at'), 0x2c), [set('at', call('skipBlanks', add('at', 1))), branch('items')]),
    ),
    when(equal(loadByte('at'), 0x5d), [giveBack(add('at', 1))]),
    giveBack(0),
  ],
};

function readValue(text: number): FunctionSource {
  return {
    name: 'readValue',
    isExported: false,
    parameters: ['at', 'node', 'depth', 'isElement'],
    hasResult: true,
    locals: ['byte', 'end'],
    body: [
      when(atLeast('depth', MAX_DEPTH), [giveBack(0)]),
      set('at', call('skipBlanks', 'at')),
      set('byte', loadByte('at')),
      when(equal('byte', QUOTE), [
        set('end', call('readString', 'at')),
        when(and(differ('end', 0), differ('node', 0)), [call('runActions', 'node', text, call('unescape', 'at'), 'isElement')]),
        giveBack('end'),
      ]),
      when(equal('byte', 0x7b), [
        when('node', [call('refuseType', 'node')]),
        giveBack(call('readObject', 'at', 'node', add('depth', 1))),
      ]),
      when(equal('byte', 0x5b), [
        when('node', [call('refuseType', 'node')]),
        giveBack(call('readArray', 'at', 'node', add('depth', 1))),
      ]),
      when(or(equal('byte', 0x2d), below(subtract('byte', 0x30), 10)), [
        set('end', call('readNumber', 'at')),
        when(and(differ('end', 0), differ('node', 0)), [call('runNumber', 'node', 'at', subtract('end', 'at'))]),
        giveBack('end'),
      ]),
      // What is null is not there.
      when(and(differ('node', 0), differ('byte', 0x6e)), [call('refuseType', 'node')]),
      giveBack(call('readLiteral', 'at')),
    ],
  };
}
