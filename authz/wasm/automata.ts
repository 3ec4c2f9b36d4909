/** The code that runs a value through the automata: path templates segment by segment, automata byte by byte. */
import type { FunctionSource } from './body-encoder.ts';
import { hashByte } from './hash-step.ts';
import {
  add,
  and,
  atLeast,
  below,
  block,
  branch,
  branchIf,
  call,
  differ,
  equal,
  isZero,
  load,
  loadByte,
  loop,
  multiply,
  set,
  shiftRight,
  subtract,
  when,
  xor,
  word,
  bump,
} from './instructions.ts';
import type { Instruction } from './instructions.ts';
import { BYTES, HASH_SEED, MOVE, MOVE_HASH, TEMPLATE, TEMPLATE_STATE, WILDCARD_TABLE } from './memory-map.ts';

/** Walks the segments of a path through a template automaton. */
export function classifyTemplate(scratch: number): FunctionSource {
  const stateAt = (offset: number): Instruction =>
    load(add(load('template', TEMPLATE.states), multiply('state', TEMPLATE_STATE.bytes)), offset);
  const findMove: Instruction = block(
    'moved',
    block(
      'unnamed',
      set('probe', xor(multiply('state', MOVE_HASH.factor), 'hash')),
      set('probe', xor('probe', shiftRight('probe', MOVE_HASH.fold))),
      loop(
        'next',
        set('record', load(word(load('template', TEMPLATE.moves), and('probe', load('template', TEMPLATE.moveMask))))),
        branchIf('unnamed', isZero('record')),
        bump('probe', 1),
        branchIf('next', differ(load('record', MOVE.hash), 'hash')),
        branchIf('next', differ(load('record', MOVE.state), 'state')),
        branchIf('next', differ(load('record', MOVE.length), subtract('at', 'start'))),
        branchIf('next', isZero(call('sameBytes', 'start', add('record', MOVE.text), subtract('at', 'start')))),
        set('state', load('record', MOVE.next)),
        branch('moved'),
      ),
    ),
    when('valid', [set('state', stateAt(TEMPLATE_STATE.valid))], [set('state', stateAt(TEMPLATE_STATE.invalid))]),
  );
  return {
    name: 'classifyTemplate',
    isExported: false,
    parameters: ['template', 'length'],
    hasResult: false,
    locals: ['state', 'start', 'at', 'end', 'hash', 'valid', 'byte', 'probe', 'record'],
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
          when(equal('at', 'start'), [set('state', stateAt(TEMPLATE_STATE.empty))], [findMove]),
          branchIf('over', isZero('state')),
          branchIf('segments', below('at', 'end')),
        ),
      ),
      call('putClass', load('template', TEMPLATE.cell), stateAt(TEMPLATE_STATE.classNumber)),
    ],
  };
}

/** Runs a value through a byte automaton. */
export function classifyBytes(scratch: number): FunctionSource {
  return {
    name: 'classifyBytes',
    isExported: false,
    parameters: ['automaton', 'length'],
    hasResult: false,
    locals: ['state', 'at', 'end', 'next', 'byteClasses', 'classCount'],
    body: [
      set('state', load('automaton', BYTES.start)),
      set('next', load('automaton', BYTES.next)),
      set('byteClasses', load('automaton', BYTES.byteClasses)),
      set('classCount', load('automaton', BYTES.classCount)),
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
      call('putClass', load('automaton', BYTES.cell), load(word(load('automaton', BYTES.classOfState), 'state'))),
    ],
  };
}

const SLASH = 0x2f;
