/**
 * The code that turns a value in the scratch area into classes. INVARIANT: every loop is bounded by the bytes of the value or by
 * the free entries of a half-full table; nothing recurses.
 */
import { classifyBytes, classifyTemplate } from './automata.ts';
import type { FunctionSource } from './body-encoder.ts';
import { hashByte } from './hash-step.ts';
import {
  add,
  and,
  atLeast,
  atMost,
  below,
  block,
  branch,
  branchIf,
  call,
  differ,
  equal,
  giveBack,
  isZero,
  leave,
  load,
  loadByte,
  loop,
  or,
  set,
  shiftRight,
  store,
  subtract,
  unreachable,
  when,
  xor,
  word,
  bump,
  bit,
} from './instructions.ts';
import type { Instruction } from './instructions.ts';
import { BYTES, HASH_FOLD, HASH_SEED, LIST_CAPACITY, OVERFLOW, SLOT, TEMPLATE, TEXT } from './memory-map.ts';

export function classifierFunctions(scratch: number): readonly FunctionSource[] {
  return [
    sameBytes,
    findText,
    putClass,
    classifyTemplate(scratch),
    classifyBytes(scratch),
    classifyForward(scratch),
    classifyBackward(scratch),
    classify,
  ];
}

const sameBytes: FunctionSource = {
  name: 'sameBytes',
  isExported: false,
  parameters: ['left', 'right', 'length'],
  hasResult: true,
  locals: ['end'],
  body: [
    set('end', add('left', 'length')),
    block(
      'tail',
      loop(
        'words',
        branchIf('tail', below('length', 4)),
        when(differ(load('left'), load('right')), [giveBack(0)]),
        bump('left', 4),
        bump('right', 4),
        set('length', subtract('length', 4)),
        branch('words'),
      ),
    ),
    block(
      'same',
      loop(
        'bytes',
        branchIf('same', atLeast('left', 'end')),
        when(differ(loadByte('left'), loadByte('right')), [giveBack(0)]),
        bump('left', 1),
        bump('right', 1),
        branch('bytes'),
      ),
    ),
    giveBack(1),
  ],
};

/** Class of a text in a table, 0 when it is not there. */
const findText: FunctionSource = {
  name: 'findText',
  isExported: false,
  parameters: ['table', 'mask', 'hash', 'text', 'length'],
  hasResult: true,
  locals: ['probe', 'record'],
  body: [
    set('probe', xor('hash', shiftRight('hash', HASH_FOLD))),
    loop(
      'next',
      set('record', load(word('table', and('probe', 'mask')))),
      when(isZero('record'), [giveBack(0)]),
      when(equal(load('record', TEXT.hash), 'hash'), [
        when(equal(load('record', TEXT.length), 'length'), [
          when(call('sameBytes', 'text', add('record', TEXT.text), 'length'), [giveBack(load('record', TEXT.classNumber))]),
        ]),
      ]),
      bump('probe', 1),
      branch('next'),
    ),
    unreachable,
  ],
};

/** Puts a class into a cell: replaces it, or adds it to a list that does not have it yet; class 0 only where misses are kept. */
const putClass: FunctionSource = {
  name: 'putClass',
  isExported: false,
  parameters: ['cell', 'class'],
  hasResult: false,
  locals: ['count', 'index'],
  body: [
    when(isZero(and('cell', 1)), [store('cell', 'class'), leave]),
    when(isZero(or('class', and('cell', 2))), [leave]),
    set('cell', and('cell', -4)),
    set('count', load('cell')),
    block(
      'absent',
      loop(
        'next',
        branchIf('absent', atLeast('index', 'count')),
        when(equal(load(word('cell', 'index'), 4), 'class'), [leave]),
        bump('index', 1),
        branch('next'),
      ),
    ),
    when(atLeast('count', LIST_CAPACITY), [store(OVERFLOW, 1), leave]),
    store(word('cell', 'count'), 'class', 4),
    store('cell', add('count', 1)),
  ],
};

/** Exact values and prefixes in one pass: the hash after n bytes is that of the first n bytes. */
function classifyForward(scratch: number): FunctionSource {
  return {
    name: 'classifyForward',
    isExported: false,
    parameters: ['slot', 'length'],
    hasResult: false,
    locals: ['hash', 'index', 'stop', 'longest', 'isExact', 'found', 'best', 'byte', 'ends'],
    body: [
      when(load('slot', SLOT.exactTable), [set('isExact', atMost('length', load('slot', SLOT.exactLongest)))]),
      set('hash', HASH_SEED),
      when(load('slot', SLOT.prefixTable), [
        set('longest', load('slot', SLOT.prefixLongest)),
        set('ends', load('slot', SLOT.prefixEnds)),
        set('stop', 'length'),
        when(below('longest', 'stop'), [set('stop', 'longest')]),
        block(
          'over',
          loop(
            'bytes',
            branchIf('over', atLeast('index', 'stop')),
            set('byte', loadByte('index', scratch)),
            hashByte('byte'),
            bump('index', 1),
            branchIf('bytes', isZero(loadByte(add('ends', 'byte')))),
            when(bit(load('slot', SLOT.prefixLengths), 'index'), [
              set(
                'found',
                call('findText', load('slot', SLOT.prefixTable), load('slot', SLOT.prefixMask), 'hash', scratch, 'index'),
              ),
              when('found', [set('best', 'found')]),
            ]),
            branch('bytes'),
          ),
        ),
        call('putClass', load('slot', SLOT.prefixCell), 'best'),
      ]),
      when(load('slot', SLOT.exactTable), [
        set('found', 0),
        when('isExact', [
          block(
            'whole',
            loop(
              'rest',
              branchIf('whole', atLeast('index', 'length')),
              hashByte(loadByte('index', scratch)),
              bump('index', 1),
              branch('rest'),
            ),
          ),
          set('found', call('findText', load('slot', SLOT.exactTable), load('slot', SLOT.exactMask), 'hash', scratch, 'length')),
        ]),
        call('putClass', load('slot', SLOT.exactCell), 'found'),
      ]),
    ],
  };
}

/** Suffixes, from the last byte backwards. */
function classifyBackward(scratch: number): FunctionSource {
  return {
    name: 'classifyBackward',
    isExported: false,
    parameters: ['slot', 'length'],
    hasResult: false,
    locals: ['hash', 'index', 'stop', 'at', 'found', 'best'],
    body: [
      set('stop', load('slot', SLOT.suffixLongest)),
      when(below('length', 'stop'), [set('stop', 'length')]),
      set('hash', HASH_SEED),
      set('at', add(scratch, 'length')),
      block(
        'over',
        loop(
          'bytes',
          branchIf('over', atLeast('index', 'stop')),
          set('at', subtract('at', 1)),
          hashByte(loadByte('at')),
          bump('index', 1),
          when(bit(load('slot', SLOT.suffixLengths), 'index'), [
            set('found', call('findText', load('slot', SLOT.suffixTable), load('slot', SLOT.suffixMask), 'hash', 'at', 'index')),
            when('found', [set('best', 'found')]),
          ]),
          branch('bytes'),
        ),
      ),
      call('putClass', load('slot', SLOT.suffixCell), 'best'),
    ],
  };
}

/** Classifies the first `length` bytes of the scratch area as a value of the slot. */
const classify: FunctionSource = {
  name: 'classify',
  isExported: true,
  parameters: ['slot', 'length'],
  hasResult: false,
  locals: ['at', 'count'],
  body: [
    when(load('slot', SLOT.presenceCell), [call('putClass', load('slot', SLOT.presenceCell), add(differ('length', 0), 1))]),
    call('classifyForward', 'slot', 'length'),
    when(load('slot', SLOT.suffixTable), [call('classifyBackward', 'slot', 'length')]),
    ...forEach(
      'automata',
      load('slot', SLOT.automata),
      load('slot', SLOT.automatonCount),
      BYTES.bytes,
      call('classifyBytes', 'at', 'length'),
    ),
    ...forEach(
      'templates',
      load('slot', SLOT.templates),
      load('slot', SLOT.templateCount),
      TEMPLATE.bytes,
      call('classifyTemplate', 'at', 'length'),
    ),
  ],
};

/** Runs `body` with `at` on each of `count` descriptors. */
function forEach(
  label: string,
  start: Instruction,
  count: Instruction,
  bytes: number,
  body: Instruction,
): readonly Instruction[] {
  return [
    set('at', start),
    set('count', count),
    block(
      `no ${label}`,
      loop(
        label,
        branchIf(`no ${label}`, isZero('count')),
        body,
        bump('at', bytes),
        set('count', subtract('count', 1)),
        branch(label),
      ),
    ),
  ];
}
