/**
 * The slow reference: decides straight from the documents' own words, one rule after the other, by plain string comparison. It
 * shares the model with the planner and nothing else, so that a difference between the two is a fault in one of them. Used by the
 * self-test before a swap, by `explain`, by `policy decide --engine interpreter` and by the tests; never on the data path.
 *
 * The order of a decision stands in authz/policy/workload-policies.ts.
 */
import type { Policy, Rule } from '../policy/model.ts';
import { policyTitle } from '../policy/model.ts';
import type { NetworkStage, WorkloadPolicies } from '../policy/workload-policies.ts';
import { decision, noneSelected } from './decisions.ts';
import type { WhenNoneSelects } from './decisions.ts';
import { isExcessive } from './identity.ts';
import type { AuthzInput, Decision, ShadowDecision, Token } from './input.ts';
import { IstioRuleJudge } from './interpreter-istio.ts';
import type { PartResult } from './interpreter-istio.ts';
import { StrictJudge, letsIn } from './interpreter-strict.ts';

export interface InterpreterOptions {
  readonly revision: string;
  readonly whenNoneSelects: WhenNoneSelects;
}

export function interpret(set: WorkloadPolicies, input: AuthzInput, options: InterpreterOptions): Decision {
  const { revision } = options;
  if (isEmpty(set)) return noneSelected(options.whenNoneSelects, revision);
  const { principal, tls } = input.connection;
  if (principal !== null && isExcessive(principal)) return decision('deny', 'engine_error', revision);
  if (set.mtls !== null && !tls && (set.mtls.ports[String(input.connection.destinationPort)] ?? set.mtls.isStrict)) {
    return decision('deny', 'mtls_required', revision, set.mtls.policy);
  }
  for (const stage of set.network) {
    const refusal = networkRefusal(set, stage, input);
    if (refusal !== null) return decision('deny', 'denied_by_network_policy', revision, refusal.policy, refusal.rule);
  }
  const made = inheritedDecision(set, input, revision) ?? ownDecision(set, input, options);
  return withReports(made, auditedBy(set, input), shadowsOf(set, input));
}

/** The first rule of a policy that matches. A rule is judged on one token at a time, or on none when there is none. */
export function firstMatch(set: WorkloadPolicies, policy: Policy, input: AuthzInput): Rule | null {
  return policy.rules.find((rule) => ruleMatches(set, policy, rule, input)) ?? null;
}

export function ruleMatches(set: WorkloadPolicies, policy: Policy, rule: Rule, input: AuthzInput): boolean {
  const tokens = input.request === null || input.request.tokens.length === 0 ? [null] : input.request.tokens;
  return tokens.some((token) => matchesWith(set, policy, rule, input, token));
}

/** Each field of a rule and whether it holds, for one token. */
export function ruleParts(
  set: WorkloadPolicies,
  policy: Policy,
  rule: Rule,
  input: AuthzInput,
  token: Token | null,
): readonly PartResult[] {
  if (rule.strict !== undefined) return new StrictJudge(set, input, token, letsIn(policy.action)).parts(rule.strict);
  return new IstioRuleJudge(set, policy, input, token).parts(rule);
}

function matchesWith(set: WorkloadPolicies, policy: Policy, rule: Rule, input: AuthzInput, token: Token | null): boolean {
  if (rule.strict !== undefined) return new StrictJudge(set, input, token, letsIn(policy.action)).matches(rule.strict);
  return new IstioRuleJudge(set, policy, input, token).matches(rule);
}

/** Nothing says anything: not even the identity is looked at. */
function isEmpty({ levels, mtls, network, policies }: WorkloadPolicies): boolean {
  return policies.length === 0 && levels.length === 0 && network.length === 0 && mtls === null;
}

interface Match {
  readonly policy: string;
  readonly rule: string | null;
}

function networkRefusal(set: WorkloadPolicies, stage: NetworkStage, input: AuthzInput): Match | null {
  const judge = (lets: boolean): StrictJudge => new StrictJudge(set, input, null, lets);
  // Whether somebody is subject to a stage at all: to be subject never lets in.
  if (!judge(false).holds(stage.applies)) return null;
  for (const { otherwise, rules } of stage.tiers) {
    const decisive = rules.find(({ action, match }) => judge(action === 'accept').holds(match));
    if (decisive?.action === 'accept') return null;
    if (decisive?.action === 'deny') return { policy: decisive.policy, rule: decisive.name };
    if (decisive === undefined && otherwise !== 'next') return { policy: otherwise.deniedBy, rule: null };
  }
  return null;
}

function inheritedDecision(set: WorkloadPolicies, input: AuthzInput, revision: string): Decision | null {
  const isEnforced = ({ action, mode }: Policy): boolean => mode === 'enforce' && action !== 'AUDIT';
  for (const { ceilings, musts } of set.levels) {
    for (const ceiling of ceilings.filter(isEnforced)) {
      if (firstMatch(set, ceiling, input) !== null) continue;
      return decision('deny', 'denied_outside_ceiling', revision, policyTitle(ceiling, set.namespace));
    }
    for (const must of musts.filter(isEnforced)) {
      const rule = firstMatch(set, must, input);
      if (rule === null) continue;
      const title = policyTitle(must, set.namespace);
      if (must.action === 'ALLOW') return decision('allow', 'allowed_by_rule', revision, title, rule.name);
      return decision('deny', 'denied_by_rule', revision, title, rule.name);
    }
  }
  return null;
}

function ownDecision(set: WorkloadPolicies, input: AuthzInput, { revision, whenNoneSelects }: InterpreterOptions): Decision {
  const enforced = set.policies.filter(({ action, mode }) => mode === 'enforce' && action !== 'AUDIT');
  if (enforced.length === 0) return noneSelected(whenNoneSelects, revision);
  for (const policy of enforced.filter(({ action }) => action === 'CUSTOM')) {
    const rule = firstMatch(set, policy, input);
    const answer = rule === null ? 'allow' : answerOf(policy, input);
    if (rule === null || answer === 'allow') continue;
    const code = answer === 'deny' ? 'denied_by_provider' : 'provider_unavailable';
    return decision('deny', code, revision, policyTitle(policy, set.namespace), rule.name);
  }
  const denial = anyMatch(set, enforced, input, 'DENY');
  if (denial !== null) return decision('deny', 'denied_by_rule', revision, denial.policy, denial.rule);
  if (!enforced.some(({ action }) => action === 'ALLOW')) return decision('allow', 'allowed_no_policy', revision);
  const allowance = anyMatch(set, enforced, input, 'ALLOW');
  if (allowance !== null) return decision('allow', 'allowed_by_rule', revision, allowance.policy, allowance.rule);
  return decision('deny', 'denied_no_match', revision);
}

function anyMatch(set: WorkloadPolicies, policies: readonly Policy[], input: AuthzInput, wanted: 'ALLOW' | 'DENY'): Match | null {
  for (const policy of policies) {
    const rule = policy.action === wanted ? firstMatch(set, policy, input) : null;
    if (rule !== null) return { policy: policyTitle(policy, set.namespace), rule: rule.name };
  }
  return null;
}

function answerOf({ provider }: Policy, { providers = {} }: AuthzInput): 'allow' | 'deny' | null {
  return provider !== null && Object.hasOwn(providers, provider) ? (providers[provider] ?? null) : null;
}

function allPolicies(set: WorkloadPolicies): readonly Policy[] {
  return [...set.levels.flatMap(({ ceilings, musts }) => [...ceilings, ...musts]), ...set.policies];
}

function auditedBy(set: WorkloadPolicies, input: AuthzInput): readonly string[] {
  return allPolicies(set)
    .filter((policy) => policy.action === 'AUDIT' && policy.mode === 'enforce' && firstMatch(set, policy, input) !== null)
    .map((policy) => policyTitle(policy, set.namespace));
}

function shadowsOf(set: WorkloadPolicies, input: AuthzInput): readonly ShadowDecision[] {
  return allPolicies(set).flatMap((policy) => {
    const { action, mode } = policy;
    if (mode === 'enforce' || action === 'AUDIT') return [];
    const rule = firstMatch(set, policy, input)?.name ?? null;
    const isAllowed =
      action === 'ALLOW' ? rule !== null : rule === null || (action === 'CUSTOM' && answerOf(policy, input) === 'allow');
    return [{ policy: policyTitle(policy, set.namespace), mode, decision: isAllowed ? 'allow' : 'deny', rule }];
  });
}

function withReports(made: Decision, audited: readonly string[], shadow: readonly ShadowDecision[]): Decision {
  if (audited.length === 0 && shadow.length === 0) return made;
  return Object.freeze({
    ...made,
    ...(audited.length > 0 ? { audited } : {}),
    ...(shadow.length > 0 ? { shadow } : {}),
  });
}
