/**
 * The code that turns a value in the scratch area into classes. INVARIANT: every loop is bounded by the bytes of the value or by
 * the free entries of a half-full table; nothing recurses.
 */
import type { FunctionSource } from './encoder.ts';
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
  multiply,
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
import type { Instruction, Operand } from './instructions.ts';
import {
  GLOB,
  HASH_FACTOR,
  HASH_FOLD,
  HASH_SEED,
  LIST_CAPACITY,
  MOVE,
  MOVE_HASH,
  OVERFLOW,
  SLOT,
  TEMPLATE,
  TEMPLATE_STATE,
  TEXT,
  WILDCARD_TABLE,
} from './memory-map.ts';

export function classifierFunctions(scratch: number): readonly FunctionSource[] {
  return [
    sameBytes,
    findText,
    putClass,
    classifyTemplate(scratch),
    classifyGlob(scratch),
    classifyForward(scratch),
    classifyBackward(scratch),
    classify,
  ];
}

const hashByte = (byte: Operand): Instruction => set('hash', multiply(xor('hash', byte), HASH_FACTOR));

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
  locals: ['probe', 'entry', 'found'],
  body: [
    set('probe', xor('hash', shiftRight('hash', HASH_FOLD))),
    loop(
      'next',
      set('entry', add('table', multiply(and('probe', 'mask'), TEXT.bytes))),
      set('found', load('entry', TEXT.classNumber)),
      when(isZero('found'), [giveBack(0)]),
      when(equal(load('entry', TEXT.hash), 'hash'), [
        when(equal(load('entry', TEXT.length), 'length'), [
          when(call('sameBytes', 'text', load('entry', TEXT.address), 'length'), [giveBack('found')]),
        ]),
      ]),
      bump('probe', 1),
      branch('next'),
    ),
    unreachable,
  ],
};

/** Puts a class into a cell: replaces it, or adds it to a list that does not have it yet. */
const putClass: FunctionSource = {
  name: 'putClass',
  isExported: false,
  parameters: ['cell', 'class'],
  hasResult: false,
  locals: ['count', 'index'],
  body: [
    when(isZero(and('cell', 1)), [store('cell', 'class'), leave]),
    when(isZero('class'), [leave]),
    set('cell', subtract('cell', 1)),
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

/** Walks the segments of a path through a template automaton. */
function classifyTemplate(scratch: number): FunctionSource {
  const stateAt = (offset: number): Instruction =>
    load(add(load('template', TEMPLATE.states), multiply('state', TEMPLATE_STATE.bytes)), offset);
  const findMove: Instruction = block(
    'moved',
    block(
      'unnamed',
      branchIf('unnamed', isZero('segment')),
      set('probe', xor(multiply('state', MOVE_HASH.state), multiply('segment', MOVE_HASH.segment))),
      set('probe', xor('probe', shiftRight('probe', MOVE_HASH.fold))),
      loop(
        'next',
        set(
          'entry',
          add(load('template', TEMPLATE.moves), multiply(and('probe', load('template', TEMPLATE.moveMask)), MOVE.bytes)),
        ),
        branchIf('unnamed', isZero(load('entry', MOVE.segment))),
        when(equal(load('entry', MOVE.segment), 'segment'), [
          when(equal(load('entry', MOVE.state), 'state'), [set('state', load('entry', MOVE.next)), branch('moved')]),
        ]),
        bump('probe', 1),
        branch('next'),
      ),
    ),
    when('valid', [set('state', stateAt(TEMPLATE_STATE.valid))], [set('state', stateAt(TEMPLATE_STATE.invalid))]),
  );
  return {
    name: 'classifyTemplate',
    isExported: false,
    parameters: ['template', 'length'],
    hasResult: false,
    locals: ['state', 'start', 'at', 'end', 'hash', 'valid', 'byte', 'segment', 'probe', 'entry'],
    body: [
      set('end', add(scratch, 'length')),
      set('at', scratch),
      block(
        'over',
        branchIf('over', isZero('length')),
        branchIf('over', differ(loadByte('at'), SLASH)),
        set('state', load('template', TEMPLATE.start)),
        loop(
          'segments',
          bump('at', 1),
          set('start', 'at'),
          set('hash', HASH_SEED),
          set('valid', 1),
          block(
            'cut',
            loop(
              'bytes',
              branchIf('cut', atLeast('at', 'end')),
              set('byte', loadByte('at')),
              branchIf('cut', equal('byte', SLASH)),
              hashByte('byte'),
              set('valid', and('valid', loadByte('byte', WILDCARD_TABLE))),
              bump('at', 1),
              branch('bytes'),
            ),
          ),
          when(
            equal('at', 'start'),
            [set('state', stateAt(TEMPLATE_STATE.empty))],
            [
              set(
                'segment',
                call(
                  'findText',
                  load('template', TEMPLATE.segments),
                  load('template', TEMPLATE.segmentMask),
                  'hash',
                  'start',
                  subtract('at', 'start'),
                ),
              ),
              findMove,
            ],
          ),
          branchIf('over', isZero('state')),
          branchIf('segments', below('at', 'end')),
        ),
      ),
      call('putClass', load('template', TEMPLATE.cell), stateAt(TEMPLATE_STATE.classNumber)),
    ],
  };
}

/** Runs a value through a glob automaton. */
function classifyGlob(scratch: number): FunctionSource {
  return {
    name: 'classifyGlob',
    isExported: false,
    parameters: ['glob', 'length'],
    hasResult: false,
    locals: ['state', 'at', 'end', 'next', 'byteClasses', 'classCount'],
    body: [
      set('state', load('glob', GLOB.start)),
      set('next', load('glob', GLOB.next)),
      set('byteClasses', load('glob', GLOB.byteClasses)),
      set('classCount', load('glob', GLOB.classCount)),
      set('at', scratch),
      set('end', add('at', 'length')),
      block(
        'over',
        loop(
          'bytes',
          branchIf('over', atLeast('at', 'end')),
          set('state', load(word('next', add(multiply('state', 'classCount'), loadByte(add('byteClasses', loadByte('at'))))))),
          branchIf('over', isZero('state')),
          bump('at', 1),
          branch('bytes'),
        ),
      ),
      call('putClass', load('glob', GLOB.cell), load(word(load('glob', GLOB.classOfState), 'state'))),
    ],
  };
}

/** Exact values and prefixes in one pass: the hash after n bytes is that of the first n bytes. */
function classifyForward(scratch: number): FunctionSource {
  return {
    name: 'classifyForward',
    isExported: false,
    parameters: ['slot', 'length'],
    hasResult: false,
    locals: ['hash', 'index', 'stop', 'longest', 'isExact', 'found', 'best'],
    body: [
      set('longest', load('slot', SLOT.prefixLongest)),
      when(load('slot', SLOT.exactTable), [set('isExact', atMost('length', load('slot', SLOT.exactLongest)))]),
      set('stop', 'length'),
      when(isZero('isExact'), [when(below('longest', 'stop'), [set('stop', 'longest')])]),
      set('hash', HASH_SEED),
      block(
        'over',
        loop(
          'bytes',
          branchIf('over', atLeast('index', 'stop')),
          hashByte(loadByte('index', scratch)),
          bump('index', 1),
          when(atMost('index', 'longest'), [
            when(bit(load('slot', SLOT.prefixLengths), 'index'), [
              set(
                'found',
                call('findText', load('slot', SLOT.prefixTable), load('slot', SLOT.prefixMask), 'hash', scratch, 'index'),
              ),
              when('found', [set('best', 'found')]),
            ]),
          ]),
          branch('bytes'),
        ),
      ),
      when(load('slot', SLOT.prefixTable), [call('putClass', load('slot', SLOT.prefixCell), 'best')]),
      when(load('slot', SLOT.exactTable), [
        set('found', 0),
        when('isExact', [
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
    ...forEach('globs', load('slot', SLOT.globs), load('slot', SLOT.globCount), GLOB.bytes, call('classifyGlob', 'at', 'length')),
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

const SLASH = 0x2f;
