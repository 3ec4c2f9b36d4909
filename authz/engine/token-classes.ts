/** The classes of a verified token's claims. A rule is judged on one token at a time. Hot path. */
import type { CompiledSlot, SlotSource } from '../plan/compiled.ts';
import type { SpaceDelimitedClaims } from '../policy/workload-policies.ts';
import { claimValues } from './claims.ts';
import type { Token } from './input.ts';
import type { ValueWriter } from './value-writer.ts';

export class TokenClassifier {
  /** Attributes of tokens that some policy reads. */
  readonly slots: readonly CompiledSlot[];
  readonly #writer: ValueWriter;
  readonly #wordLists: readonly SpaceDelimitedClaims[];

  constructor(writer: ValueWriter, slots: readonly CompiledSlot[], wordLists: readonly SpaceDelimitedClaims[]) {
    this.slots = slots.filter(({ source }) => TOKEN_KINDS.has(source.kind));
    this.#writer = writer;
    this.#wordLists = wordLists;
  }

  /** Puts the token's classes in place, or those of no token. */
  classify(token: Token | null): void {
    for (let index = 0; index < this.slots.length; index++) {
      const slot = this.slots[index];
      if (slot === undefined) continue;
      this.#writer.clear(slot);
      if (token !== null) this.#write(slot, token);
    }
  }

  #write(slot: CompiledSlot, token: Token): void {
    const { source } = slot;
    switch (source.kind) {
      case 'requestPrincipal':
        this.#writer.requestPrincipal(slot, token.issuer, token.subject);
        return;
      case 'issuer':
        if (token.issuer !== '') this.#writer.text(slot, token.issuer);
        return;
      case 'subject':
        if (token.subject !== '') this.#writer.text(slot, token.subject);
        return;
      case 'audiences':
        this.#values(slot, token, AUD);
        return;
      case 'presenter':
        this.#values(slot, token, AZP);
        return;
      case 'claim':
        this.#values(slot, token, source.path);
        return;
      default:
        throw new Error('a slot of another kind is among those of tokens');
    }
  }

  #values(slot: CompiledSlot, token: Token, path: readonly string[]): void {
    const values = claimValues(token, path, this.#wordLists);
    for (let at = 0; at < values.length; at++) this.#writer.text(slot, values[at] ?? '');
  }
}

const TOKEN_KINDS: ReadonlySet<SlotSource['kind']> = new Set([
  'requestPrincipal',
  'issuer',
  'subject',
  'audiences',
  'presenter',
  'claim',
]);
const AUD = ['aud'];
const AZP = ['azp'];
