/** A request's fields as policy reads them: only those that are forwarded, what we write of a user among them. Hot path. */
import type { FieldSource } from '#authz/engine/input.ts';
import { equalsName, nameBytes } from '#wire/h1/field-names.ts';
import { RequestHead } from '#wire/h1/head.ts';
import type { WrittenField } from '../authn/tokens/found-tokens.ts';

/** One record for all requests: points at the head being judged. */
export class PolicyFields implements FieldSource {
  head: RequestHead = NO_HEAD;
  /** Beside those of the head. */
  written: readonly WrittenField[] = NO_WRITTEN;
  readonly #names = new Map<string, Uint8Array>();

  values(name: string): readonly string[] {
    let wanted = this.#names.get(name);
    if (wanted === undefined) {
      // Names come from compiled policies, not from peers; still, a long life with many revisions keeps no old ones.
      if (this.#names.size >= NAMES_MAX) this.#names.clear();
      wanted = nameBytes(name);
      this.#names.set(name, wanted);
    }
    const { bytes, fields } = this.head;
    const { count, dropped, ranges } = fields;
    let found: string[] | null = null;
    for (let i = 0; i < count; i++) {
      if (dropped[i] !== 0 || !equalsName(bytes, ranges[4 * i] ?? 0, ranges[4 * i + 1] ?? 0, wanted)) continue;
      const value = bytes.toString('latin1', ranges[4 * i + 2] ?? 0, ranges[4 * i + 3] ?? 0);
      if (found === null) found = [value];
      else found.push(value);
    }
    if (this.written.length > 0) return this.#withWritten(name, found ?? NO_VALUES);
    return found ?? NO_VALUES;
  }

  #withWritten(name: string, found: readonly string[]): readonly string[] {
    const written = this.written.filter((field) => field[0] === name);
    return written.length === 0 ? found : [...found, ...written.map((field) => field[1])];
  }
}

const NAMES_MAX = 4_096;
const NO_WRITTEN: readonly WrittenField[] = Object.freeze([]);
const NO_VALUES: readonly string[] = Object.freeze([]);
const NO_HEAD = new RequestHead();
