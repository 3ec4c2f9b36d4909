/** `postern policy compile`: policies and a workload -> a signed bundle, tried before it is written. */
import { randomInt } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

import { refuseWidening } from '#authz/analyse/widening.ts';
import { readSigningKey, verificationKeyOf } from '#authz/bundle/keys.ts';
import { readBundle } from '#authz/bundle/read.ts';
import { writeBundle } from '#authz/bundle/write.ts';
import { selfTest } from '#authz/engine/self-test.ts';
import { compileSelected } from '#authz/plan/compile.ts';
import { readDescribedPolicies } from '#authz/api/described-apis.ts';
import { selectPolicies } from '#authz/policy/select.ts';
import { PosternError } from '#base/error.ts';

import { EXIT, ExitError } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import { reasonOf } from '../file-error.ts';
import { tokenRuleFaults } from '../token-rule-faults.ts';
import type { VerbStreams } from './verb.ts';

export interface PolicyCompileOptions {
  readonly files: readonly string[];
  readonly namespace: string;
  readonly serviceAccount: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  /** PEM of an Ed25519 private key. */
  readonly signKey: string;
  readonly revision: number;
  /** Milliseconds since 1970. The policies are those that are in force at `notBefore`. */
  readonly notBefore: number;
  readonly expires: number;
  readonly output: string;
}

/** Writes the file whole or not at all, and a line about it; 65 for policies that do not compile. */
export async function policyCompile(options: PolicyCompileOptions, io: VerbStreams): Promise<ExitStatus> {
  const { labels, namespace, notBefore, output, revision, serviceAccount } = options;
  const key = orStatus(() => readSigningKey(readKeyFile(options.signKey)));
  const { documents, faults, set } = await readDescribedPolicies(options.files);
  for (const { code, column, file, line, message } of faults)
    io.stderr.write(`${file}:${line}:${column}: ${message} [${code}]\n`);
  if (faults.length > 0) return EXIT.data;
  if (documents.length === 0) throw new ExitError(EXIT.data, `Cannot compile "${options.files.join(' ')}": found no document`);
  return orStatus(() => {
    const workload = { namespace, labels, serviceAccount };
    const selected = selectPolicies(set, workload, { ...options, nowMs: notBefore });
    const [unusable] = tokenRuleFaults(selected.jwtRules, set);
    if (unusable !== undefined) throw new ExitError(EXIT.data, unusable.message, unusable.fix);
    refuseWidening(selected);
    const policy = compileSelected(selected, documents.length);
    selfTest(policy, { samples: SAMPLES, seed: randomInt(2 ** 31), whenNoneSelects: 'deny' });
    // When a policy begins or ends, the same documents make another bundle.
    const expires = Math.min(options.expires, selected.validUntilMs ?? Infinity);
    const meant = { ...workload, trustDomains: selected.trustDomains };
    const bundle = writeBundle(policy, { revision, notBefore, expires, workload: meant }, key);
    const signer = verificationKeyOf(key);
    const verdict = readBundle(bundle, { keys: [signer], workload: meant, nowMs: notBefore, last: null });
    if (!verdict.ok)
      throw new ExitError(EXIT.internal, `Cannot write "${output}": the bundle does not read back, ${verdict.code}`);
    writeWhole(output, bundle);
    for (const { code, message, policy: title } of selected.losses) io.stderr.write(`warning: ${title}: ${message} [${code}]\n`);
    const { digest, policyRevision } = verdict.manifest;
    const times = { notBefore: new Date(notBefore).toISOString(), expires: new Date(expires).toISOString() };
    const told = { file: output, bytes: bundle.length, revision, policyRevision, digest, keyId: signer.id, ...times };
    io.stdout.write(`${JSON.stringify({ ...told, selected: policy.selected, rules: policy.ruleCount })}\n`);
    return EXIT.ok;
  });
}

function readKeyFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ExitError(EXIT.data, `Cannot read the key "${file}": found ${reasonOf(error)}`);
  }
}

/** Whoever watches the file never sees a part of it. */
function writeWhole(file: string, bytes: Uint8Array): void {
  const unfinished = `${file}.${process.pid}.tmp`;
  try {
    writeFileSync(unfinished, bytes, { flag: 'wx', flush: true });
    renameSync(unfinished, file);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw new ExitError(EXIT.other, `Cannot write "${file}": found ${reasonOf(error)}`);
  }
}

function orStatus<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof PosternError) throw new ExitError(EXIT.data, `${error.message} [${error.code}]`, error.hint);
    throw error;
  }
}

const SAMPLES = 200;
