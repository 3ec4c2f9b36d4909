/**
 * The code of every module: a small fixed evaluator over the tables in memory. `classify` turns a value into classes, `decide`
 * walks the lists that the classes lead to. INVARIANT: every loop is bounded by a list whose length the compiler knows; nothing
 * recurses, nothing is imported.
 */
import { classifierFunctions } from './classifier.ts';
import type { FunctionSource } from './body-encoder.ts';
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
  load,
  loop,
  multiply,
  set,
  shiftLeft,
  shiftRight,
  subtract,
  unreachable,
  when,
  word,
  bump,
  bit,
} from './instructions.ts';
import type { Instruction, Operand } from './instructions.ts';
import { ALTERNATIVE, CHECK, CLAUSE, EFFECT, ENTRY, INDEX, LIST_PAIR, NO_ANSWER, OVERFLOW, PROGRAM } from './memory-map.ts';

export interface EvaluatorAddresses {
  readonly scratch: number;
  readonly httpProgram: number;
  readonly tcpProgram: number;
}

export function evaluatorFunctions(at: EvaluatorAddresses): readonly FunctionSource[] {
  return [
    ...classifierFunctions(at.scratch),
    holds,
    scanList,
    scanIndex,
    decide('decide', at.httpProgram),
    decide('decideConnection', at.tcpProgram),
  ];
}

/** Whether a class is in an alternative's range or bit set. */
const hasClass = (cell: Operand, value: Operand): Instruction =>
  when(
    and(cell, 2),
    [when(below(value, load('at', ALTERNATIVE.span)), [when(bit(load('at', ALTERNATIVE.low), value), [set('found', 1)])])],
    [when(atMost(subtract(value, load('at', ALTERNATIVE.low)), load('at', ALTERNATIVE.span)), [set('found', 1)])],
  );

/** Whether all checks of a clause hold. */
const holds: FunctionSource = {
  name: 'holds',
  isExported: false,
  parameters: ['clause'],
  hasResult: true,
  locals: ['at', 'end', 'header', 'last', 'found', 'cell', 'list', 'listEnd'],
  body: [
    set('at', add('clause', CLAUSE.checks)),
    set('end', load('clause', CLAUSE.end)),
    block(
      'all',
      loop(
        'checks',
        branchIf('all', atLeast('at', 'end')),
        set('header', load('at', CHECK.header)),
        bump('at', CHECK.alternatives),
        set('last', add('at', multiply(shiftRight('header', 1), ALTERNATIVE.bytes))),
        set('found', 0),
        block(
          'decided',
          loop(
            'alternatives',
            branchIf('decided', atLeast('at', 'last')),
            set('cell', load('at', ALTERNATIVE.cell)),
            set('list', and('cell', -4)),
            when(
              and('cell', 1),
              [
                set('listEnd', word('list', load('list'))),
                block(
                  'listed',
                  loop(
                    'values',
                    branchIf('listed', atLeast('list', 'listEnd')),
                    bump('list', 4),
                    hasClass('cell', load('list')),
                    branchIf('listed', 'found'),
                    branch('values'),
                  ),
                ),
              ],
              [hasClass('cell', load('list'))],
            ),
            branchIf('decided', 'found'),
            bump('at', ALTERNATIVE.bytes),
            branch('alternatives'),
          ),
        ),
        when(equal('found', and('header', 1)), [giveBack(0)]),
        set('at', 'last'),
        branch('checks'),
      ),
    ),
    giveBack(1),
  ],
};

/** The smallest answer below `best` that a list of clauses gives, else `best`. */
const scanList: FunctionSource = {
  name: 'scanList',
  isExported: false,
  parameters: ['clause', 'best'],
  hasResult: true,
  locals: ['answer'],
  body: [
    loop(
      'next',
      set('answer', load('clause', CLAUSE.answer)),
      when(isZero('answer'), [giveBack('best')]),
      when(atLeast('answer', 'best'), [giveBack('best')]),
      when(call('holds', 'clause'), [giveBack('answer')]),
      set('clause', load('clause', CLAUSE.end)),
      branch('next'),
    ),
    unreachable,
  ],
};

/** The smallest answer of an index. */
const scanIndex: FunctionSource = {
  name: 'scanIndex',
  isExported: false,
  parameters: ['index'],
  hasResult: true,
  locals: ['best', 'at', 'end', 'cell', 'lists', 'list', 'listEnd'],
  body: [
    set('best', NO_ANSWER),
    set('list', load('index', INDEX.always)),
    when('list', [set('best', call('scanList', 'list', 'best'))]),
    set('at', add('index', INDEX.entries)),
    set('end', add('at', multiply(load('index', INDEX.count), ENTRY.bytes))),
    block(
      'over',
      loop(
        'entries',
        branchIf('over', atLeast('at', 'end')),
        set('cell', load('at', ENTRY.cell)),
        set('lists', load('at', ENTRY.lists)),
        when(
          and('cell', 1),
          [
            set('cell', subtract('cell', 1)),
            set('listEnd', word('cell', load('cell'))),
            block(
              'listed',
              loop(
                'values',
                branchIf('listed', atLeast('cell', 'listEnd')),
                bump('cell', 4),
                set('list', load(add('lists', shiftLeft(load('cell'), LIST_PAIR.shift)))),
                when('list', [set('best', call('scanList', 'list', 'best'))]),
                branch('values'),
              ),
            ),
          ],
          [
            set('list', load(add('lists', shiftLeft(load('cell'), LIST_PAIR.shift)))),
            when('list', [set('best', call('scanList', 'list', 'best'))]),
          ],
        ),
        bump('at', ENTRY.bytes),
        branch('entries'),
      ),
    ),
    giveBack('best'),
  ],
};

/** DENY first; without any ALLOW policy the rest is allowed; else some ALLOW rule must match. */
function decide(name: string, program: number): FunctionSource {
  return {
    name,
    isExported: true,
    parameters: [],
    hasResult: true,
    locals: ['answer'],
    body: [
      when(load(OVERFLOW), [giveBack(EFFECT.error)]),
      set('answer', call('scanIndex', load(program, PROGRAM.deny))),
      when(differ('answer', NO_ANSWER), [giveBack('answer')]),
      when(isZero(load(program, PROGRAM.hasAllow)), [giveBack(EFFECT.allow)]),
      set('answer', call('scanIndex', load(program, PROGRAM.allow))),
      when(differ('answer', NO_ANSWER), [giveBack('answer')]),
      giveBack(EFFECT.deny),
    ],
  };
}
