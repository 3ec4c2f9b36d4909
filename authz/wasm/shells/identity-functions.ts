/**
 * The code that takes a SPIFFE ID apart as authz/engine/identity.ts does: strictly `/ns/NS/sa/SA` of an own trust domain, and widely
 * every namespace and account that a path could be taken to name. INVARIANT: loops end at the number of segments, which is bounded.
 */
import type { FunctionSource } from '../body-encoder.ts';
import {
  above,
  add,
  and,
  atMost,
  below,
  bump,
  call,
  copyMemory,
  equal,
  giveBack,
  isZero,
  leave,
  load,
  loadByte,
  loopWhile,
  or,
  set,
  store,
  storeByte,
  subtract,
  when,
  word,
} from '../instructions.ts';
import type { Instruction, Operand } from '../instructions.ts';
import { OVERFLOW, SCRATCH_BYTES } from '../memory-map.ts';
import type { Memory } from '../memory.ts';
import { MAX_IDENTITY_BYTES, MAX_IDENTITY_SLASHES } from './shell-memory.ts';
import type { ShellAddresses } from './shell-memory.ts';
import { SLASH } from './ascii.ts';

/** Descriptors of the slots that an identity fills, 0 where no policy reads them. */
export interface IdentitySlots {
  readonly principal: number;
  readonly trustDomain: number;
  readonly namespace: number;
  readonly account: number;
  readonly anyNamespace: number;
  readonly anyAccount: number;
}

/** Texts that the code compares with, in the image. */
export interface IdentityTexts {
  readonly scheme: number;
  readonly ns: number;
  readonly sa: number;
  readonly trustDomains: readonly { readonly at: number; readonly length: number }[];
}

export function writeIdentityTexts(memory: Memory, trustDomains: readonly string[]): IdentityTexts {
  const put = (text: string): number => {
    const at = memory.reserve(text.length, 1);
    memory.setText(at, text);
    return at;
  };
  return {
    scheme: put(SCHEME),
    ns: put('ns'),
    sa: put('sa'),
    trustDomains: trustDomains
      .map((domain) => Buffer.from(domain, 'utf8').toString('latin1'))
      .map((domain) => ({ at: put(domain), length: domain.length })),
  };
}

export function identityFunctions(
  addresses: ShellAddresses,
  slots: IdentitySlots,
  texts: IdentityTexts,
): readonly FunctionSource[] {
  return [
    isText,
    cutIdentity(addresses),
    segmentIs(addresses, texts),
    isOwnTrustDomain(addresses, texts),
    isFilled(addresses),
    putPair(addresses),
    putStrictly(addresses, slots),
    putNamespaces(addresses, slots),
    putAccounts(slots),
    putPrincipal(addresses, slots, texts),
  ];
}

const isText: FunctionSource = {
  name: 'isText',
  isExported: false,
  parameters: ['at', 'length', 'text', 'wanted'],
  hasResult: true,
  locals: [],
  body: [when(equal('length', 'wanted'), [giveBack(call('sameBytes', 'at', 'text', 'length'))]), giveBack(0)],
};

/** Start of segment `index`; that of one past the last is one past the end. */
const startOf = ({ segments }: ShellAddresses, index: Operand): Instruction => load(word(segments, index));
const lengthOf = (addresses: ShellAddresses, index: Operand): Instruction =>
  subtract(subtract(startOf(addresses, add(index, 1)), startOf(addresses, index)), 1);

/** Notes where segments start; gives their number. */
function cutIdentity({ segments }: ShellAddresses): FunctionSource {
  return {
    name: 'cutIdentity',
    isExported: false,
    parameters: ['at', 'length'],
    hasResult: true,
    locals: ['end', 'count'],
    body: [
      set('end', add('at', 'length')),
      store(segments, 'at'),
      set('count', 1),
      loopWhile(
        'bytes',
        below('at', 'end'),
        bump('at', 1),
        when(equal(loadByte(subtract('at', 1)), SLASH), [store(word(segments, 'count'), 'at'), bump('count', 1)]),
      ),
      store(word(segments, 'count'), add('end', 1)),
      giveBack('count'),
    ],
  };
}

/** Whether a segment is `ns` (0) or `sa` (1). */
function segmentIs(addresses: ShellAddresses, { ns, sa }: IdentityTexts): FunctionSource {
  const isNamed = (text: number): Instruction =>
    call('isText', startOf(addresses, 'index'), lengthOf(addresses, 'index'), text, 2);
  return {
    name: 'segmentIs',
    isExported: false,
    parameters: ['index', 'which'],
    hasResult: true,
    locals: [],
    body: [when('which', [giveBack(isNamed(sa))]), giveBack(isNamed(ns))],
  };
}

function isOwnTrustDomain(addresses: ShellAddresses, { trustDomains }: IdentityTexts): FunctionSource {
  return {
    name: 'isOwnTrustDomain',
    isExported: false,
    parameters: [],
    hasResult: true,
    locals: [],
    body: [
      ...trustDomains.map(({ at, length }) =>
        when(call('isText', startOf(addresses, 0), lengthOf(addresses, 0), at, length), [giveBack(1)]),
      ),
      giveBack(0),
    ],
  };
}

/** Whether the segments from `first` up to, not including, `last` are any text when joined. */
function isFilled(addresses: ShellAddresses): FunctionSource {
  return {
    name: 'isFilled',
    isExported: false,
    parameters: ['first', 'last'],
    hasResult: true,
    locals: [],
    body: [
      when(atMost('last', 'first'), [giveBack(0)]),
      when(above(subtract('last', 'first'), 1), [giveBack(1)]),
      giveBack(above(lengthOf(addresses, 'first'), 0)),
    ],
  };
}

/** Two segments with a slash between them. */
function putPair(addresses: ShellAddresses): FunctionSource {
  const { scratch } = addresses;
  const [left, right] = [lengthOf(addresses, 'first'), lengthOf(addresses, 'second')];
  return {
    name: 'putPair',
    isExported: false,
    parameters: ['slot', 'first', 'second'],
    hasResult: false,
    locals: ['length'],
    body: [
      set('length', left),
      copyMemory(scratch, startOf(addresses, 'first'), 'length'),
      storeByte(add(scratch, 'length'), SLASH),
      copyMemory(add(scratch + 1, 'length'), startOf(addresses, 'second'), right),
      call('classify', 'slot', add(add('length', 1), right)),
    ],
  };
}

function putStrictly(addresses: ShellAddresses, slots: IdentitySlots): FunctionSource {
  const put = [
    ...(slots.namespace === 0 ? [] : [call('putText', slots.namespace, startOf(addresses, 2), lengthOf(addresses, 2))]),
    ...(slots.account === 0 ? [] : [call('putPair', slots.account, 2, 4)]),
  ];
  return {
    name: 'putStrictly',
    isExported: false,
    parameters: ['count'],
    hasResult: false,
    locals: [],
    body: [
      when(equal('count', 5), [
        when(and(call('segmentIs', 1, 0), call('segmentIs', 3, 1)), [
          when(and(call('isFilled', 2, 3), call('isFilled', 4, 5)), [when(call('isOwnTrustDomain'), put)]),
        ]),
      ]),
    ],
  };
}

/** Every text between `/ns/` and a later slash. */
function putNamespaces(addresses: ShellAddresses, { anyNamespace }: IdentitySlots): FunctionSource {
  return {
    name: 'putNamespaces',
    isExported: false,
    parameters: ['count'],
    hasResult: false,
    locals: ['ns', 'last'],
    body: [
      set('ns', 1),
      loopWhile(
        'starts',
        below(add('ns', 1), 'count'),
        when(call('segmentIs', 'ns', 0), [
          set('last', add('ns', 1)),
          loopWhile(
            'ends',
            below(add('last', 1), 'count'),
            call(
              'putText',
              anyNamespace,
              startOf(addresses, add('ns', 1)),
              subtract(subtract(startOf(addresses, add('last', 1)), startOf(addresses, add('ns', 1))), 1),
            ),
            bump('last', 1),
          ),
        ]),
        bump('ns', 1),
      ),
    ],
  };
}

/** Every pair NS, SA of `spiffe://.+/ns/NS/(.+/|)sa/SA(/.+)?`. */
function putAccounts({ anyAccount }: IdentitySlots): FunctionSource {
  const between = or(equal('sa', add('ns', 2)), call('isFilled', add('ns', 2), 'sa'));
  const after = or(equal(add('sa', 2), 'count'), call('isFilled', add('sa', 2), 'count'));
  return {
    name: 'putAccounts',
    isExported: false,
    parameters: ['count'],
    hasResult: false,
    locals: ['ns', 'sa'],
    body: [
      set('ns', 1),
      loopWhile(
        'starts',
        below('ns', 'count'),
        when(and(call('segmentIs', 'ns', 0), call('isFilled', 0, 'ns')), [
          set('sa', add('ns', 2)),
          loopWhile(
            'ends',
            below(add('sa', 1), 'count'),
            when(call('segmentIs', 'sa', 1), [
              when(and(between, after), [call('putPair', anyAccount, add('ns', 1), add('sa', 1))]),
            ]),
            bump('sa', 1),
          ),
        ]),
        bump('ns', 1),
      ),
    ],
  };
}

/** Everything that an identity says; one that cannot be judged makes the decision an error, what is no SPIFFE ID says nothing. */
function putPrincipal(addresses: ShellAddresses, slots: IdentitySlots, { scheme }: IdentityTexts): FunctionSource {
  const needsSegments = Object.entries(slots).some(([kind, slot]) => kind !== 'principal' && slot !== 0);
  return {
    name: 'putPrincipal',
    isExported: false,
    parameters: ['at', 'length'],
    hasResult: false,
    locals: ['index', 'slashes', 'count'],
    body: [
      when(above('length', Math.min(MAX_IDENTITY_BYTES, SCRATCH_BYTES)), [store(OVERFLOW, 1), leave]),
      loopWhile('bytes', below('index', 'length'), bump('slashes', equal(loadByte(add('at', 'index')), SLASH)), bump('index', 1)),
      when(above('slashes', MAX_IDENTITY_SLASHES), [store(OVERFLOW, 1), leave]),
      when(below('length', SCHEME.length), [leave]),
      when(isZero(call('sameBytes', 'at', scheme, SCHEME.length)), [leave]),
      bump('at', SCHEME.length),
      set('length', subtract('length', SCHEME.length)),
      ...(slots.principal === 0 ? [] : [call('putText', slots.principal, 'at', 'length')]),
      ...(needsSegments
        ? [
            set('count', call('cutIdentity', 'at', 'length')),
            ...(slots.trustDomain === 0
              ? []
              : [when(above('count', 1), [call('putText', slots.trustDomain, 'at', lengthOf(addresses, 0))])]),
            call('putStrictly', 'count'),
            ...(slots.anyNamespace === 0 ? [] : [call('putNamespaces', 'count')]),
            ...(slots.anyAccount === 0 ? [] : [call('putAccounts', 'count')]),
          ]
        : []),
    ],
  };
}

const SCHEME = 'spiffe://';
