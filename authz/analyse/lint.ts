/** Everything that `policy lint` finds in a set of documents; each finding once, in order of place. */
import { PosternError } from '#base/error.ts';

import type { Policy, Workload } from '../policy/model.ts';
import { policyTitle, selectsWorkload } from '../policy/model.ts';
import { joinInventories } from '../policy/network/inventory.ts';
import type { PolicySet } from '../policy/policy-set.ts';
import { selectPolicies } from '../policy/select.ts';
import type { SelectOptions } from '../policy/select.ts';
import type { WorkloadPolicies } from '../policy/workload-policies.ts';
import { findDifference } from './difference.ts';
import { idleRules, ruleKey } from './lint-effects.ts';
import type { IdleCode } from './lint-effects.ts';
import { LINT_CODES, finding } from './lint-findings.ts';
import type { Finding } from './lint-findings.ts';
import { lintRule } from './lint-rules.ts';
import type { RuleSurroundings } from './lint-rules.ts';
import { describeRequest } from './realise.ts';
import { workloadsToldApart } from './workloads.ts';

export interface LintOptions extends Omit<SelectOptions, 'nowMs'> {
  readonly nowMs: number;
  /** Ports that carry no HTTP, beside those that are known to. */
  readonly tcpPorts: readonly number[];
  /** Steps of the search for rules that change nothing, for each workload. */
  readonly budget?: number;
}

export function lintPolicies(set: PolicySet, options: LintOptions): readonly Finding[] {
  const { nowMs, rootNamespace, trustDomain, trustDomainAliases } = options;
  const { workloads } = joinInventories(set.inventories);
  const byName = workloads.flatMap(({ ports }) => ports.filter(({ name }) => /^(?:tcp|mysql|redis|mongo|tls)(?:-|$)/.test(name)));
  const tcpPorts = new Set([...WELL_KNOWN_TCP, ...options.tcpPorts, ...byName.map(({ port }) => port)]);
  const around: RuleSurroundings = {
    set,
    rootNamespace,
    trustDomains: [trustDomain, ...trustDomainAliases],
    tcpPorts,
    workloads,
  };
  const found: Finding[] = [];
  for (const policy of set.policies) {
    found.push(...lintValidity(policy, nowMs), ...lintSelection(policy, around));
    for (const rule of policy.rules) found.push(...lintRule(policy, rule, around));
  }
  const selected = selections(set, options);
  found.push(...lintEffects(set, selected, options), ...lintProviders(selected, set), ...lintRoot(set, selected, options));
  const once = new Map(found.map((one) => [`${one.code} ${one.policy} ${one.rule ?? ''} ${one.message}`, one]));
  return [...once.values()].toSorted(
    (left, right) =>
      compare(left.position.file, right.position.file) ||
      left.position.line - right.position.line ||
      compare(left.code, right.code),
  );
}

interface Selection {
  readonly workload: Workload;
  readonly policies: WorkloadPolicies;
}

function selections(set: PolicySet, options: LintOptions): readonly Selection[] {
  return workloadsToldApart(set, options.rootNamespace, MAX_WORKLOADS).flatMap((workload) => {
    try {
      return [{ workload, policies: selectPolicies(set, workload, options) }];
    } catch (error) {
      // An operation of an API that is imported elsewhere: nothing is known of it here.
      if (error instanceof PosternError) return [];
      throw error;
    }
  });
}

function lintValidity(policy: Policy, nowMs: number): readonly Finding[] {
  const expires = policy.validity?.expiresMs ?? null;
  if (expires === null || expires - nowMs > WEEK_MS) return [];
  const at = new Date(expires).toISOString();
  if (expires <= nowMs) return [finding('expired', policy, null, `the policy expired at ${at}`)];
  return [finding('expires-soon', policy, null, `the policy expires at ${at}`)];
}

function lintSelection(policy: Policy, { rootNamespace, workloads }: RuleSurroundings): readonly Finding[] {
  if (workloads.length === 0 || policy.isForGateways) return [];
  if (workloads.some((workload) => selectsWorkload(policy, workload, rootNamespace))) return [];
  return [finding('selects-nothing', policy, null, 'the policy selects no workload of the inventory')];
}

/** A rule is idle when it is so for every workload that its policy selects. */
function lintEffects(
  set: PolicySet,
  selected: readonly Selection[],
  { budget = DEFAULT_BUDGET }: LintOptions,
): readonly Finding[] {
  const counts = new Map<string, number>();
  const idle = new Map<string, IdleCode[]>();
  for (const { policies } of selected) {
    for (const policy of policies.policies) {
      for (const { name } of policy.rules) add(counts, ruleKey(policyTitle(policy, policies.namespace), name));
    }
    for (const [key, code] of idleRules(policies, budget)) idle.set(key, [...(idle.get(key) ?? []), code]);
  }
  return set.policies.flatMap((policy) =>
    policy.rules.flatMap((rule) => {
      const key = ruleKey(policyTitle(policy, 'default'), rule.name);
      const codes = idle.get(key) ?? [];
      const [code] = codes.toSorted((left, right) => SEVERITY.indexOf(right) - SEVERITY.indexOf(left));
      if (code === undefined || codes.length < (counts.get(key) ?? 0)) return [];
      return [finding(code, policy, rule, LINT_CODES[code])];
    }),
  );
}

function lintProviders(selected: readonly Selection[], set: PolicySet): readonly Finding[] {
  const titles = new Set(
    selected.flatMap(({ policies }) =>
      policies.policies.flatMap((policy) =>
        policy.action === 'CUSTOM' && policy.provider === null ? [policyTitle(policy, policies.namespace)] : [],
      ),
    ),
  );
  return set.policies
    .filter((policy) => titles.has(policyTitle(policy, 'default')))
    .map((policy) => finding('several-providers', policy, null, LINT_CODES['several-providers']));
}

/** ALLOWs add up: what one of the root namespace leaves out, one of a namespace may let in. */
function lintRoot(set: PolicySet, selected: readonly Selection[], options: LintOptions): readonly Finding[] {
  const isBounding = ({ action, mode, namespace, rules, scope }: Policy): boolean =>
    scope === null && action === 'ALLOW' && mode === 'enforce' && namespace === options.rootNamespace && rules.length > 0;
  return set.policies.filter(isBounding).flatMap((root) => {
    for (const { policies, workload } of selected) {
      if (workload.namespace === options.rootNamespace) continue;
      const others = policies.policies.filter(
        ({ action, namespace, rules }) => action === 'ALLOW' && namespace !== options.rootNamespace && rules.length > 0,
      );
      if (others.length === 0 || !policies.policies.includes(root)) continue;
      const bounded = { ...policies, policies: policies.policies.filter((policy) => !others.includes(policy)) };
      const { witnesses } = findDifference(bounded, policies, { whenNoneSelects: 'deny', limit: 1, budget: ROOT_BUDGET });
      const wider = witnesses.find(({ after }) => after.effect === 'allow');
      if (wider === undefined) continue;
      const text = `"${String(wider.after.policy)}" allows more than this policy of the root namespace, which bounds nothing: ${describeRequest(wider.request)}`;
      return [finding('root-allow-widened', root, null, text)];
    }
    return [];
  });
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function compare(left: string, right: string): number {
  return left === right ? 0 : left < right ? -1 : 1;
}

const SEVERITY: readonly IdleCode[] = ['never-matches', 'never-effective', 'shadowed', 'undecided'];
const WEEK_MS = 7 * 86_400_000;
const MAX_WORKLOADS = 50;
const DEFAULT_BUDGET = 5_000_000;
const ROOT_BUDGET = 500_000;
/** MySQL, PostgreSQL, Redis, MongoDB, Kafka, AMQP, Cassandra, ZooKeeper, LDAP, SMTP. */
const WELL_KNOWN_TCP: readonly number[] = [3306, 5432, 6379, 27_017, 9092, 5672, 9042, 2181, 389, 25];
