/**
 * How a module's memory is laid out: what the writer (authz/wasm/image.ts) puts where the code (authz/wasm/evaluator.ts) looks
 * for it. Addresses and offsets in bytes; everything but text is a little-endian 32-bit word; address 0 is "none".
 */

/** Set by the code when a list of values has more classes than a cell can hold: the decision is then an error. */
export const OVERFLOW = 4;
/** Table of 256 bytes: 1 for those that `{*}` accepts. */
export const WILDCARD_TABLE = 16;
export const FIRST_FREE = WILDCARD_TABLE + 256;

/** Where values are written; the largest is as long. */
export const SCRATCH_BYTES = 65_536;

/** Classes that a cell of a list holds, after the word with their number. */
export const LIST_CAPACITY = 32;

/** Hash of text: h = (h ^ byte) * FACTOR for each byte, from SEED (FNV-1a). */
export const HASH_SEED = 0x811c9dc5 | 0;
export const HASH_FACTOR = 0x01000193;
/** Where in a table a hash starts probing: h ^ (h >>> HASH_FOLD), masked. */
export const HASH_FOLD = 15;

/**
 * A table is addresses of records, 0 for a free place, at most a quarter of them taken, so that what is not there is mostly found
 * out without a look at a record. A record of a text ends with its bytes: one cache line answers.
 */
export const TEXT = { hash: 0, length: 4, classNumber: 8, text: 12 } as const;

/** Descriptor of a slot. A cell's address has bit 0 set when it is a list, and bit 1, too, when the list keeps class 0. */
export const SLOT = {
  presenceCell: 0,
  exactTable: 4,
  exactMask: 8,
  exactCell: 12,
  exactLongest: 16,
  prefixTable: 20,
  prefixMask: 24,
  prefixCell: 28,
  prefixLongest: 32,
  /** Bit n is set when some prefix has n bytes. */
  prefixLengths: 36,
  /** Table of 256 bytes: 1 for those that some prefix ends with. */
  prefixEnds: 40,
  suffixTable: 44,
  suffixMask: 48,
  suffixCell: 52,
  suffixLongest: 56,
  suffixLengths: 60,
  automata: 64,
  automatonCount: 68,
  templates: 72,
  templateCount: 76,
  bytes: 80,
} as const;

/** Descriptor of a byte automaton. */
export const BYTES = { cell: 0, start: 4, byteClasses: 8, classCount: 12, next: 16, classOfState: 20, bytes: 24 } as const;

/** Descriptor of a template automaton; states and transitions below. */
export const TEMPLATE = { cell: 0, start: 4, moves: 8, moveMask: 12, states: 16, bytes: 20 } as const;
export const TEMPLATE_STATE = { valid: 0, invalid: 4, empty: 8, classNumber: 12, bytes: 16 } as const;
/** Record of a transition by literal segment, in a table like those of texts. */
export const MOVE = { hash: 0, state: 4, length: 8, next: 12, text: 16 } as const;
/** Where probing starts: (state * FACTOR) ^ hash, folded. */
export const MOVE_HASH = { factor: 0x9e3779b1 | 0, fold: HASH_FOLD } as const;

/** A stage: address of its index, what it answers when nothing matches, address of the stage that an answer may lead to. */
export const STAGE = { index: 0, otherwise: 4, jump: 8, bytes: 12 } as const;
/** An index: clauses that are always looked at, then `count` entries. */
export const INDEX = { always: 0, count: 4, entries: 8 } as const;
/**
 * For each class of the cell, `stride` bytes apart, the address of a list of clauses. All stages that read a cell share one table,
 * so that the lists of a class are one cache line away from each other.
 */
export const ENTRY = { cell: 0, lists: 4, stride: 8, bytes: 12 } as const;
/**
 * A tree: cell, number of children, and for each child the class from which on it counts and its address. An address with bit 0 set
 * is a tree, any other one a list. The address of a tree stands, so marked, where that of a list could.
 */
export const TREE = { cell: 0, count: 4, children: 8 } as const;
export const TREE_CHILD = { start: 0, address: 4, shift: 3 } as const;
/** A clause: its answer, the address after its checks, and the checks. A list is clauses in order of their answers, ended by 0. */
export const CLAUSE = { answer: 0, end: 4, checks: 8 } as const;
/** A check: twice the number of its alternatives, plus 1 when it is negated; then the alternatives. */
export const CHECK = { header: 0, alternatives: 4 } as const;
/**
 * An alternative: its cell, with bit 0 for a list and bit 1 for a bit set. Without bit 1 two words: lowest class and span. With it:
 * address and number of classes.
 */
export const ALTERNATIVE = { cell: 0, low: 4, span: 8, bytes: 12 } as const;

/**
 * What `decide` gives back: number of the outcome * 4 + effect. Only `allow` and `deny` end a decision; `next` goes to the next
 * stage, `jump` to the one that the stage names. `ERROR` names no outcome.
 */
export const EFFECT = { next: 0, allow: 1, deny: 2, jump: 3 } as const;
export const ERROR = 3;
/** Nothing matched; larger than every answer. */
export const NO_ANSWER = -1;
