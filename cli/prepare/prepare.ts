/** One preparation: the configuration file read and judged, its policies found and compiled for the workload that it describes. */
import { readPolicyFiles } from '#authz/policy/files.ts';
import type { Policy } from '#authz/policy/model.ts';
import type { CompiledPolicy } from '#authz/plan/compiled.ts';
import type { ProxyConfig } from '#proto/config/proxy.ts';
import type { DocumentFault, PolicyState, PrepareAnswer } from '#proto/prepare.ts';

import { readConfigFile } from '../config-file.ts';
import { watchedPaths } from './watched-paths.ts';

/** A set compiled, or what is wrong with it; `policy` is null when there is any fault. */
export interface Compiled {
  readonly policy: CompiledPolicy | null;
  readonly faults: readonly DocumentFault[];
}

/** Compiles policies for the workload of a configuration; see cli/prepare/compile.ts. */
export type Compile = (policies: readonly Policy[], config: ProxyConfig) => Promise<Compiled>;

export type Prepared = Omit<PrepareAnswer, 'id' | 'cpuMs'>;

/** Reads `file` and what it names. Never throws: whatever is wrong is in the answer, and then there is no policy. */
export async function prepare(file: string, compile: Compile): Promise<Prepared> {
  const { config, faults: configFaults } = readConfigFile(file);
  if (config === null) {
    return { config, configFaults, policy: null, policyFaults: [], policyState: 'invalid', watched: [file] };
  }
  const policies = await preparePolicies(config, compile);
  return { config, configFaults, ...policies, watched: [file, ...watchedPaths(config.policies.files)] };
}

type PreparedPolicies = Pick<PrepareAnswer, 'policy' | 'policyFaults' | 'policyState'>;

/** INVARIANT: `allow_all` comes of the setting alone; nothing that is missing or wrong leads to it. */
async function preparePolicies(config: ProxyConfig, compile: Compile): Promise<PreparedPolicies> {
  const { files, allowAll, allowEmpty } = config.policies;
  if (allowAll) return without('allow_all');
  const reading = readPolicyFiles(files);
  if (reading.faults.length > 0) return without('invalid', reading.faults);
  if (reading.documents.length === 0 && !allowEmpty) return without('missing');

  const { policy, faults } = await compile(reading.policies, config);
  if (policy === null || faults.length > 0) return without('invalid', faults);
  return { policy, policyFaults: [], policyState: 'ok' };
}

function without(policyState: PolicyState, policyFaults: readonly DocumentFault[] = []): PreparedPolicies {
  return { policy: null, policyFaults, policyState };
}
