/**
 * Writes messages of Protocol Buffers (the encoding of proto3): fields in the order in which they are given, members that have their
 * default value left out. It knows no message; whoever writes one knows its numbers.
 */

/** One message under construction. */
export class ProtoWriter {
  readonly #parts: Buffer[] = [];
  #length = 0;

  /** A text, as UTF-8. */
  text(field: number, value: string): this {
    return value === '' ? this : this.#run(field, Buffer.from(value, 'utf8'));
  }

  /** Text that holds one byte a character, written as those bytes. */
  latin1(field: number, value: string): this {
    return value === '' ? this : this.#run(field, Buffer.from(value, 'latin1'));
  }

  bytes(field: number, value: Buffer): this {
    return value.length === 0 ? this : this.#run(field, value);
  }

  /** A whole number from 0 to 2^53 - 1. */
  count(field: number, value: number): this {
    if (value === 0) return this;
    this.#add(varint(field << 3));
    return this.#add(varint(value));
  }

  /** A message within this one; it is written even when it is empty. */
  message(field: number, value: ProtoWriter): this {
    return this.#run(field, value.finish());
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts, this.#length);
  }

  #run(field: number, bytes: Buffer): this {
    this.#add(varint((field << 3) | DELIMITED));
    this.#add(varint(bytes.length));
    return this.#add(bytes);
  }

  #add(bytes: Buffer): this {
    this.#parts.push(bytes);
    this.#length += bytes.length;
    return this;
  }
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

const DELIMITED = 2;
