/** The policy compiler, asked for the workload that a configuration describes. */
import { randomInt } from 'node:crypto';

import { selfTest } from '#authz/engine/self-test.ts';
import { compilePolicies } from '#authz/plan/compile.ts';
import type { Policy } from '#authz/policy/model.ts';
import type { ProxyConfig } from '#proto/config/proxy.ts';

import type { Compiled } from './prepare.ts';

/** Compiles the policies, self-test included. Never throws: a compiler that fails is a fault of the set. */
export function compile(policies: readonly Policy[], config: ProxyConfig): Promise<Compiled> {
  const { namespace, labels, serviceAccount, identity } = config;
  const { trustDomain, trustDomainAliases } = identity;
  const { rootNamespace, whenNoneSelects } = config.policies;
  try {
    const workload = { namespace, labels, serviceAccount };
    const policy = compilePolicies(policies, workload, { rootNamespace, trustDomain, trustDomainAliases });
    selfTest(policy, { samples: SELF_TEST_SAMPLES, seed: randomInt(2 ** 31), whenNoneSelects });
    return Promise.resolve({ policy, faults: [] });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const file = config.policies.files[0] ?? config.file;
    return Promise.resolve({
      policy: null,
      faults: [{ file, line: 0, column: 0, code: 'PN0520', path: '', message, fix: null }],
    });
  }
}

/** Enough to meet every rule of a usual set; 100 samples take some milliseconds. */
const SELF_TEST_SAMPLES = 200;
