/** The policy compiler, asked for the workload that a configuration describes. */
import { randomInt } from 'node:crypto';

import { findWidenings } from '#authz/analyse/widening.ts';
import type { Widening } from '#authz/analyse/widening.ts';
import { selfTest } from '#authz/engine/self-test.ts';
import { compileSelected } from '#authz/plan/compile.ts';
import { selectPolicies } from '#authz/policy/select.ts';

import type { DocumentFault } from '#proto/prepare.ts';

import { tokenRuleFaults } from '../token-rule-faults.ts';
import { pathPolicyFaults } from './path-policies.ts';
import type { Compile, Compiled } from './prepare.ts';
import { samplesFor } from './samples-for.ts';

/** Compiles the policies, self-test included. Never throws: a compiler that fails is a fault of the set. */
export const compile: Compile = ({ documents, set: documentSet }, config, nowMs) => {
  const { namespace, labels, serviceAccount, identity } = config;
  const { trustDomain, trustDomainAliases } = identity;
  const { rootNamespace, whenNoneSelects } = config.policies;
  try {
    const workload = { namespace, labels, serviceAccount };
    const set = selectPolicies(documentSet, workload, { rootNamespace, trustDomain, trustDomainAliases, nowMs });
    const widenings = findWidenings(set).map(wideningFault);
    const misread = pathPolicyFaults(documentSet, workload, config);
    const faults = [...widenings, ...tokenRuleFaults(set.jwtRules, documentSet), ...misread];
    if (faults.length > 0) return Promise.resolve<Compiled>({ policy: null, validUntilMs: null, faults });
    const policy = compileSelected(set, documents.length);
    selfTest(policy, { samples: samplesFor(policy.ruleCount), seed: randomInt(2 ** 31), whenNoneSelects });
    return Promise.resolve({ policy, validUntilMs: set.validUntilMs, faults: [] });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const file = config.policies.files[0] ?? config.file;
    const fault = { file, line: 0, column: 0, code: 'PN0520', path: '', message, fix: null };
    return Promise.resolve<Compiled>({ policy: null, validUntilMs: null, faults: [fault] });
  }
};

/** It lies in the rule that allows too much. */
export function wideningFault({ position, text }: Widening): DocumentFault {
  const fix = 'Narrow the rule to what the ceiling allows';
  return { ...position, code: 'PN0401', path: '', message: `Cannot compile the policies: ${text}`, fix };
}
