/**
 * The code that judges what is only reported: for each policy the first of its rules that matches goes into its word. Unlike a
 * decision it looks at every clause that the values lead to.
 */
import type { FunctionSource } from './body-encoder.ts';
import { LIST_LOCALS, forEachList } from './list-walk.ts';
import {
  add,
  and,
  below,
  block,
  branch,
  branchIf,
  call,
  isZero,
  load,
  loop,
  set,
  shiftLeft,
  shiftRight,
  store,
  subtract,
  when,
} from './instructions.ts';
import { CLAUSE } from './memory-map.ts';

export function reportFunctions(reportStart: number): readonly FunctionSource[] {
  return [noteList(reportStart), noteIndex];
}

/** Words are not cleared: a request with several tokens is judged once with each. */
function noteList(reportStart: number): FunctionSource {
  return {
    name: 'noteList',
    isExported: false,
    parameters: ['clause'],
    hasResult: false,
    locals: ['answer', 'rule', 'word'],
    body: [
      block(
        'over',
        loop(
          'next',
          set('answer', load('clause', CLAUSE.answer)),
          branchIf('over', isZero('answer')),
          set('rule', and('answer', 0xffff)),
          set('word', add(reportStart, shiftLeft(shiftRight('answer', 16), 2))),
          // One less: a word of 0 is larger than every rule.
          when(below(subtract('rule', 1), subtract(load('word'), 1)), [when(call('holds', 'clause'), [store('word', 'rule')])]),
          set('clause', load('clause', CLAUSE.end)),
          branch('next'),
        ),
      ),
    ],
  };
}

const noteIndex: FunctionSource = {
  name: 'report',
  isExported: true,
  parameters: ['index'],
  hasResult: false,
  locals: LIST_LOCALS,
  body: forEachList({ kind: 'call', name: 'noteList', operands: [{ kind: 'get', local: 'list' }] }),
};
