/** Policies from files: read, compiled, and kept as the last good set; where they are missing or at fault, what was kept. */
import { readDescribedPolicies } from '#authz/api/described-apis.ts';
import type { ProxyConfig } from '#proto/config/proxy.ts';
import type { DocumentFault } from '#proto/prepare.ts';

import { SealedPolicies } from './sealed-policies.ts';
import type { PrepareOptions, PreparedPolicies } from './prepare.ts';
import { without } from './prepare.ts';
import { watchedPaths } from './watched-paths.ts';

export async function prepareFiles(config: ProxyConfig, options: PrepareOptions): Promise<PreparedPolicies> {
  const prepared = await compileFiles(config, options);
  const { lastKnownGood } = config.policies;
  if (lastKnownGood === null || !options.keeps) return prepared;
  const kept = new SealedPolicies(lastKnownGood, config);
  if (prepared.policy !== null) {
    const fault = kept.save(prepared.policy, { nowMs: options.nowMs, validUntilMs: prepared.policyValidUntilMs });
    return fault === null ? prepared : { ...prepared, policyFaults: [fault] };
  }
  const { expiresMs, fault, policy } = kept.load(options.nowMs);
  const faults = [...prepared.policyFaults, ...(fault === null ? [] : [fault])];
  if (policy === null) return { ...prepared, policyFaults: faults };
  const why = prepared.policyState === 'missing' ? [noDocument(config), ...faults] : faults;
  const times = { policyExpiresMs: expiresMs, policyValidUntilMs: expiresMs };
  return { ...without('ok', why), ...times, policy, isKeptCopy: true, watched: prepared.watched };
}

async function compileFiles(config: ProxyConfig, { compile, nowMs }: PrepareOptions): Promise<PreparedPolicies> {
  const { allowEmpty, files } = config.policies;
  const reading = await readDescribedPolicies(files);
  const watched = watchedPaths(reading.descriptionFolders);
  if (reading.faults.length > 0) return { ...without('invalid', reading.faults), watched };
  if (reading.documents.length === 0 && !allowEmpty) return without('missing');

  const { faults, policy, validUntilMs } = await compile(reading, config, nowMs);
  if (policy === null || faults.length > 0) return { ...without('invalid', faults), watched };
  return { ...without('ok'), watched, policy, policyValidUntilMs: validUntilMs };
}

function noDocument({ file, policies }: ProxyConfig): DocumentFault {
  const message = 'found no policy document, the last good set is served';
  return { file: policies.files[0] ?? file, line: 0, column: 0, code: 'PN0521', path: '', message, fix: null };
}
