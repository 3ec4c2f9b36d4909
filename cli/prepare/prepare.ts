/** One preparation: the configuration file read and judged, its policies found and compiled for the workload that it describes. */
import type { CompiledPolicy } from '#authz/plan/compiled.ts';
import type { ProxyConfig } from '#proto/config/proxy.ts';
import type { DocumentFault, PolicyState, PrepareAnswer } from '#proto/prepare.ts';

import { readConfigFile } from '../config-file.ts';
import { readPolicyFiles } from '../policy-files.ts';
import type { PolicySource } from '../policy-files.ts';

/** A set compiled, or what is wrong with it; `policy` is null when there is any fault. */
export interface Compiled {
  readonly policy: CompiledPolicy | null;
  readonly faults: readonly DocumentFault[];
}

/** Compiles sources for one workload; see cli/prepare/compile.ts. */
export type Compile = (sources: readonly PolicySource[], config: ProxyConfig) => Promise<Compiled>;

export type Prepared = Omit<PrepareAnswer, 'id' | 'cpuMs'>;

/** Reads `file` and what it names. Never throws: whatever is wrong is in the answer, and then there is no policy. */
export async function prepare(file: string, compile: Compile): Promise<Prepared> {
  const { config, faults: configFaults } = readConfigFile(file);
  if (config === null) {
    return { config, configFaults, policy: null, policyFaults: [], policyState: 'invalid', watched: [file] };
  }
  const { policy, policyFaults, policyState, watched } = await preparePolicies(config, compile);
  return { config, configFaults, policy, policyFaults, policyState, watched: [file, ...watched] };
}

type PreparedPolicies = Pick<PrepareAnswer, 'policy' | 'policyFaults' | 'policyState' | 'watched'>;

/** INVARIANT: `allow_all` comes of the setting alone; nothing that is missing or wrong leads to it. */
async function preparePolicies(config: ProxyConfig, compile: Compile): Promise<PreparedPolicies> {
  const { policies } = config;
  if (policies.allowAll) return without('allow_all', [], []);
  const { sources, faults, watched } = readPolicyFiles(policies.files);
  if (faults.length > 0) return without('invalid', faults, watched);
  if (sources.length === 0 && !policies.allowEmpty) return without('missing', [], watched);

  const compiled = await compile(sources, config);
  const { policy } = compiled;
  if (policy === null || compiled.faults.length > 0) return without('invalid', compiled.faults, watched);
  if (policy.documents === 0 && !policies.allowEmpty) return without('missing', [], watched);
  return { policy, policyFaults: [], policyState: 'ok', watched };
}

function without(policyState: PolicyState, policyFaults: readonly DocumentFault[], watched: readonly string[]): PreparedPolicies {
  return { policy: null, policyFaults, policyState, watched };
}
