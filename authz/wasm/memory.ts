/** The memory that a module starts with, while it is being written. It grows; the module's own memory does not. */
import { PosternError } from '#base/error.ts';

import { FIRST_FREE } from './memory-map.ts';

export class Memory {
  #bytes = new Uint8Array(65_536);
  /** Words are aligned, and machines that run this are little-endian, as WebAssembly is. */
  #words = new Int32Array(this.#bytes.buffer);
  #end = FIRST_FREE;

  reserve(bytes: number, alignment: 1 | 4): number {
    const at = alignment === 4 ? (this.#end + 3) & ~3 : this.#end;
    this.#end = at + bytes;
    if (this.#end > MAX_IMAGE_BYTES) {
      throw new PosternError(
        'policy_too_large',
        `Cannot compile the policies: their tables need more than ${MAX_IMAGE_BYTES} bytes`,
        'Give the workload fewer policies',
      );
    }
    if (this.#end > this.#bytes.length) {
      const larger = new Uint8Array(4 * Math.ceil(Math.max(2 * this.#bytes.length, this.#end) / 4));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#words = new Int32Array(larger.buffer);
    }
    return at;
  }

  word(at: number): number {
    return this.#words[at >> 2] ?? 0;
  }

  setWord(at: number, value: number): void {
    this.#words[at >> 2] = value;
  }

  setByte(at: number, value: number): void {
    this.#bytes[at] = value;
  }

  setBit(at: number, index: number): void {
    this.#bytes[at + (index >> 3)] = (this.#bytes[at + (index >> 3)] ?? 0) | (1 << (index & 7));
  }

  addWords(words: readonly number[]): number {
    const at = this.reserve(4 * words.length, 4);
    for (const [index, word] of words.entries()) this.setWord(at + 4 * index, word);
    return at;
  }

  setText(at: number, text: string): void {
    this.#bytes.set(Buffer.from(text, 'latin1'), at);
  }

  done(): Uint8Array {
    return this.#bytes.subarray(0, this.reserve(0, 4));
  }
}

const MAX_IMAGE_BYTES = 512 * 1024 * 1024;
