/** A growing byte string with the integers and sections of the WebAssembly binary format (Core Specification 1.0, section 5). */

/** A growing byte string with the integers of the format (LEB128). */
export class Bytes {
  #buffer = new Uint8Array(4096);
  length = 0;

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.length++] = value;
  }

  raw(values: readonly number[]): void {
    for (const value of values) this.byte(value);
  }

  bytes(values: Uint8Array): void {
    this.#reserve(values.length);
    this.#buffer.set(values, this.length);
    this.length += values.length;
  }

  text(value: string): void {
    this.unsigned(value.length);
    this.bytes(Buffer.from(value, 'latin1'));
  }

  unsigned(value: number): void {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.byte(rest);
  }

  signed(value: number): void {
    let rest = value | 0;
    for (;;) {
      const low = rest & 0x7f;
      rest >>= 7;
      const isLast = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0);
      this.byte(isLast ? low : low | 0x80);
      if (isLast) return;
    }
  }

  section(id: number, fill: (section: Bytes) => void): void {
    const section = new Bytes();
    fill(section);
    this.byte(id);
    this.unsigned(section.length);
    this.bytes(section.done());
  }

  done(): Uint8Array {
    return this.#buffer.subarray(0, this.length);
  }

  #reserve(count: number): void {
    if (this.length + count <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#buffer.length, this.length + count));
    larger.set(this.#buffer.subarray(0, this.length));
    this.#buffer = larger;
  }
}
