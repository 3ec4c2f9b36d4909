/** The code behind OPA's exports. Values are text: address and length. A host reads results up to their 0 byte. */
import type { FunctionSource } from '../body-encoder.ts';
import type { Image } from '../image.ts';
import {
  add,
  below,
  call,
  copyMemory,
  differ,
  equal,
  fillMemory,
  giveBack,
  global,
  isZero,
  load,
  loadByte,
  set,
  setGlobal,
  shiftLeft,
  shiftRight,
  store,
  storeByte,
  subtract,
  when,
} from '../instructions.ts';
import type { Instruction } from '../instructions.ts';
import { OVERFLOW } from '../memory-map.ts';
import { TREE_GLOBALS } from './input-tree.ts';
import type { WrittenTree } from './input-tree.ts';
import type { ShellAddresses } from './shell-memory.ts';

/** The name of the heap's allocator. */
export const OPA_ALLOCATOR = 'opa_malloc';

export interface OpaTables {
  readonly tree: WrittenTree;
  /** Node whose being seen says that a request is asked about. */
  readonly httpNode: number;
  /** Rows by number of the outcome; 0 is an error of the engine. */
  readonly results: number;
  /** Number of the row for an input that is none. */
  readonly invalid: number;
  readonly entrypoints: { readonly at: number; readonly length: number };
  readonly builtins: { readonly at: number; readonly length: number };
}

export function opaFunctions(
  image: Pick<Image<unknown>, 'cellsStart' | 'cellsEnd'>,
  { heap }: ShellAddresses,
  tables: OpaTables,
): readonly FunctionSource[] {
  return [
    judgeJson(image, tables),
    writeResult(tables),
    makeValue,
    exported('opa_eval', ['reserved', 'entrypoint', 'data', 'input', 'length', 'heapStart', 'format'], true, [
      when(below('heapStart', heap), [set('heapStart', heap)]),
      // The byte after the input ends it while it is read.
      setGlobal('heap', add('heapStart', 8)),
      call('reserveHeap', global('heap')),
      giveBack(call('writeResult', call('judgeJson', 'input', 'length'), 'format')),
    ]),
    exported(
      'opa_eval_ctx_new',
      [],
      true,
      [set('context', call(OPA_ALLOCATOR, CONTEXT.bytes)), fillMemory('context', 0, CONTEXT.bytes), giveBack('context')],
      ['context'],
    ),
    exported('opa_eval_ctx_set_input', ['context', 'value'], false, [store('context', 'value', CONTEXT.input)]),
    exported('opa_eval_ctx_set_data', ['context', 'value'], false, [store('context', 'value', CONTEXT.data)]),
    exported('opa_eval_ctx_set_entrypoint', ['context', 'value'], false, [store('context', 'value', CONTEXT.entrypoint)]),
    exported('opa_eval_ctx_get_result', ['context'], true, [giveBack(load('context', CONTEXT.result))]),
    exported(
      'eval',
      ['context'],
      true,
      [
        set('input', load('context', CONTEXT.input)),
        set('answer', tables.invalid << 2),
        when('input', [set('answer', call('judgeJson', load('input'), load('input', 4)))]),
        set('at', call('writeResult', 'answer', 0)),
        store('context', call('makeValue', 'at', call('lengthOf', 'at')), CONTEXT.result),
        giveBack(0),
      ],
      ['input', 'answer', 'at'],
    ),
    lengthOf,
    parse('opa_json_parse'),
    parse('opa_value_parse'),
    dump('opa_json_dump'),
    dump('opa_value_dump'),
    exported('opa_free', ['at'], false, []),
    exported('opa_value_free', ['value'], false, []),
    exported('opa_value_add_path', ['base', 'path', 'value'], true, [giveBack(0)]),
    exported('opa_value_remove_path', ['base', 'path'], true, [giveBack(0)]),
    exported('opa_heap_ptr_get', [], true, [giveBack(global('heap'))]),
    exported('opa_heap_ptr_set', ['at'], false, [
      when(below('at', heap), [set('at', heap)]),
      setGlobal('heap', 'at'),
      call('reserveHeap', 'at'),
    ]),
    exported('opa_heap_blocks_stash', [], false, []),
    exported('opa_heap_blocks_restore', [], false, []),
    exported('opa_heap_stash_clear', [], false, []),
    exported('builtins', [], true, [giveBack(call('makeValue', tables.builtins.at, tables.builtins.length))]),
    exported('entrypoints', [], true, [giveBack(call('makeValue', tables.entrypoints.at, tables.entrypoints.length))]),
  ];
}

/** The answer for an input document, in the form of `decide`. */
function judgeJson({ cellsEnd, cellsStart }: Pick<Image<unknown>, 'cellsStart' | 'cellsEnd'>, tables: OpaTables): FunctionSource {
  const { httpNode, invalid, tree } = tables;
  const isInvalid = giveBack(invalid << 2);
  return {
    name: 'judgeJson',
    isExported: false,
    parameters: ['at', 'length'],
    hasResult: true,
    locals: ['end', 'kept', 'found'],
    body: [
      when(isZero('at'), [isInvalid]),
      when(isZero('length'), [isInvalid]),
      fillMemory(cellsStart, 0, cellsEnd - cellsStart),
      fillMemory(tree.seenStart, 0, tree.seenBytes),
      store(OVERFLOW, 0),
      ...TREE_GLOBALS.map((name) => setGlobal(name, 0)),
      set('end', add('at', 'length')),
      set('kept', loadByte('end')),
      storeByte('end', 0),
      set('found', call('readValue', 'at', tree.root, 0, 0)),
      when('found', [set('found', call('skipBlanks', 'found'))]),
      storeByte('end', 'kept'),
      when(differ('found', 'end'), [isInvalid]),
      call('putRequestPrincipal'),
      when(load(load(httpNode)), [giveBack(call('decide'))]),
      giveBack(call('decideConnection')),
    ],
  };
}

/** A result set of one binding, as JSON or (format 1) in Rego's notation, where a set has braces. */
function writeResult({ results }: OpaTables): FunctionSource {
  const [head, headLength, rest, restLength] = [0, 4, 8, 12].map((offset) => load('row', offset));
  if (head === undefined || headLength === undefined || rest === undefined || restLength === undefined) {
    throw new Error('a row has four words');
  }
  return {
    name: 'writeResult',
    isExported: false,
    parameters: ['answer', 'format'],
    hasResult: true,
    locals: ['row', 'at', 'end'],
    body: [
      set('row', add(results, shiftLeft(shiftRight('answer', 2), 4))),
      set('at', call(OPA_ALLOCATOR, add(headLength, restLength))),
      copyMemory('at', head, headLength),
      copyMemory(add('at', headLength), rest, restLength),
      set('end', add(add('at', headLength), restLength)),
      storeByte('end', 0),
      when(equal('format', 1), [storeByte('at', 0x7b), storeByte(subtract('end', 1), 0x7d)]),
      giveBack('at'),
    ],
  };
}

const lengthOf: FunctionSource = {
  name: 'lengthOf',
  isExported: false,
  parameters: ['at'],
  hasResult: true,
  locals: ['end'],
  body: [
    set('end', 'at'),
    {
      kind: 'block',
      isLoop: true,
      label: 'bytes',
      body: [when(loadByte('end'), [set('end', add('end', 1)), { kind: 'branch', label: 'bytes', test: null }])],
    },
    giveBack(subtract('end', 'at')),
  ],
};

const makeValue: FunctionSource = {
  name: 'makeValue',
  isExported: false,
  parameters: ['at', 'length'],
  hasResult: true,
  locals: ['value'],
  body: [set('value', call(OPA_ALLOCATOR, 8)), store('value', 'at'), store('value', 'length', 4), giveBack('value')],
};

/** A value of a JSON text, 0 for what is none. */
function parse(name: string): FunctionSource {
  return exported(
    name,
    ['at', 'length'],
    true,
    [
      set('copy', call('keepText', 'at', 'length')),
      set('end', add('copy', 'length')),
      storeByte('end', 0),
      set('found', call('readValue', 'copy', 0, 0, 0)),
      when('found', [set('found', call('skipBlanks', 'found'))]),
      when(differ('found', 'end'), [giveBack(0)]),
      giveBack(call('makeValue', 'copy', 'length')),
    ],
    ['copy', 'end', 'found'],
  );
}

/** The text of a value, ended by a 0. */
function dump(name: string): FunctionSource {
  return exported(
    name,
    ['value'],
    true,
    [set('at', call('keepText', load('value'), load('value', 4))), storeByte(add('at', load('value', 4)), 0), giveBack('at')],
    ['at'],
  );
}

function exported(
  name: string,
  parameters: readonly string[],
  hasResult: boolean,
  body: readonly Instruction[],
  locals: readonly string[] = [],
): FunctionSource {
  return { name, isExported: true, parameters, hasResult, locals, body };
}

const CONTEXT = { input: 0, data: 4, entrypoint: 8, result: 12, bytes: 16 } as const;
