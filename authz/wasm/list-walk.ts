/** The code that finds the lists of an index that a request's classes lead to. */
import {
  add,
  and,
  atLeast,
  block,
  branch,
  branchIf,
  bump,
  load,
  loop,
  multiply,
  set,
  subtract,
  when,
  word,
} from './instructions.ts';
import type { Instruction, Operand } from './instructions.ts';
import { ENTRY, INDEX } from './memory-map.ts';

/** Where the lists of a class stand. */
const listAt = (classNumber: Operand): Instruction => load(add('lists', multiply(classNumber, 'stride')));

/** Runs `body` with `list` on every list that the classes of an index lead to. */
export function forEachList(body: Instruction): readonly Instruction[] {
  const run = when('list', [body]);
  return [
    set('list', load('index', INDEX.always)),
    run,
    set('at', add('index', INDEX.entries)),
    set('end', add('at', multiply(load('index', INDEX.count), ENTRY.bytes))),
    block(
      'over',
      loop(
        'entries',
        branchIf('over', atLeast('at', 'end')),
        set('cell', load('at', ENTRY.cell)),
        set('lists', load('at', ENTRY.lists)),
        set('stride', load('at', ENTRY.stride)),
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
                set('list', listAt(load('cell'))),
                run,
                branch('values'),
              ),
            ),
          ],
          [set('list', listAt(load('cell'))), run],
        ),
        bump('at', ENTRY.bytes),
        branch('entries'),
      ),
    ),
  ];
}

/** Locals of `forEachList`. */
export const LIST_LOCALS: readonly string[] = ['at', 'end', 'cell', 'lists', 'stride', 'list', 'listEnd'];
