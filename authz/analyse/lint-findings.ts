/** What `policy lint` can find, by code. Codes are stable; texts may change. */
import type { Policy, Position, Rule } from '../policy/model.ts';
import { policyTitle } from '../policy/model.ts';

export const LINT_CODES = {
  'never-matches': 'No request can match the rule.',
  'never-effective': 'Every request that the rule allows is denied by something else.',
  shadowed: 'Other rules already decide every request that the rule matches, in the same way.',
  'dead-value': 'No request can have the value.',
  'negative-allow': 'An ALLOW rule that only excludes values lets in everything else.',
  'negative-absent': 'A caller fulfils the exclusion by leaving the attribute out.',
  'http-field-on-tcp': 'A rule asks for attributes of HTTP on a port that carries none.',
  'token-unverified': 'A rule asks for a token that nothing verifies.',
  'root-allow-widened': 'An ALLOW of the root namespace bounds nothing: policies of a namespace allow more.',
  expired: 'The policy is no longer in force.',
  'expires-soon': 'The policy expires within a week.',
  'selects-nothing': 'No workload of the inventory is selected.',
  'caller-unknown': 'No workload of the inventory has the identity that is named.',
  'port-unknown': 'No selected workload of the inventory has the port.',
  'several-providers': 'CUSTOM policies of a workload ask several providers: Istio asks none of them.',
  undecided: 'The rule was not looked at to the end: the budget was spent.',
} as const;

export type LintCode = keyof typeof LINT_CODES;

export interface Finding {
  readonly code: LintCode;
  /** `namespace/name`. */
  readonly policy: string;
  readonly rule: string | null;
  readonly position: Position;
  readonly message: string;
}

export function finding(code: LintCode, policy: Policy, rule: Rule | null, message: string): Finding {
  const title = policyTitle(policy, 'default');
  return { code, policy: title, rule: rule?.name ?? null, position: (rule ?? policy).position, message };
}
