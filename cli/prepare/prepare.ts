/**
 * One preparation: the configuration file read and judged, its policies found and compiled for the workload that it describes, or
 * its bundle verified. Readers and compiler are loaded when there is something for them: of a bundle neither is needed.
 */
import type { LoadedBundle } from '#authz/bundle/read.ts';
import type { CompiledPolicy } from '#authz/plan/compiled.ts';
import type { PolicyReading } from '#authz/policy/read.ts';
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

export interface PrepareOptions {
  readonly compile: Compile;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  readonly lastBundle: LoadedBundle | null;
  /** Whether to read and write the folder `policies.lastKnownGood`; whoever only looks leaves it alone. */
  readonly keeps: boolean;
}

export type Prepared = Omit<PrepareAnswer, 'id' | 'cpuMs'>;

/** `watched`: beside the configuration and the places that it names. */
export type PreparedPolicies = Omit<Prepared, 'config' | 'configFaults'>;

/** Reads `file` and what it names. Never throws: whatever is wrong is in the answer, and then no policy comes of it. */
export async function prepare(file: string, options: PrepareOptions): Promise<Prepared> {
  const { config, faults: configFaults } = readConfigFile(file);
  if (config === null) return { config, configFaults, ...without('invalid'), watched: [file] };
  const policies = await preparePolicies(config, options);
  return { config, configFaults, ...policies, watched: [...new Set([file, ...sourcesOf(config), ...policies.watched])] };
}

/** No policy, and why. */
export function without(policyState: PolicyState, policyFaults: readonly DocumentFault[] = []): PreparedPolicies {
  const nothing = { policy: null, bundle: null, isKeptCopy: false, policyExpiresMs: null, policyValidUntilMs: null };
  return { ...nothing, watched: [], policyFaults, policyState };
}

/** INVARIANT: `allow_all` comes of the setting alone; nothing that is missing or wrong leads to it. */
async function preparePolicies(config: ProxyConfig, options: PrepareOptions): Promise<PreparedPolicies> {
  const { allowAll, bundle } = config.policies;
  if (allowAll) return without('allow_all');
  if (bundle !== null) {
    const { prepareBundle } = await import('./policy-bundle.ts');
    return prepareBundle(bundle, config, options);
  }
  const { prepareFiles } = await import('./policy-files.ts');
  return prepareFiles(config, options);
}

function sourcesOf({ identity, policies }: ProxyConfig): readonly string[] {
  const { bundle, files, lastKnownGood } = policies;
  if (bundle !== null) return [bundle.file, ...bundle.keys];
  // What is kept is sealed by the key of the identity, and sealed anew with the next one.
  return [...watchedPaths(files), ...(lastKnownGood === null ? [] : [identity.files.key])];
}
