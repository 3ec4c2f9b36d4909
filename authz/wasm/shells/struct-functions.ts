/**
 * The code that reads google.protobuf.Struct, as Envoy keeps claims in its dynamic metadata (envoy.config.core.v3.Metadata), along a
 * tree of keys: protocol buffers, binary form. What is cut short or of unknown shape makes the decision an error.
 */
import type { FunctionSource } from '../body-encoder.ts';
import {
  above,
  add,
  and,
  below,
  bump,
  call,
  drop,
  equal,
  giveBack,
  global,
  isZero,
  leave,
  loadByte,
  loopWhile,
  or,
  set,
  setGlobal,
  shiftLeft,
  shiftRight,
  store,
  subtract,
  when,
} from '../instructions.ts';
import type { Instruction } from '../instructions.ts';
import { OVERFLOW } from '../memory-map.ts';

/** Position after the number or field that was read last; past every end after a fault. */
export const STRUCT_GLOBALS = ['next'] as const;

export function structFunctions(): readonly FunctionSource[] {
  return [readVarint, fieldLength, readMap, readEntry, readStructValue, readList];
}

const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;
const FAULT: readonly Instruction[] = [store(OVERFLOW, 1), setGlobal('next', 'end')];

/** The low 32 bits. */
const readVarint: FunctionSource = {
  name: 'readVarint',
  isExported: false,
  parameters: ['at', 'end'],
  hasResult: true,
  locals: ['value', 'shift', 'byte'],
  body: [
    loopWhile(
      'bytes',
      below('at', 'end'),
      set('byte', loadByte('at')),
      bump('at', 1),
      when(below('shift', 32), [set('value', or('value', shiftLeft(and('byte', 0x7f), 'shift')))]),
      bump('shift', 7),
      when(below('byte', 0x80), [setGlobal('next', 'at'), giveBack('value')]),
      when(above('shift', 63), [...FAULT, giveBack(0)]),
    ),
    ...FAULT,
    giveBack(0),
  ],
};

/** After a field's key; gives the length of its content, which `next` then is the start of. */
const fieldLength: FunctionSource = {
  name: 'fieldLength',
  isExported: false,
  parameters: ['wire', 'at', 'end'],
  hasResult: true,
  locals: ['length'],
  body: [
    setGlobal('next', 'at'),
    when(equal('wire', WIRE.varint), [
      // Read for its length; it starts where it stood.
      drop(call('readVarint', 'at', 'end')),
      set('length', subtract(global('next'), 'at')),
      setGlobal('next', 'at'),
      giveBack('length'),
    ]),
    when(equal('wire', WIRE.bytes), [set('length', call('readVarint', 'at', 'end'))]),
    when(equal('wire', WIRE.fixed64), [set('length', 8)]),
    when(equal('wire', WIRE.fixed32), [set('length', 4)]),
    when(or(above('wire', WIRE.fixed32), and(above('wire', 2), below('wire', 5))), [...FAULT, giveBack(0)]),
    when(above('length', subtract('end', global('next'))), [...FAULT, giveBack(0)]),
    giveBack('length'),
  ],
};

/** Runs `then` for each field of a message: `field` is its number, `from` and `to` its content. */
function forEachField(...then: readonly Instruction[]): Instruction {
  return loopWhile(
    'fields',
    below('at', 'end'),
    set('field', call('readVarint', 'at', 'end')),
    set('to', call('fieldLength', and('field', 7), global('next'), 'end')),
    set('from', global('next')),
    set('to', add('from', 'to')),
    set('field', shiftRight('field', 3)),
    set('at', 'to'),
    ...then,
  );
}

const FIELD_LOCALS = ['field', 'from', 'to'];

/** A message whose field 1 is a map. `ofStructs`: its values are such messages themselves. */
const readMap: FunctionSource = {
  name: 'readMap',
  isExported: false,
  parameters: ['at', 'end', 'node', 'ofStructs'],
  hasResult: false,
  locals: FIELD_LOCALS,
  body: [forEachField(when(equal('field', 1), [call('readEntry', 'from', 'to', 'node', 'ofStructs')]))],
};

const readEntry: FunctionSource = {
  name: 'readEntry',
  isExported: false,
  parameters: ['at', 'end', 'node', 'ofStructs'],
  hasResult: false,
  locals: [...FIELD_LOCALS, 'child', 'valueAt', 'valueEnd'],
  body: [
    forEachField(
      when(equal('field', 1), [set('child', call('findChild', 'node', 'from', subtract('to', 'from')))]),
      when(equal('field', 2), [set('valueAt', 'from'), set('valueEnd', 'to')]),
    ),
    when(isZero('child'), [leave]),
    when(isZero('valueAt'), [leave]),
    when(
      'ofStructs',
      [call('readMap', 'valueAt', 'valueEnd', 'child', 0)],
      [call('readStructValue', 'valueAt', 'valueEnd', 'child', 0)],
    ),
  ],
};

/** google.protobuf.Value: of a text (3) what the node says, a struct (5) along the tree, of a list (6) each text. */
const readStructValue: FunctionSource = {
  name: 'readStructValue',
  isExported: false,
  parameters: ['at', 'end', 'node', 'isElement'],
  hasResult: false,
  locals: FIELD_LOCALS,
  body: [
    forEachField(
      when(equal('field', 3), [call('runActions', 'node', 'from', subtract('to', 'from'), 'isElement')]),
      when(isZero('isElement'), [
        when(equal('field', 5), [call('readMap', 'from', 'to', 'node', 0)]),
        when(equal('field', 6), [call('readList', 'from', 'to', 'node')]),
      ]),
    ),
  ],
};

const readList: FunctionSource = {
  name: 'readList',
  isExported: false,
  parameters: ['at', 'end', 'node'],
  hasResult: false,
  locals: FIELD_LOCALS,
  body: [forEachField(when(equal('field', 1), [call('readStructValue', 'from', 'to', 'node', 1)]))],
};
