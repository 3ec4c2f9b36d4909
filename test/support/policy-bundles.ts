/** Signed bundles for the workload that test/support/sidecar.ts starts, and a signer of them. */
import { generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { HEAD, signedBytes } from '#authz/bundle/layout.ts';
import { writeBundle } from '#authz/bundle/write.ts';
import { compileSelected } from '#authz/plan/compile.ts';
import type { CompiledPolicy } from '#authz/plan/compiled.ts';
import { readPolicies } from '#authz/policy/read.ts';
import { selectPolicies } from '#authz/policy/select.ts';

import { policyYaml, type Settings } from './sidecar.ts';

export class BundleSigner {
  readonly #key: KeyObject;
  readonly publicPem: string;

  constructor() {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    this.#key = privateKey;
    this.publicPem = String(publicKey.export({ format: 'pem', type: 'spki' }));
  }

  sign(policy: CompiledPolicy, options: BundleOptions): Uint8Array {
    const { expires = Date.now() + HOUR_MS, notBefore = Date.now() - HOUR_MS, revision, workload = {} } = options;
    return writeBundle(policy, { revision, notBefore, expires, workload: { ...WORKLOAD, ...workload } }, this.#key);
  }

  /** What only a faulty signer brings about: changed first, and signed all the same. */
  signAnew(bundle: Uint8Array, edit: (bytes: Buffer) => void): Uint8Array {
    const bytes = Buffer.from(bundle);
    edit(bytes);
    bytes.set(sign(null, signedBytes(bytes), this.#key), HEAD.signature);
    return bytes;
  }

  /** A bundle that allows these paths and nothing else. */
  allowing(paths: readonly string[], options: BundleOptions): Uint8Array {
    return this.sign(allowingPaths(paths), options);
  }

  /** The settings of a sidecar whose bundle is `policy.bundle`, and what has to lie in its folder. */
  settings(more: Settings = {}): { policySettings: Settings; policies: {}; beforeStart: (folder: string) => void } {
    return {
      policySettings: { files: [], bundle: { file: 'policy.bundle', keys: ['signer.pem'] }, ...more },
      policies: {},
      beforeStart: (folder) => writeFileSync(join(folder, 'signer.pem'), this.publicPem),
    };
  }
}

interface BundleOptions {
  readonly revision: number;
  /** Milliseconds since 1970. */
  readonly notBefore?: number;
  readonly expires?: number;
  readonly workload?: Partial<typeof WORKLOAD>;
}

export function allowingPaths(paths: readonly string[]): CompiledPolicy {
  return compiledFor(policyYaml('open', { rules: [{ to: [{ operation: { paths } }] }] }));
}

/** Policies as they stand in a file, compiled for `WORKLOAD`. */
export function compiledFor(text: string): CompiledPolicy {
  const { documents, faults, set } = readPolicies(text, 'policy.yaml');
  if (faults.length > 0) throw new Error(JSON.stringify(faults));
  const selected = selectPolicies(set, WORKLOAD, {
    rootNamespace: 'istio-system',
    trustDomain: 'cluster.local',
    trustDomainAliases: [],
  });
  return compileSelected(selected, documents.length);
}

export const WORKLOAD = {
  namespace: 'test',
  serviceAccount: null as string | null, // the sidecar of a test names none, others may
  labels: { app: 'app' } as Record<string, string>, // the same
  trustDomains: ['cluster.local'],
};
const HOUR_MS = 3_600_000;
