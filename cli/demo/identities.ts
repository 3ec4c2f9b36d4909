/**
 * Identities of a run: an authority of the mesh, made for it and forgotten with it, and a stranger's. What it writes is what a
 * sidecar reads; the authority's key never leaves this process.
 */
import { renameSync, writeFileSync } from 'node:fs';

import { createRoot, issueSvid } from '#certs/authority/authority.ts';
import type { Authority, IssuedSvid } from '#certs/authority/authority.ts';
import { serialText } from '#certs/x509/certificate.ts';

import { FOREIGN_TRUST_DOMAIN, TRUST_DOMAIN, filesOf } from './topology.ts';
import type { Workload } from './topology.ts';

export class Identities {
  readonly root: Authority = createRoot({ trustDomain: TRUST_DOMAIN, atMs: Date.now(), lifetimeMs: DAY_MS });
  readonly #foreign: Authority = createRoot({ trustDomain: FOREIGN_TRUST_DOMAIN, atMs: Date.now(), lifetimeMs: DAY_MS });

  issue(spiffeId: string): IssuedSvid {
    return issueSvid(this.root, { spiffeId, atMs: Date.now(), lifetimeMs: LIFETIME_MS });
  }

  /** A good SVID of a trust domain that the mesh does not know. */
  issueForeign(): IssuedSvid {
    const spiffeId = `spiffe://${FOREIGN_TRUST_DOMAIN}/ns/shop/sa/web`;
    return issueSvid(this.#foreign, { spiffeId, atMs: Date.now(), lifetimeMs: LIFETIME_MS });
  }

  /** Writes a new SVID where the workload's sidecar looks for it, replacing the one before. */
  place(workload: Workload): IssuedSvid {
    const svid = this.issue(workload.spiffeId);
    const { certificate, key } = filesOf(workload);
    replaceFile(key, svid.keyPem);
    replaceFile(certificate, svid.certificatePem);
    return svid;
  }
}

/** As the sidecar and `postern ps` show it. */
export function serialOf(svid: IssuedSvid): string {
  return serialText(svid.certificate);
}

/** Puts a file in place as a whole: no reader sees half of it. */
export function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

const DAY_MS = 24 * 3_600_000;
const LIFETIME_MS = 3_600_000;
