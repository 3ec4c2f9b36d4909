/** A heap that only grows and is set back as a whole: what foreign hosts expect for the values that they hand over. */
import type { FunctionSource } from '../body-encoder.ts';
import {
  above,
  add,
  and,
  call,
  copyMemory,
  equal,
  giveBack,
  global,
  growMemory,
  set,
  setGlobal,
  shiftLeft,
  shiftRight,
  sizeOfMemory,
  subtract,
  unreachable,
  when,
} from '../instructions.ts';

/** @param allocator  the name by which the host calls it */
export function heapFunctions(allocator: string): readonly FunctionSource[] {
  return [reserveHeap, allocate(allocator), keepText(allocator)];
}

/** Makes sure that the memory reaches up to `end`; a host that gives no more memory ends the call. */
const reserveHeap: FunctionSource = {
  name: 'reserveHeap',
  isExported: false,
  parameters: ['end'],
  hasResult: false,
  locals: ['bytes'],
  body: [
    set('bytes', shiftLeft(sizeOfMemory, 16)),
    when(above('end', 'bytes'), [
      when(equal(growMemory(shiftRight(add(subtract('end', 'bytes'), 0xffff), 16)), -1), [unreachable]),
    ]),
  ],
};

/** With a few bytes behind it that belong to nobody, for the 0 that ends a text. */
function allocate(name: string): FunctionSource {
  return {
    name,
    isExported: true,
    parameters: ['bytes'],
    hasResult: true,
    locals: ['at'],
    body: [
      // More than that is no value but an overflow of addresses.
      when(above('bytes', MAX_BYTES), [unreachable]),
      set('at', and(add(global('heap'), 7), -8)),
      setGlobal('heap', add(add('at', 'bytes'), 8)),
      call('reserveHeap', global('heap')),
      giveBack('at'),
    ],
  };
}

/** A copy that stays until the heap is set back. */
function keepText(allocator: string): FunctionSource {
  return {
    name: 'keepText',
    isExported: false,
    parameters: ['at', 'length'],
    hasResult: true,
    locals: ['copy'],
    body: [set('copy', call(allocator, 'length')), copyMemory('copy', 'at', 'length'), giveBack('copy')],
  };
}

const MAX_BYTES = 0x10000000;
