/**
 * What is kept of bundles over a restart: a copy of the last good one, and the highest revision that was ever put in force. Both
 * tell the revision, so that the loss of one of them lets no downgrade through. A copy is believed for its signature, as the source
 * is; a record for its checksum, since whoever can write it can also remove it.
 *
 * Names hold the workload and the revision: what is written later by a slower process never stands for less.
 */
import { createHash } from 'node:crypto';

import { MAX_BUNDLE_BYTES } from '#authz/bundle/layout.ts';
import { workloadText } from '#authz/bundle/manifest.ts';
import { readBundle } from '#authz/bundle/read.ts';
import type { BundleExpectation, BundleVerdict, LoadedBundle } from '#authz/bundle/read.ts';
import { PosternError } from '#base/error.ts';
import type { DocumentFault } from '#proto/prepare.ts';

import { reasonOf } from '../file-error.ts';
import { KeepingFolder } from './keeping-folder.ts';

export interface KeptBundle {
  /** The highest revision of which anything is known; null for none. */
  readonly last: LoadedBundle | null;
  /** The copy of that revision as its reader judged it; null for none. */
  readonly copy: BundleVerdict | null;
  /** Something was kept, but nothing of it can be believed. */
  readonly isLost: boolean;
  readonly faults: readonly DocumentFault[];
}

export const NOTHING_KEPT: KeptBundle = { last: null, copy: null, isLost: false, faults: [] };

export class BundleStore {
  readonly #folder: KeepingFolder;
  readonly #wanted: BundleExpectation;
  readonly #prefix: string;

  /** @param wanted  what a copy has to be, its `last` being the bundle in force */
  constructor(path: string, wanted: BundleExpectation) {
    this.#folder = new KeepingFolder(path);
    this.#wanted = wanted;
    this.#prefix = `${sha256(workloadText(wanted.workload)).slice(0, 16)}-`;
  }

  /** Never throws. */
  read(): KeptBundle {
    const faults: DocumentFault[] = [];
    let names: readonly string[];
    try {
      names = this.#folder.names();
    } catch (error) {
      return { ...NOTHING_KEPT, isLost: true, faults: [this.#fault('PN0522', '', messageOf(error))] };
    }
    const records = this.#named(names, RECORD);
    const copies = this.#named(names, COPY);
    let { last } = this.#wanted;
    for (const { name, revision } of records) {
      const record = this.#readRecord(name, revision);
      if (record === null) faults.push(this.#fault('PN0522', name, 'found a record that was damaged'));
      else if (last === null || record.revision > last.revision) last = record;
    }
    let copy: BundleVerdict | null = null;
    for (const { name, revision } of copies) {
      const verdict = this.#readCopy(name, last);
      const manifest = verdict === null ? null : verdict.manifest;
      if (verdict === null || (manifest !== null && manifest.revision !== revision)) {
        faults.push(this.#fault('PN0522', name, 'found a copy that was damaged'));
        continue;
      }
      if (manifest === null) {
        // Of a signer who may sign no more, for one; its revision is in the record.
        faults.push(this.#fault('PN0522', name, `found a copy that is refused: ${verdict.ok ? '' : verdict.code}`));
        continue;
      }
      if (last === null || manifest.revision > last.revision) last = manifest;
      // They come in falling order: whatever follows is older.
      copy ??= verdict;
    }
    const isLost = last === null && records.length + copies.length > 0;
    return { last, copy, isLost, faults };
  }

  /** Keeps a bundle that was accepted. Never throws: what could not be written is a fault to be told. */
  save(bytes: Uint8Array, manifest: LoadedBundle): { readonly isReused: boolean; readonly fault: DocumentFault | null } {
    const { digest, revision } = manifest;
    const number = String(revision).padStart(DIGITS, '0');
    const copy = `${this.#prefix}${number}${COPY}`;
    const record = `${this.#prefix}${number}${RECORD}`;
    try {
      if (!this.#folder.add(copy, bytes)) {
        const there = this.#readCopy(copy, null)?.manifest ?? null;
        // Another process was faster, with another bundle.
        if (there !== null && there.digest !== digest) return { isReused: true, fault: null };
        if (there === null || !this.#isSame(copy, bytes)) this.#folder.replace(copy, bytes);
      }
      if (this.#readRecord(record, revision)?.digest !== digest) this.#folder.replace(record, recordText({ revision, digest }));
      const names = this.#folder.names();
      const older = [...this.#named(names, COPY), ...this.#named(names, RECORD)].filter((each) => each.revision < revision);
      this.#folder.remove(older.map(({ name }) => name));
      this.#folder.sweep(this.#wanted.nowMs);
      return { isReused: false, fault: null };
    } catch (error) {
      return { isReused: false, fault: this.#fault('PN0523', copy, messageOf(error)) };
    }
  }

  /** Those of this workload, the highest revision first; a bounded number. */
  #named(names: readonly string[], end: string): readonly { readonly name: string; readonly revision: number }[] {
    const length = this.#prefix.length + DIGITS + end.length;
    return names
      .filter((name) => name.length === length && name.startsWith(this.#prefix) && name.endsWith(end))
      .map((name) => ({ name, revision: Number(name.slice(this.#prefix.length, -end.length)) }))
      .filter(({ revision }) => Number.isSafeInteger(revision))
      .toSorted((a, b) => b.revision - a.revision)
      .slice(0, MAX_KEPT);
  }

  #readRecord(name: string, revision: number): LoadedBundle | null {
    const text = this.#folder.read(name, MAX_RECORD_BYTES)?.toString('utf8') ?? '';
    const [said = '', sum = ''] = text.split('\n');
    const [number = '', digest = ''] = said.split(' ');
    return sum === sha256(said) && Number(number) === revision ? { revision, digest } : null;
  }

  /** Null when it has been damaged. */
  #readCopy(name: string, last: LoadedBundle | null): BundleVerdict | null {
    const bytes = this.#folder.read(name, MAX_BUNDLE_BYTES);
    if (bytes === null) return null;
    const verdict = readBundle(bytes, { ...this.#wanted, last });
    return verdict.ok || verdict.manifest !== null || verdict.code === 'bundle_signer_unknown' ? verdict : null;
  }

  #isSame(name: string, bytes: Uint8Array): boolean {
    return this.#folder.read(name, MAX_BUNDLE_BYTES)?.equals(bytes) ?? false;
  }

  #fault(code: 'PN0522' | 'PN0523', name: string, message: string): DocumentFault {
    return { file: this.#folder.path(name), line: 0, column: 0, code, path: '', message, fix: null };
  }
}

function recordText({ digest, revision }: LoadedBundle): Uint8Array {
  const said = `${revision} ${digest}`;
  return Buffer.from(`${said}\n${sha256(said)}\n`);
}

function messageOf(error: unknown): string {
  return error instanceof PosternError ? error.message : `found ${reasonOf(error)}`;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

const COPY = '.bundle';
const RECORD = '.revision';
/** Of the greatest whole number that a manifest may hold. */
const DIGITS = 16;
const MAX_RECORD_BYTES = 256;
const MAX_KEPT = 16;
