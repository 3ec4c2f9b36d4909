/** Peers whose word about the original caller is believed: SPIFFE IDs and address ranges. None by default. */
import { AddressRanges } from './address-ranges.ts';

export class TrustedForwarders {
  readonly #ids: ReadonlySet<string>;
  readonly #ranges: AddressRanges;

  /** @param entries  `spiffe://…` or CIDRs or addresses, validated before */
  constructor(entries: readonly string[]) {
    this.#ids = new Set(entries.filter((entry) => entry.startsWith('spiffe://')));
    this.#ranges = new AddressRanges(entries.filter((entry) => !entry.startsWith('spiffe://')));
  }

  includes(principal: string | null, address: string): boolean {
    return (principal !== null && this.#ids.has(principal)) || this.#ranges.includes(address);
  }
}
