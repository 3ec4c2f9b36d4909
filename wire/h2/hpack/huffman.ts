/**
 * Strings in HPACK's Huffman code (RFC 7541, section 5.2), both ways. Decoding walks a state machine by half bytes; it refuses EOS
 * in a string, padding of more than seven bits and padding that is not the beginning of EOS.
 *
 * Hot path.
 */
import { CODE_LENGTHS, CODES } from './huffman-code.ts';

/**
 * Decodes `bytes` from `start` to `end` into `out` from `at`, which has room for eight bytes for each five: no code is shorter than five bits.
 *
 * @returns the offset after what was written, -1 when the bytes are not in the code
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  let state = 0;
  let to = at;
  for (let from = start; from < end; from++) {
    const byte = bytes[from] ?? 0;
    let step = STEPS[(state << 4) | (byte >> 4)] ?? FAIL;
    if ((step & EMITS) !== 0) out[to++] = step & 255;
    state = step >> 16;
    step = STEPS[(state << 4) | (byte & 15)] ?? FAIL;
    if ((step & EMITS) !== 0) out[to++] = step & 255;
    state = step >> 16;
  }
  return MAY_END[state] === 1 ? to : -1;
}

/** Bytes that `encodeHuffman` writes for the same range. */
export function huffmanLength(bytes: Uint8Array, start: number, end: number): number {
  let bits = 0;
  for (let index = start; index < end; index++) bits += LENGTHS[bytes[index] ?? 0] ?? 0;
  return (bits + 7) >> 3;
}

/** Encodes `bytes` from `start` to `end` into `out` from `at`; returns the offset after what was written. */
export function encodeHuffman(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  let to = at;
  let held = 0;
  let bits = 0;
  for (let index = start; index < end; index++) {
    const symbol = bytes[index] ?? 0;
    let length = LENGTHS[symbol] ?? 0;
    let code = CODES[symbol] ?? 0;
    // Up to 7 bits are held: longer codes go in two parts, so that 32 bits suffice.
    if (length > 24) {
      const low = length - 16;
      held = (held << 16) | (code >>> low);
      bits += 16;
      out[to++] = held >>> (bits - 8);
      out[to++] = held >>> (bits - 16);
      bits -= 16;
      code &= (1 << low) - 1;
      length = low;
    }
    held = (held << length) | code;
    bits += length;
    while (bits >= 8) {
      bits -= 8;
      out[to++] = held >>> bits;
    }
  }
  if (bits > 0) out[to++] = (held << (8 - bits)) | (255 >> bits);
  return to;
}

const LENGTHS = Uint8Array.from(CODE_LENGTHS);

const EMITS = 256;
/** The symbol that never stands in a string. */
const EOS = 256;

interface Node {
  readonly next: (Node | number | null)[];
  readonly state: number;
  /** The bits on the way here are up to seven ones. */
  readonly mayEnd: boolean;
}

/** Every inner node of the code's tree is a state; the last state is that of failure, which leads only to itself. */
const NODES: Node[] = [];
const ROOT = addNode(true);
for (let symbol = 0; symbol < CODE_LENGTHS.length; symbol++) plant(symbol);

const FAILED = NODES.length;
const FAIL = FAILED << 16;
const MAY_END = new Uint8Array(FAILED + 1);
/** By state and half byte: the next state in the upper half, then `EMITS` and the byte that is complete. */
const STEPS = new Int32Array((FAILED + 1) * 16).fill(FAIL);
for (const node of NODES) {
  MAY_END[node.state] = node.mayEnd ? 1 : 0;
  for (let half = 0; half < 16; half++) STEPS[(node.state << 4) | half] = stepFrom(node, half);
}

function addNode(mayEnd: boolean): Node {
  const node = { next: [null, null], state: NODES.length, mayEnd };
  NODES.push(node);
  return node;
}

function plant(symbol: number): void {
  const length = CODE_LENGTHS[symbol] ?? 0;
  const code = CODES[symbol] ?? 0;
  let node = ROOT;
  for (let depth = 1; depth < length; depth++) {
    const bit = (code >>> (length - depth)) & 1;
    const child = node.next[bit];
    if (typeof child === 'object' && child !== null) node = child;
    else {
      const added = addNode(node.mayEnd && bit === 1 && depth <= 7);
      node.next[bit] = added;
      node = added;
    }
  }
  node.next[code & 1] = symbol;
}

function stepFrom(from: Node, half: number): number {
  let node = from;
  let emitted = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const child = node.next[(half >> bit) & 1] ?? null;
    if (child === null || child === EOS) return FAIL;
    if (typeof child === 'number') {
      emitted = EMITS | child;
      node = ROOT;
    } else node = child;
  }
  return (node.state << 16) | emitted;
}
