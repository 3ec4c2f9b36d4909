/** Peers whose word about the original caller is believed: SPIFFE IDs and address ranges. None by default. */
import { BlockList, isIP } from 'node:net';

export class TrustedForwarders {
  readonly #ids = new Set<string>();
  readonly #ranges = new BlockList();
  readonly #hasRanges: boolean;

  /** @param entries  `spiffe://…` or CIDRs or addresses, validated before */
  constructor(entries: readonly string[]) {
    let ranges = 0;
    for (const entry of entries) {
      if (entry.startsWith('spiffe://')) {
        this.#ids.add(entry);
        continue;
      }
      ranges++;
      const [address = '', bits] = entry.split('/', 2);
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      if (bits === undefined) this.#ranges.addAddress(address, family);
      else this.#ranges.addSubnet(address, Number(bits), family);
    }
    this.#hasRanges = ranges > 0;
  }

  includes(principal: string | null, address: string): boolean {
    if (principal !== null && this.#ids.has(principal)) return true;
    if (!this.#hasRanges) return false;
    const family = isIP(address);
    return family !== 0 && this.#ranges.check(address, family === 6 ? 'ipv6' : 'ipv4');
  }
}
