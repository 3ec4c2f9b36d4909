/**
 * The last good policies of files over a restart, compiled, in the format of a bundle. They are sealed by a key that is derived from
 * the private key of the workload's identity (HKDF, RFC 5869; Ed25519), so that whoever can only write to the folder cannot put
 * policies in force: a copy is believed no more than the files it came from. With another identity key, other settings or other paths
 * the key is another one, and what was kept before is refused.
 */
import { createHash, createPrivateKey, hkdfSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { verificationKeyOf } from '#authz/bundle/keys.ts';
import { MAX_BUNDLE_BYTES } from '#authz/bundle/layout.ts';
import { workloadText } from '#authz/bundle/manifest.ts';
import type { BundleWorkload } from '#authz/bundle/manifest.ts';
import { readBundle } from '#authz/bundle/read.ts';
import type { BundleRefusal } from '#authz/bundle/read.ts';
import { writeBundle } from '#authz/bundle/write.ts';
import type { CompiledPolicy } from '#authz/plan/compiled.ts';
import { PosternError } from '#base/error.ts';
import type { ProxyConfig } from '#proto/config/proxy.ts';
import type { DocumentFault } from '#proto/prepare.ts';

import { reasonOf } from '../file-error.ts';
import { KeepingFolder } from './keeping-folder.ts';

export interface SealedCopy {
  /** Null when none was kept, or none that can be believed; `fault` then says so. */
  readonly policy: CompiledPolicy | null;
  /** When other policies of the same files would be in force, milliseconds since 1970; null for never. */
  readonly expiresMs: number | null;
  readonly fault: DocumentFault | null;
}

export class SealedPolicies {
  readonly #folder: KeepingFolder;
  readonly #config: ProxyConfig;
  readonly #workload: BundleWorkload;
  readonly #name: string;

  constructor(path: string, config: ProxyConfig) {
    const { identity, labels, namespace, serviceAccount } = config;
    const trustDomains = [...new Set([identity.trustDomain, ...identity.trustDomainAliases])];
    this.#folder = new KeepingFolder(path);
    this.#config = config;
    this.#workload = { labels, namespace, serviceAccount, trustDomains };
    const of = createHash('sha256').update(workloadText(this.#workload)).digest('hex');
    this.#name = `${of.slice(0, 16)}.policies`;
  }

  /** Never throws: what could not be written is a fault to be told. */
  save(policy: CompiledPolicy, times: { readonly nowMs: number; readonly validUntilMs: number | null }): DocumentFault | null {
    try {
      this.#folder.names();
      const { nowMs, validUntilMs } = times;
      const key = this.#key();
      const kept = this.#read(nowMs, key);
      const expires = validUntilMs ?? NEVER_MS;
      if (kept?.ok === true && kept.manifest.policyRevision === policy.revision && kept.expiresMs === expires) return null;
      const statement = { revision: 1, notBefore: 0, expires, workload: this.#workload };
      this.#folder.replace(this.#name, writeBundle(policy, statement, key));
      this.#folder.sweep(nowMs);
      return null;
    } catch (error) {
      return this.#fault('PN0523', messageOf(error));
    }
  }

  load(nowMs: number): SealedCopy {
    const nothing = { policy: null, expiresMs: null };
    try {
      if (!this.#folder.names().includes(this.#name)) return { ...nothing, fault: null };
      const verdict = this.#read(nowMs, this.#key());
      if (verdict === null) return { ...nothing, fault: this.#fault('PN0522', 'found no readable file') };
      if (!verdict.ok) return { ...nothing, fault: this.#fault('PN0522', refusalText(verdict.code)) };
      return { policy: verdict.policy, expiresMs: verdict.expiresMs === NEVER_MS ? null : verdict.expiresMs, fault: null };
    } catch (error) {
      return { ...nothing, fault: this.#fault('PN0522', messageOf(error)) };
    }
  }

  #read(nowMs: number, key: KeyObject): ReturnType<typeof readBundle> | null {
    const bytes = this.#folder.read(this.#name, MAX_BUNDLE_BYTES);
    if (bytes === null) return null;
    return readBundle(bytes, { keys: [verificationKeyOf(key)], workload: this.#workload, nowMs, last: null });
  }

  #key(): KeyObject {
    const { identity, policies } = this.#config;
    const own = createPrivateKey(readFileSync(identity.files.key)).export({ format: 'der', type: 'pkcs8' });
    // At most 1,024 bytes are taken for the context; paths may be longer.
    const context = createHash('sha256')
      .update(JSON.stringify([policies.rootNamespace, policies.files]))
      .digest('hex');
    const seed = Buffer.from(hkdfSync('sha256', own, '', `postern last known good 1 ${context}`, 32));
    return createPrivateKey({ key: Buffer.concat([ED25519_PKCS8, seed]), format: 'der', type: 'pkcs8' });
  }

  #fault(code: 'PN0522' | 'PN0523', message: string): DocumentFault {
    return { file: this.#folder.path(this.#name), line: 0, column: 0, code, path: '', message, fix: null };
  }
}

function refusalText(code: BundleRefusal): string {
  if (code === 'bundle_signer_unknown') return 'found a copy of another identity key, or of other settings';
  return `found a copy that is refused: ${code}`;
}

function messageOf(error: unknown): string {
  return error instanceof PosternError ? error.message : `found ${reasonOf(error)}`;
}

/** RFC 8410, section 7: the head of a PKCS #8 key of Ed25519, before its 32 bytes. */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
/** Greatest number of milliseconds that a date can hold. */
const NEVER_MS = 8_640_000_000_000_000;
