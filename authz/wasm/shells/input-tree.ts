/**
 * Where in a document the policies' attributes stand: a tree of keys, each with what is to be done with the value that stands there.
 * Readers of JSON and of protocol buffers walk it alike.
 */
import type { FunctionSource } from '../body-encoder.ts';
import {
  add,
  atMost,
  below,
  bump,
  call,
  copyMemory,
  equal,
  giveBack,
  global,
  isZero,
  load,
  loadByte,
  loopWhile,
  multiply,
  or,
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
import { OVERFLOW, SCRATCH_BYTES } from '../memory-map.ts';
import type { Memory } from '../memory.ts';

/**
 * What becomes of a text. Up to `ip` they are attributes, which have one type: another makes the decision an error. Of a claim every
 * other type counts as nothing, and of a list each text that is in it.
 */
export const DO = {
  text: 1,
  lower: 2,
  host: 3,
  path: 4,
  query: 5,
  principal: 6,
  ip: 7,
  port: 8,
  claim: 9,
  words: 10,
  issuer: 11,
  subject: 12,
  filled: 13,
} as const;

export interface TreeAction {
  readonly kind: (typeof DO)[keyof typeof DO];
  /** Descriptor of the slot; 0 for actions that have none. */
  readonly slot: number;
}

export interface TreeLeaf {
  readonly path: readonly string[];
  readonly action: TreeAction;
}

export interface WrittenTree {
  readonly root: number;
  /** Words that are set for the keys that were seen. */
  readonly seenStart: number;
  readonly seenBytes: number;
  /** Address of the node at a path, 0 for none. */
  nodeAt(path: readonly string[]): number;
}

/** @param marks  paths whose being there is asked, beside those of the leaves */
export function writeTree(memory: Memory, leaves: readonly TreeLeaf[], marks: readonly (readonly string[])[]): WrittenTree {
  const root = newKey();
  for (const { action, path } of leaves) {
    const { actions } = keyAt(root, path);
    // An identity is taken apart once, whatever is read of it.
    if (!actions.some(({ kind }) => kind === DO.principal && action.kind === DO.principal)) actions.push(action);
  }
  for (const path of marks) keyAt(root, path);
  const count = countOf(root);
  const seenStart = memory.reserve(4 * count, 4);
  const addresses = new Map<Key, number>();
  let next = seenStart;
  const write = (key: Key): number => {
    const seen = next;
    next += 4;
    const children = [...key.children].map(([name, child]) => {
      const bytes = Buffer.from(name, 'utf8').toString('latin1');
      const text = memory.reserve(bytes.length, 1);
      memory.setText(text, bytes);
      return [text, bytes.length, write(child)];
    });
    const actions = memory.addWords(key.actions.flatMap(({ kind, slot }) => [kind, slot]));
    const at = memory.addWords([seen, key.actions.length, actions, children.length, ...children.flat()]);
    addresses.set(key, at);
    return at;
  };
  return {
    root: write(root),
    seenStart,
    seenBytes: 4 * count,
    nodeAt: (path) => addresses.get(keyAt(root, path)) ?? 0,
  };
}

/** @param requestPrincipal  descriptor of its slot, 0 where no policy reads it */
export function treeFunctions(scratch: number, requestPrincipal: number): readonly FunctionSource[] {
  return [
    findChild,
    runAction,
    runActions,
    refuseType,
    runNumber,
    putPort(scratch),
    putRequestPrincipal(scratch, requestPrincipal),
  ];
}

/** Globals that the functions use: where issuer and subject were kept, 0 for none, and the first free byte of the heap. */
export const TREE_GLOBALS = ['issuerAt', 'issuerLength', 'subjectAt', 'subjectLength'] as const;

/** A node: its seen word, its actions (number, address), the number of its children, and these: name (address, length), node. */
const NODE_BYTES = 16;
const CHILD_BYTES = 12;

interface Key {
  readonly children: Map<string, Key>;
  readonly actions: TreeAction[];
}

function newKey(): Key {
  return { children: new Map(), actions: [] };
}

function keyAt(root: Key, path: readonly string[]): Key {
  let key = root;
  for (const name of path) {
    const child = key.children.get(name) ?? newKey();
    key.children.set(name, child);
    key = child;
  }
  return key;
}

function countOf({ children }: Key): number {
  let count = 1;
  for (const child of children.values()) count += countOf(child);
  return count;
}

/** The node below `node` with a name, 0 for none. */
const findChild: FunctionSource = {
  name: 'findChild',
  isExported: false,
  parameters: ['node', 'at', 'length'],
  hasResult: true,
  locals: ['child', 'end'],
  body: [
    when(isZero('node'), [giveBack(0)]),
    set('child', add('node', NODE_BYTES)),
    set('end', add('child', multiply(load('node', 12), CHILD_BYTES))),
    loopWhile(
      'children',
      below('child', 'end'),
      when(equal(load('child', 4), 'length'), [
        when(call('sameBytes', 'at', load('child'), 'length'), [giveBack(load('child', 8))]),
      ]),
      bump('child', CHILD_BYTES),
    ),
    giveBack(0),
  ],
};

const runs = (kind: number, ...then: readonly Instruction[]): Instruction => when(equal('kind', kind), then);

const runAction: FunctionSource = {
  name: 'runAction',
  isExported: false,
  parameters: ['kind', 'slot', 'at', 'length', 'isElement'],
  hasResult: false,
  locals: [],
  body: [
    when(
      'isElement',
      [
        when(atMost('kind', DO.port), [store(OVERFLOW, 1)]),
        when(or(equal('kind', DO.claim), equal('kind', DO.words)), [call('putText', 'slot', 'at', 'length')]),
      ],
      [
        when(or(equal('kind', DO.text), equal('kind', DO.claim)), [call('putText', 'slot', 'at', 'length')]),
        runs(DO.lower, call('putLower', 'slot', 'at', 'length')),
        runs(DO.host, call('putHost', 'slot', 'at', 'length')),
        runs(DO.path, call('putPath', 'slot', 'at', 'length')),
        runs(DO.query, call('putQuery', 'slot', 'at', 'length')),
        runs(DO.principal, call('putPrincipal', 'at', 'length')),
        runs(DO.ip, call('putIp', 'slot', 'at', 'length')),
        runs(DO.port, store(OVERFLOW, 1)),
        runs(DO.words, call('putWords', 'slot', 'at', 'length')),
        runs(DO.filled, when('length', [call('putText', 'slot', 'at', 'length')])),
        runs(DO.issuer, setGlobal('issuerAt', call('keepText', 'at', 'length')), setGlobal('issuerLength', 'length')),
        runs(DO.subject, setGlobal('subjectAt', call('keepText', 'at', 'length')), setGlobal('subjectLength', 'length')),
      ],
    ),
  ],
};

/** Does with a text what the node says; `isElement` for one that stands in a list. */
const runActions: FunctionSource = {
  name: 'runActions',
  isExported: false,
  parameters: ['node', 'at', 'length', 'isElement'],
  hasResult: false,
  locals: ['action', 'end'],
  body: [
    set('action', load('node', 8)),
    set('end', add('action', shiftLeft(load('node', 4), 3))),
    loopWhile(
      'actions',
      below('action', 'end'),
      call('runAction', load('action'), load('action', 4), 'at', 'length', 'isElement'),
      bump('action', 8),
    ),
  ],
};

/** For a value that is no text where an attribute stands. */
const refuseType: FunctionSource = {
  name: 'refuseType',
  isExported: false,
  parameters: ['node'],
  hasResult: false,
  locals: [],
  body: [when(load('node', 4), [when(atMost(load(load('node', 8)), DO.port), [store(OVERFLOW, 1)])])],
};

/** A number, as its digits; only ports are numbers. */
const runNumber: FunctionSource = {
  name: 'runNumber',
  isExported: false,
  parameters: ['node', 'at', 'length'],
  hasResult: false,
  locals: ['value', 'index', 'byte'],
  body: [
    when(load('node', 4), [
      when(
        equal(load(load('node', 8)), DO.port),
        [
          loopWhile(
            'digits',
            below('index', 'length'),
            set('byte', subtract(loadByte(add('at', 'index')), 0x30)),
            set('value', add(multiply('value', 10), 'byte')),
            when(or(below(9, 'byte'), below(0xffff, 'value')), [store(OVERFLOW, 1), set('index', 'length'), set('value', 0)]),
            bump('index', 1),
          ),
          call('putPort', load(load('node', 8), 4), 'value'),
        ],
        [call('refuseType', 'node')],
      ),
    ]),
  ],
};

/** Two bytes, big-endian. */
function putPort(scratch: number): FunctionSource {
  return {
    name: 'putPort',
    isExported: false,
    parameters: ['slot', 'port'],
    hasResult: false,
    locals: [],
    body: [storeByte(scratch, shiftRight('port', 8)), storeByte(scratch + 1, 'port'), call('classify', 'slot', 2)],
  };
}

/** Issuer, 0xff, subject, when both were there. */
function putRequestPrincipal(scratch: number, slot: number): FunctionSource {
  const [issuerLength, subjectLength] = [global('issuerLength'), global('subjectLength')];
  return {
    name: 'putRequestPrincipal',
    isExported: false,
    parameters: [],
    hasResult: false,
    locals: [],
    body:
      slot === 0
        ? []
        : [
            when(global('issuerAt'), [
              when(global('subjectAt'), [
                when(
                  below(SCRATCH_BYTES - 1, add(issuerLength, subjectLength)),
                  [store(OVERFLOW, 1)],
                  [
                    copyMemory(scratch, global('issuerAt'), issuerLength),
                    storeByte(add(scratch, issuerLength), 0xff),
                    copyMemory(add(scratch + 1, issuerLength), global('subjectAt'), subjectLength),
                    call('classify', slot, add(add(issuerLength, subjectLength), 1)),
                  ],
                ),
              ]),
            ]),
          ],
  };
}
