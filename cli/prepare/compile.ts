/** The policy compiler, asked for the workload that a configuration describes. */
import type { Policy } from '#authz/policy/model.ts';
import type { ProxyConfig } from '#proto/config/proxy.ts';

import type { Compiled } from './prepare.ts';

/** Compiles the policies, self-test included. Never throws: a compiler that fails is a fault of the set. */
export async function compile(_policies: readonly Policy[], config: ProxyConfig): Promise<Compiled> {
  await Promise.resolve();
  const message = 'found policies, but this build has no compiler';
  return { policy: null, faults: [{ file: config.file, line: 0, column: 0, code: 'PN0399', path: '', message, fix: null }] };
}
