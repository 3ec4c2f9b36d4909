/** One preparation: the configuration file read and judged, its policies found and compiled for the workload that it describes. */
import { readPolicyFiles } from '#authz/policy/files.ts';
import type { PolicyReading } from '#authz/policy/read.ts';
import type { CompiledPolicy } from '#authz/plan/compiled.ts';
import type { ProxyConfig } from '#proto/config/proxy.ts';
import type { DocumentFault, PolicyState, PrepareAnswer } from '#proto/prepare.ts';

import { readConfigFile } from '../config-file.ts';
import { watchedPaths } from './watched-paths.ts';

/** A set compiled, or what is wrong with it; `policy` is null when there is any fault. */
export interface Compiled {
  readonly policy: CompiledPolicy | null;
  /** When another set of the same documents is in force, milliseconds since 1970; null for never. */
  readonly validUntilMs: number | null;
  readonly faults: readonly DocumentFault[];
}

/** Compiles the policies in force for the workload of a configuration; see cli/prepare/compile.ts. */
export type Compile = (reading: PolicyReading, config: ProxyConfig, nowMs: number) => Promise<Compiled>;

export type Prepared = Omit<PrepareAnswer, 'id' | 'cpuMs'>;

/** Reads `file` and what it names. Never throws: whatever is wrong is in the answer, and then there is no policy. */
export async function prepare(file: string, compile: Compile, nowMs: number): Promise<Prepared> {
  const { config, faults: configFaults } = readConfigFile(file);
  if (config === null) {
    return {
      config,
      configFaults,
      policy: null,
      policyFaults: [],
      policyState: 'invalid',
      policyValidUntilMs: null,
      watched: [file],
    };
  }
  const policies = await preparePolicies(config, compile, nowMs);
  return { config, configFaults, ...policies, watched: [file, ...watchedPaths(config.policies.files)] };
}

type PreparedPolicies = Pick<PrepareAnswer, 'policy' | 'policyFaults' | 'policyState' | 'policyValidUntilMs'>;

/** INVARIANT: `allow_all` comes of the setting alone; nothing that is missing or wrong leads to it. */
async function preparePolicies(config: ProxyConfig, compile: Compile, nowMs: number): Promise<PreparedPolicies> {
  const { files, allowAll, allowEmpty } = config.policies;
  if (allowAll) return without('allow_all');
  const reading = readPolicyFiles(files);
  if (reading.faults.length > 0) return without('invalid', reading.faults);
  if (reading.documents.length === 0 && !allowEmpty) return without('missing');

  const { policy, faults, validUntilMs } = await compile(reading, config, nowMs);
  if (policy === null || faults.length > 0) return without('invalid', faults);
  return { policy, policyFaults: [], policyState: 'ok', policyValidUntilMs: validUntilMs };
}

function without(policyState: PolicyState, policyFaults: readonly DocumentFault[] = []): PreparedPolicies {
  return { policy: null, policyFaults, policyState, policyValidUntilMs: null };
}
