/**
 * The code of every module: a small fixed evaluator over the tables in memory. `classify` turns a value into classes, `decide`
 * walks the lists that the classes lead to. INVARIANT: every loop is bounded by a list whose length the compiler knows; nothing
 * recurses, nothing is imported.
 */
import { classifierFunctions } from './classifier.ts';
import type { FunctionSource } from './body-encoder.ts';
import type { Image } from './image.ts';
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
  equal,
  giveBack,
  isZero,
  load,
  loop,
  loopWhile,
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
import { LIST_LOCALS, forEachList } from './list-walk.ts';
import { ALTERNATIVE, CHECK, CLAUSE, EFFECT, ERROR, NO_ANSWER, OVERFLOW, STAGE, TREE, TREE_CHILD } from './memory-map.ts';
import { reportFunctions } from './report.ts';

/** What of an image the code must know. */
export type EvaluatorAddresses = Pick<Image<unknown>, 'scratchStart' | 'http' | 'tcp' | 'reportStart'>;

export function evaluatorFunctions(at: EvaluatorAddresses, hasReports: boolean): readonly FunctionSource[] {
  return [
    ...classifierFunctions(at.scratchStart),
    holds,
    descend,
    scanList,
    scanIndex,
    decide('decide', at.http.firstStage),
    decide('decideConnection', at.tcp.firstStage),
    ...(hasReports ? reportFunctions(at.reportStart) : []),
  ];
}

const childAt = (index: Operand): Instruction => add('tree', shiftLeft(index, TREE_CHILD.shift));

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

/** From a tree down to the list that the classes lead to, 0 for none. INVARIANT: a tree has no cycles. */
const descend: FunctionSource = {
  name: 'descend',
  isExported: false,
  parameters: ['tree'],
  hasResult: true,
  locals: ['value', 'low', 'high', 'middle'],
  body: [
    loop(
      'down',
      set('tree', subtract('tree', 1)),
      set('value', load(load('tree', TREE.cell))),
      set('low', 0),
      set('high', subtract(load('tree', TREE.count), 1)),
      loopWhile(
        'halves',
        below('low', 'high'),
        set('middle', shiftRight(add(add('low', 'high'), 1), 1)),
        when(
          atMost(load(childAt('middle'), TREE.children + TREE_CHILD.start), 'value'),
          [set('low', 'middle')],
          [set('high', subtract('middle', 1))],
        ),
      ),
      set('tree', load(childAt('low'), TREE.children + TREE_CHILD.address)),
      branchIf('down', and('tree', 1)),
    ),
    giveBack('tree'),
  ],
};

/** The smallest answer below `best` that a list of clauses, or a tree, gives, else `best`. */
const scanList: FunctionSource = {
  name: 'scanList',
  isExported: false,
  parameters: ['clause', 'best'],
  hasResult: true,
  locals: ['answer'],
  body: [
    when(and('clause', 1), [set('clause', call('descend', 'clause')), when(isZero('clause'), [giveBack('best')])]),
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

/** The smallest answer of an index. Exported for requests with several tokens, whose stages are taken one by one. */
const scanIndex: FunctionSource = {
  name: 'scanIndex',
  isExported: true,
  parameters: ['index'],
  hasResult: true,
  locals: ['best', ...LIST_LOCALS],
  body: [set('best', NO_ANSWER), ...forEachList(set('best', call('scanList', 'list', 'best'))), giveBack('best')],
};

/** Stage by stage until one ends. INVARIANT: stages lead onwards only, and the last one always ends. */
function decide(name: string, firstStage: number): FunctionSource {
  return {
    name,
    isExported: true,
    parameters: [],
    hasResult: true,
    locals: ['stage', 'answer', 'effect'],
    body: [
      when(load(OVERFLOW), [giveBack(ERROR)]),
      set('stage', firstStage),
      loop(
        'stages',
        set('answer', call('scanIndex', load('stage', STAGE.index))),
        when(equal('answer', NO_ANSWER), [set('answer', load('stage', STAGE.otherwise))]),
        set('effect', and('answer', 3)),
        when(isZero('effect'), [bump('stage', STAGE.bytes), branch('stages')]),
        when(equal('effect', EFFECT.jump), [set('stage', load('stage', STAGE.jump)), branch('stages')]),
      ),
      giveBack('answer'),
    ],
  };
}
