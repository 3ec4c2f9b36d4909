/** The policy compiler, asked for the workload that a configuration describes. */
import type { ProxyConfig } from '#proto/config/proxy.ts';

import type { PolicySource } from '../policy-files.ts';
import type { Compiled } from './prepare.ts';

/** Compiles the sources, self-test included. Never throws: a compiler that fails is a fault of the set. */
export async function compile(sources: readonly PolicySource[], config: ProxyConfig): Promise<Compiled> {
  await Promise.resolve();
  const file = sources[0]?.file ?? config.file;
  const message = 'found policies, but this build has no compiler';
  return { policy: null, faults: [{ file, line: 0, column: 0, code: 'PN0399', path: '', message, fix: null }] };
}
