/** The one step of hashing that all classifiers share; its counterpart at compile time is `hashOf` in authz/wasm/image.ts. */
import { multiply, set, xor } from './instructions.ts';
import type { Instruction, Operand } from './instructions.ts';
import { HASH_FACTOR } from './memory-map.ts';

/** Takes one more byte into the local `hash`. */
export function hashByte(byte: Operand): Instruction {
  return set('hash', multiply(xor('hash', byte), HASH_FACTOR));
}
