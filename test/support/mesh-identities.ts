/** A trust domain for a test: its authority, and SVIDs by the path of their SPIFFE ID. Keys live in memory only. */
import { createRoot, issueSvid, type Authority, type IssuedSvid } from '#certs/authority/authority.ts';

export class MeshIdentities {
  readonly trustDomain: string;
  readonly authority: Authority;
  readonly #issued = new Map<string, IssuedSvid>();

  constructor(trustDomain = 'cluster.local') {
    this.trustDomain = trustDomain;
    this.authority = createRoot({ trustDomain, atMs: Date.now(), lifetimeMs: DAY_MS });
  }

  get bundlePem(): string {
    return this.authority.bundlePem;
  }

  id(account: string): string {
    return `spiffe://${this.trustDomain}/ns/test/sa/${account}`;
  }

  /** The SVID of `/ns/test/sa/ACCOUNT`, the same one each time. */
  svid(account: string): IssuedSvid {
    let svid = this.#issued.get(account);
    if (svid === undefined) {
      svid = this.fresh(account);
      this.#issued.set(account, svid);
    }
    return svid;
  }

  /** A new SVID for the same ID. */
  fresh(account: string, lifetimeMs = DAY_MS): IssuedSvid {
    return issueSvid(this.authority, { spiffeId: this.id(account), atMs: Date.now(), lifetimeMs });
  }
}

const DAY_MS = 86_400_000;
