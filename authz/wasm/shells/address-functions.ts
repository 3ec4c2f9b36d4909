/** The code that reads a textual IP address as base/cidr.ts does and has it classified: its family, then its bytes. */
import type { FunctionSource } from '../body-encoder.ts';
import {
  above,
  add,
  atLeast,
  below,
  block,
  branchIf,
  branch,
  bump,
  call,
  choose,
  copyMemory,
  equal,
  fillMemory,
  giveBack,
  isZero,
  leave,
  load,
  loadByte,
  loop,
  loopWhile,
  multiply,
  or,
  set,
  shiftLeft,
  shiftRight,
  storeByte,
  subtract,
  when,
} from '../instructions.ts';
import { DOT, ZERO, COLON, LOWER_A } from './ascii.ts';

export function addressFunctions(scratch: number): readonly FunctionSource[] {
  return [readIpv4, hexDigit, readIpv6, putIp(scratch)];
}

const NO_GAP = 9;

/** Four decimal numbers up to 255 without leading zeros, from `at` to `end`, as four bytes at `out`; whether it is that. */
const readIpv4: FunctionSource = {
  name: 'readIpv4',
  isExported: false,
  parameters: ['at', 'end', 'out'],
  hasResult: true,
  locals: ['part', 'value', 'digits', 'byte'],
  body: [
    loop(
      'parts',
      set('value', 0),
      set('digits', 0),
      block(
        'over',
        loop(
          'digits',
          branchIf('over', atLeast('at', 'end')),
          set('byte', subtract(loadByte('at'), ZERO)),
          branchIf('over', above('byte', 9)),
          // A number that begins with 0 is 0.
          when('digits', [when(isZero('value'), [giveBack(0)])]),
          set('value', add(multiply('value', 10), 'byte')),
          bump('digits', 1),
          when(above('digits', 3), [giveBack(0)]),
          bump('at', 1),
          branch('digits'),
        ),
      ),
      when(isZero('digits'), [giveBack(0)]),
      when(above('value', 255), [giveBack(0)]),
      storeByte(add('out', 'part'), 'value'),
      bump('part', 1),
      when(equal('part', 4), [giveBack(equal('at', 'end'))]),
      when(atLeast('at', 'end'), [giveBack(0)]),
      when(equal(loadByte('at'), DOT), [bump('at', 1), branch('parts')]),
    ),
    giveBack(0),
  ],
};

/** Value of a hexadecimal digit, 16 for what is none. */
const hexDigit: FunctionSource = {
  name: 'hexDigit',
  isExported: false,
  parameters: ['byte'],
  hasResult: true,
  locals: [],
  body: [
    when(below(subtract('byte', ZERO), 10), [giveBack(subtract('byte', ZERO))]),
    when(below(subtract(or('byte', 0x20), LOWER_A), 6), [giveBack(subtract(or('byte', 0x20), LOWER_A - 10))]),
    giveBack(16),
  ],
};

/** Groups of up to four hexadecimal digits, at most one "::", perhaps an IPv4 address at the end, as 16 bytes at `out`. */
const readIpv6: FunctionSource = {
  name: 'readIpv6',
  isExported: false,
  parameters: ['at', 'end', 'out'],
  hasResult: true,
  locals: ['groups', 'gap', 'value', 'digits', 'digit', 'start'],
  body: [
    fillMemory('out', 0, 16),
    set('gap', NO_GAP),
    when(below(subtract('end', 'at'), 2), [giveBack(0)]),
    when(equal(loadByte('at'), COLON), [
      when(isZero(equal(loadByte('at', 1), COLON)), [giveBack(0)]),
      set('gap', 0),
      bump('at', 2),
    ]),
    block(
      'done',
      loop(
        'groups',
        branchIf('done', atLeast('at', 'end')),
        when(atLeast('groups', 8), [giveBack(0)]),
        set('start', 'at'),
        set('value', 0),
        set('digits', 0),
        block(
          'over',
          loop(
            'digits',
            branchIf('over', atLeast('at', 'end')),
            set('digit', call('hexDigit', loadByte('at'))),
            branchIf('over', equal('digit', 16)),
            set('value', add(shiftLeft('value', 4), 'digit')),
            bump('digits', 1),
            when(above('digits', 4), [giveBack(0)]),
            bump('at', 1),
            branch('digits'),
          ),
        ),
        when(isZero('digits'), [giveBack(0)]),
        when(below('at', 'end'), [
          when(equal(loadByte('at'), DOT), [
            when(above('groups', 6), [giveBack(0)]),
            when(isZero(call('readIpv4', 'start', 'end', add('out', shiftLeft('groups', 1)))), [giveBack(0)]),
            bump('groups', 2),
            branch('done'),
          ]),
        ]),
        storeByte(add('out', shiftLeft('groups', 1)), shiftRight('value', 8)),
        storeByte(add('out', shiftLeft('groups', 1)), 'value', 1),
        bump('groups', 1),
        branchIf('done', atLeast('at', 'end')),
        when(isZero(equal(loadByte('at'), COLON)), [giveBack(0)]),
        bump('at', 1),
        when(atLeast('at', 'end'), [giveBack(0)]),
        when(equal(loadByte('at'), COLON), [
          when(isZero(equal('gap', NO_GAP)), [giveBack(0)]),
          set('gap', 'groups'),
          bump('at', 1),
        ]),
        branch('groups'),
      ),
    ),
    when(equal('gap', NO_GAP), [giveBack(equal('groups', 8))]),
    when(atLeast('groups', 8), [giveBack(0)]),
    // What stands after the gap goes to the end.
    set('digits', shiftLeft(subtract('groups', 'gap'), 1)),
    copyMemory(subtract(add('out', 16), 'digits'), add('out', shiftLeft('gap', 1)), 'digits'),
    fillMemory(add('out', shiftLeft('gap', 1)), 0, subtract(16, shiftLeft('groups', 1))),
    giveBack(1),
  ],
};

/** An IPv4 address in the IPv6 form is the IPv4 address; what is no address is a byte that no block begins with. */
function putIp(scratch: number): FunctionSource {
  const bytes = scratch + 1;
  return {
    name: 'putIp',
    isExported: false,
    parameters: ['slot', 'at', 'length'],
    hasResult: false,
    locals: ['end', 'index', 'isV6'],
    body: [
      when(isZero('length'), [leave]),
      set('end', add('at', 'length')),
      storeByte(scratch, 0),
      loopWhile(
        'bytes',
        below('index', 'length'),
        when(equal(loadByte(add('at', 'index')), COLON), [set('isV6', 1)]),
        bump('index', 1),
      ),
      when(
        'isV6',
        [
          when(call('readIpv6', 'at', 'end', bytes), [
            storeByte(scratch, 6),
            when(isZero(or(or(load(bytes), load(bytes + 4)), shiftLeft(load(bytes + 8), 16))), [
              when(equal(load(bytes + 8), 0xffff0000 | 0), [storeByte(scratch, 4), copyMemory(bytes, bytes + 12, 4)]),
            ]),
          ]),
        ],
        [when(call('readIpv4', 'at', 'end', bytes), [storeByte(scratch, 4)])],
      ),
      set('index', loadByte(scratch)),
      call('classify', 'slot', choose(equal('index', 6), 17, choose(equal('index', 4), 5, 1))),
    ],
  };
}
