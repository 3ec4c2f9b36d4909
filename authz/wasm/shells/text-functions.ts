/**
 * The code that puts a text into the scratch area in the form that policies compare, and has it classified. A text that is too long
 * makes the decision an error.
 */
import type { FunctionSource } from '../body-encoder.ts';
import {
  above,
  add,
  and,
  below,
  bump,
  call,
  choose,
  copyMemory,
  equal,
  isZero,
  leave,
  loadByte,
  loopWhile,
  or,
  set,
  store,
  storeByte,
  subtract,
  when,
} from '../instructions.ts';
import type { Instruction } from '../instructions.ts';
import { OVERFLOW, SCRATCH_BYTES } from '../memory-map.ts';
import { BLANK, HASH, DOT, ZERO, COLON, QUESTION, UPPER_A } from './ascii.ts';

export function textFunctions(scratch: number): readonly FunctionSource[] {
  return [putText(scratch), copyLower(scratch), putLower, putHost(scratch), putPath, putQuery, putWords];
}

const refuseLong: Instruction = when(above('length', SCRATCH_BYTES), [store(OVERFLOW, 1), leave]);

function putText(scratch: number): FunctionSource {
  return {
    name: 'putText',
    isExported: false,
    parameters: ['slot', 'at', 'length'],
    hasResult: false,
    locals: [],
    body: [refuseLong, copyMemory(scratch, 'at', 'length'), call('classify', 'slot', 'length')],
  };
}

/** ASCII letters in lower case. */
function copyLower(scratch: number): FunctionSource {
  return {
    name: 'copyLower',
    isExported: false,
    parameters: ['at', 'length'],
    hasResult: false,
    locals: ['index', 'byte'],
    body: [
      loopWhile(
        'bytes',
        below('index', 'length'),
        set('byte', loadByte(add('at', 'index'))),
        storeByte(add(scratch, 'index'), add('byte', choose(below(subtract('byte', UPPER_A), 26), 32, 0))),
        bump('index', 1),
      ),
    ],
  };
}

const putLower: FunctionSource = {
  name: 'putLower',
  isExported: false,
  parameters: ['slot', 'at', 'length'],
  hasResult: false,
  locals: [],
  body: [refuseLong, call('copyLower', 'at', 'length'), call('classify', 'slot', 'length')],
};

/** Without an empty port and without one dot at the end of the name (proxy/http/authority.ts). */
function putHost(scratch: number): FunctionSource {
  const last = loadByte(add(scratch - 1, 'length'));
  return {
    name: 'putHost',
    isExported: false,
    parameters: ['slot', 'at', 'length'],
    hasResult: false,
    locals: ['port'],
    body: [
      refuseLong,
      call('copyLower', 'at', 'length'),
      when('length', [when(equal(last, COLON), [set('length', subtract('length', 1))])]),
      when(above('length', 1), [
        when(
          equal(last, DOT),
          [set('length', subtract('length', 1))],
          [
            set('port', 'length'),
            loopWhile('digits', isDigitBefore(scratch), set('port', subtract('port', 1))),
            when(above('port', 1), [
              when(equal(loadByte(add(scratch - 1, 'port')), COLON), [
                when(equal(loadByte(add(scratch - 2, 'port')), DOT), [
                  copyMemory(add(scratch - 2, 'port'), add(scratch - 1, 'port'), add(subtract('length', 'port'), 1)),
                  set('length', subtract('length', 1)),
                ]),
              ]),
            ]),
          ],
        ),
      ]),
      call('classify', 'slot', 'length'),
    ],
  };
}

function isDigitBefore(scratch: number): Instruction {
  // At 0 the byte before the scratch area is read; the comparison of `port` then ends the loop.
  return choose('port', below(subtract(loadByte(add(scratch - 1, 'port')), ZERO), 10), 0);
}

/** Up to the query or fragment. */
const putPath: FunctionSource = {
  name: 'putPath',
  isExported: false,
  parameters: ['slot', 'at', 'length'],
  hasResult: false,
  locals: ['index', 'byte'],
  body: [
    loopWhile(
      'bytes',
      below('index', 'length'),
      set('byte', loadByte(add('at', 'index'))),
      when(or(equal('byte', QUESTION), equal('byte', HASH)), [set('length', 'index')], [bump('index', 1)]),
    ),
    call('putText', 'slot', 'at', 'length'),
  ],
};

/** What stands between the first `?` and the end or a fragment; nothing where there is none. */
const putQuery: FunctionSource = {
  name: 'putQuery',
  isExported: false,
  parameters: ['slot', 'at', 'length'],
  hasResult: false,
  locals: ['end', 'start', 'byte'],
  body: [
    set('end', add('at', 'length')),
    loopWhile(
      'bytes',
      below('at', 'end'),
      set('byte', loadByte('at')),
      when(
        equal('byte', HASH),
        [set('end', 'at')],
        [when(and(equal('byte', QUESTION), isZero('start')), [set('start', add('at', 1))])],
      ),
      bump('at', 1),
    ),
    when(isZero('start'), [set('start', 'end')]),
    call('putText', 'slot', 'start', subtract('end', 'start')),
  ],
};

/** Each run between blanks. */
const putWords: FunctionSource = {
  name: 'putWords',
  isExported: false,
  parameters: ['slot', 'at', 'length'],
  hasResult: false,
  locals: ['end', 'start'],
  body: [
    set('end', add('at', 'length')),
    set('start', 'at'),
    loopWhile(
      'bytes',
      below('at', 'end'),
      when(equal(loadByte('at'), BLANK), [
        when(above('at', 'start'), [call('putText', 'slot', 'start', subtract('at', 'start'))]),
        set('start', add('at', 1)),
      ]),
      bump('at', 1),
    ),
    when(above('end', 'start'), [call('putText', 'slot', 'start', subtract('end', 'start'))]),
  ],
};
