/** The code behind proxy-wasm's callbacks. Everything that the host hands over lives until the next request. */
import type { FunctionSource } from '../body-encoder.ts';
import type { ImportedFunction } from '../encoder.ts';
import type { Image } from '../image.ts';
import {
  above,
  add,
  and,
  below,
  bump,
  call,
  differ,
  drop,
  equal,
  fillMemory,
  giveBack,
  isZero,
  leave,
  load,
  loadByte,
  loopWhile,
  multiply,
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
import { COLON } from './ascii.ts';
import { TREE_GLOBALS } from './input-tree.ts';
import type { WrittenTree } from './input-tree.ts';
import type { ShellAddresses } from './shell-memory.ts';

/** An attribute of the host and what becomes of its value. */
export interface Property {
  /** Its path, parts separated by 0. */
  readonly name: Text;
  readonly put: 'putPrincipal' | 'putAddress' | 'putPortNumber' | 'putLower';
  readonly slot: number;
}

interface Text {
  readonly at: number;
  readonly length: number;
}

export interface ProxyTables {
  readonly properties: readonly Property[];
  /** Name of the metadata when claims are read. */
  readonly metadata: Text | null;
  readonly tree: WrittenTree;
  readonly headersNode: number;
  readonly metadataNode: number;
  /** Rows by number of the outcome; 0 is an error of the engine. */
  readonly results: number;
  readonly body: Text;
}

/** The name by which the host calls the heap's allocator. */
export const PROXY_ALLOCATOR = 'proxy_on_memory_allocate';
export const PROXY_IMPORTS: readonly ImportedFunction[] = [
  { name: 'proxy_get_header_map_pairs', parameterCount: 3, hasResult: true },
  { name: 'proxy_get_property', parameterCount: 4, hasResult: true },
  { name: 'proxy_send_local_response', parameterCount: 8, hasResult: true },
];

export function proxyFunctions(
  image: Pick<Image<unknown>, 'cellsStart' | 'cellsEnd'>,
  addresses: ShellAddresses,
  tables: ProxyTables,
): readonly FunctionSource[] {
  const nothing = (name: string, parameters: readonly string[]): FunctionSource => exported(name, parameters, false, []);
  const yes = (name: string, parameters: readonly string[]): FunctionSource => exported(name, parameters, true, [giveBack(1)]);
  return [
    askProperty(addresses),
    putAddress,
    putPortNumber,
    readHeaders(addresses, tables),
    readRequest(image, addresses, tables),
    nothing('proxy_abi_version_0_2_1', []),
    nothing('_initialize', []),
    nothing('proxy_on_context_create', ['context', 'parent']),
    yes('proxy_on_vm_start', ['context', 'size']),
    yes('proxy_on_configure', ['context', 'size']),
    exported(
      'proxy_on_request_headers',
      ['context', 'count', 'isEnd'],
      true,
      [
        call('readRequest', 'context'),
        set('row', add(tables.results, multiply(shiftRight(call('decide'), 2), RESULT_BYTES))),
        when(isZero(load('row')), [giveBack(GO_ON)]),
        // Should the host not send it, the request still goes no further.
        drop(
          call(
            'proxy_send_local_response',
            load('row'),
            load('row', 4),
            load('row', 8),
            tables.body.at,
            tables.body.length,
            0,
            0,
            -1,
          ),
        ),
        giveBack(STOP),
      ],
      ['row'],
    ),
    yes('proxy_on_done', ['context']),
    nothing('proxy_on_log', ['context']),
    nothing('proxy_on_delete', ['context']),
  ];
}

/** Whether the host has a value; it is then at the address and of the length that stand at `text`. */
function askProperty({ text }: ShellAddresses): FunctionSource {
  return {
    name: 'askProperty',
    isExported: false,
    parameters: ['name', 'length'],
    hasResult: true,
    locals: ['status'],
    body: [
      store(text, 0),
      store(text + 4, 0),
      set('status', call('proxy_get_property', 'name', 'length', text, text + 4)),
      when(isZero('status'), [giveBack(1)]),
      when(differ('status', NOT_FOUND), [store(OVERFLOW, 1)]),
      giveBack(0),
    ],
  };
}

/** `10.0.0.1:80` or `[::1]:80`; what has no port is taken as it is. */
const putAddress: FunctionSource = {
  name: 'putAddress',
  isExported: false,
  parameters: ['slot', 'at', 'length'],
  hasResult: false,
  locals: ['end'],
  body: [
    when(isZero('length'), [leave]),
    set('end', 'length'),
    loopWhile(
      'digits',
      and(above('end', 0), differ(loadByte(add(subtract('at', 1), 'end')), COLON)),
      set('end', subtract('end', 1)),
    ),
    when('end', [set('length', subtract('end', 1))]),
    when(above('length', 1), [
      when(equal(loadByte('at'), 0x5b), [
        bump('at', 1),
        // Without the bracket at the end, too.
        set('length', subtract('length', 2)),
      ]),
    ]),
    call('putIp', 'slot', 'at', 'length'),
  ],
};

/** A number of eight bytes. */
const putPortNumber: FunctionSource = {
  name: 'putPortNumber',
  isExported: false,
  parameters: ['slot', 'at', 'length'],
  hasResult: false,
  locals: [],
  body: [when(equal('length', 8), [call('putPort', 'slot', and(load('at'), 0xffff))], [store(OVERFLOW, 1)])],
};

/** The number of fields, the lengths of each name and value, then names and values, each ended by a 0. */
function readHeaders({ text }: ShellAddresses, { headersNode }: ProxyTables): FunctionSource {
  return {
    name: 'readHeaders',
    isExported: false,
    parameters: [],
    hasResult: false,
    locals: ['at', 'end', 'lengths', 'data', 'node', 'nameLength', 'valueLength'],
    body: [
      store(text, 0),
      store(text + 4, 0),
      when(call('proxy_get_header_map_pairs', REQUEST_HEADERS, text, text + 4), [store(OVERFLOW, 1), leave]),
      set('lengths', load(text)),
      set('end', add('lengths', load(text + 4))),
      when(below(load(text + 4), 4), [store(OVERFLOW, 1), leave]),
      when(above(load('lengths'), shiftRight(load(text + 4), 3)), [store(OVERFLOW, 1), leave]),
      set('data', add(add('lengths', 4), shiftLeft(load('lengths'), 3))),
      set('at', 'data'),
      bump('lengths', 4),
      loopWhile(
        'fields',
        below('lengths', 'data'),
        set('nameLength', load('lengths')),
        set('valueLength', load('lengths', 4)),
        when(above('nameLength', subtract('end', 'at')), [store(OVERFLOW, 1), leave]),
        when(above('valueLength', subtract(subtract('end', 'at'), 'nameLength')), [store(OVERFLOW, 1), leave]),
        set('node', call('findChild', headersNode, 'at', 'nameLength')),
        when('node', [call('runActions', 'node', add(add('at', 'nameLength'), 1), 'valueLength', 0)]),
        bump('at', add(add('nameLength', 'valueLength'), 2)),
        bump('lengths', 8),
      ),
    ],
  };
}

/** Puts everything that the policies read in place. */
function readRequest(
  { cellsEnd, cellsStart }: Pick<Image<unknown>, 'cellsStart' | 'cellsEnd'>,
  { heap, text }: ShellAddresses,
  { metadata, metadataNode, properties }: ProxyTables,
): FunctionSource {
  const value: readonly Instruction[] = [load(text), load(text + 4)];
  return {
    name: 'readRequest',
    isExported: false,
    parameters: ['context'],
    hasResult: false,
    locals: [],
    body: [
      setGlobal('heap', heap),
      fillMemory(cellsStart, 0, cellsEnd - cellsStart),
      store(OVERFLOW, 0),
      ...TREE_GLOBALS.map((name) => setGlobal(name, 0)),
      ...properties.map(({ name, put, slot }) =>
        when(call('askProperty', name.at, name.length), [call(put, ...(put === 'putPrincipal' ? value : [slot, ...value]))]),
      ),
      call('readHeaders'),
      ...(metadata === null
        ? []
        : [
            when(call('askProperty', metadata.at, metadata.length), [
              call('readMap', load(text), add(load(text), load(text + 4)), metadataNode, 1),
            ]),
            call('putRequestPrincipal'),
          ]),
    ],
  };
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

const RESULT_BYTES = 12;
const REQUEST_HEADERS = 0;
const NOT_FOUND = 1;
const GO_ON = 0;
const STOP = 1;
