/**
 * A decision as stages (their order: authz/policy/workload-policies.ts), each a set of clauses of which the first that matches in
 * order of its answer tells how to go on. Beside them the policies that are only reported.
 */
import type { Policy, Rule } from '../policy/model.ts';
import { policyTitle } from '../policy/model.ts';
import type { MtlsRequirement, NetworkStage, WorkloadPolicies } from '../policy/workload-policies.ts';
import { PosternError } from '#base/error.ts';

import { MAX_CLAUSES, tooManyClauses } from './clauses.ts';
import type { Clause, Conjunction, Group, Program } from './clauses.ts';
import type { CompiledOutcome, ReportedPolicy } from './compiled.ts';
import { IstioRuleReader } from './istio-clauses.ts';
import { portPattern } from './patterns.ts';
import { StrictReader } from './strict-clauses.ts';

/** What an answer does: go to the next stage, end with an outcome, or go to the stage that the stage names. */
export const EFFECT = { next: 0, allow: 1, deny: 2, jump: 3 } as const;

export interface StageClauses {
  readonly clauses: readonly Clause[];
  /** The answer when nothing matches. */
  readonly otherwise: number;
  /** Number of the stage that `jump` leads to. */
  readonly jump: number;
}

export interface ProgramClauses {
  readonly stages: readonly StageClauses[];
  /** Of these every match is told; answers are `reportAnswer`. */
  readonly reports: readonly Clause[];
}

/** Numbers outcomes in the order in which they are first named; the same for both programs. */
export class Outcomes {
  readonly list: (CompiledOutcome | null)[] = [];

  readonly #ofRules = new Map<Policy, Map<Rule, number>>();

  /** The answer that a rule ends a decision with: the same for both programs, whose rules come in the same order. */
  ofRule(policy: Policy, rule: Rule, title: string): number {
    const ofPolicy = this.#ofRules.get(policy) ?? new Map<Rule, number>();
    this.#ofRules.set(policy, ofPolicy);
    const known = ofPolicy.get(rule);
    if (known !== undefined) return known;
    const isAllow = policy.action === 'ALLOW';
    const code = isAllow ? 'allowed_by_rule' : 'denied_by_rule';
    const answer = this.end({ code, effect: isAllow ? 'allow' : 'deny', policy: title, rule: rule.name });
    ofPolicy.set(rule, answer);
    return answer;
  }

  /** The answer that ends a decision. */
  end(outcome: CompiledOutcome): number {
    return (this.list.push(outcome) << 2) | (outcome.effect === 'allow' ? EFFECT.allow : EFFECT.deny);
  }

  /** An answer that only leads on; it takes its place in the order. */
  lead(effect: 'next' | 'jump'): number {
    return (this.list.push(null) << 2) | EFFECT[effect];
  }
}

export class StageReader {
  readonly #set: WorkloadPolicies;
  readonly #program: Program;
  readonly #outcomes: Outcomes;
  readonly #stages: StageClauses[] = [];
  #clauseCount = 0;

  constructor(set: WorkloadPolicies, program: Program, outcomes: Outcomes) {
    this.#set = set;
    this.#program = program;
    this.#outcomes = outcomes;
  }

  read(): ProgramClauses {
    if (this.#set.mtls !== null) this.#mtls(this.#set.mtls);
    for (const stage of this.#set.network) this.#network(stage);
    for (const { ceilings, musts } of this.#set.levels) {
      for (const ceiling of ceilings.filter(isEnforced)) this.#ceiling(ceiling);
      const enforced = musts.filter(isEnforced);
      if (enforced.length > 0)
        this.#push(
          enforced.flatMap((policy) => this.#rules(policy)),
          EFFECT.next,
        );
    }
    this.#own(this.#set.policies.filter(isEnforced));
    return { stages: this.#stages, reports: this.#reports() };
  }

  #mtls({ isStrict, policy, ports }: MtlsRequirement): void {
    const answer = this.#outcomes.end({ code: 'mtls_required', effect: 'deny', policy, rule: null });
    const plaintext = group('tls', [{ form: 'exact', text: 'false' }], false);
    const portsOf = (wanted: boolean): Group['patterns'] =>
      Object.keys(ports)
        .filter((port) => ports[port] === wanted)
        .map(portPattern);
    const exceptions = portsOf(!isStrict);
    // Where it is the rule, the named ports are left out; else they alone are meant.
    const isRuled = exceptions.length === 0 ? [] : [group('destinationPort', exceptions, isStrict)];
    if (!isStrict && exceptions.length === 0) return;
    this.#push([{ answer, groups: [plaintext, ...isRuled] }], EFFECT.next);
  }

  #network({ applies, tiers }: NetworkStage): void {
    const end = this.#stages.length + 1 + tiers.length;
    const subject = new StrictReader(this.#program, false).conjunctions(applies);
    this.#push(clausesOf(this.#outcomes.lead('next'), subject), EFFECT.jump, end);
    for (const { otherwise, rules } of tiers) {
      const clauses = rules.flatMap(({ action, match, name, policy }) => {
        const reader = new StrictReader(this.#program, action === 'accept');
        const answer =
          action === 'deny'
            ? this.#outcomes.end({ code: 'denied_by_network_policy', effect: 'deny', policy, rule: name })
            : this.#outcomes.lead(action === 'accept' ? 'jump' : 'next');
        return clausesOf(answer, reader.conjunctions(match));
      });
      const denial: CompiledOutcome | null =
        otherwise === 'next'
          ? null
          : { code: 'denied_by_network_policy', effect: 'deny', policy: otherwise.deniedBy, rule: null };
      this.#push(clauses, denial === null ? EFFECT.next : this.#outcomes.end(denial), end);
    }
  }

  #ceiling(ceiling: Policy): void {
    const answer = this.#outcomes.lead('next');
    const clauses = ceiling.rules.flatMap((rule) => clausesOf(answer, this.#conjunctions(ceiling, rule)));
    const policy = policyTitle(ceiling, this.#set.namespace);
    this.#push(clauses, this.#outcomes.end({ code: 'denied_outside_ceiling', effect: 'deny', policy, rule: null }));
  }

  #own(enforced: readonly Policy[]): void {
    const of = (action: Policy['action']): readonly Policy[] => enforced.filter((policy) => policy.action === action);
    if (enforced.length === 0) {
      this.#push([], this.#end('none_selected', 'deny'));
      return;
    }
    const custom = of('CUSTOM');
    if (custom.length > 0)
      this.#push(
        custom.flatMap((policy) => this.#askedProviders(policy)),
        EFFECT.next,
      );
    const denials = of('DENY').flatMap((policy) => this.#rules(policy));
    if (denials.length > 0) this.#push(denials, EFFECT.next);
    const allow = of('ALLOW');
    if (allow.length === 0) this.#push([], this.#end('allowed_no_policy', 'allow'));
    else
      this.#push(
        allow.flatMap((policy) => this.#rules(policy)),
        this.#end('denied_no_match', 'deny'),
      );
  }

  #end(code: CompiledOutcome['code'], effect: 'allow' | 'deny'): number {
    return this.#outcomes.end({ code, effect, policy: null, rule: null });
  }

  /** Rules of a policy, each with an outcome of its own. */
  #rules(policy: Policy): readonly Clause[] {
    const title = policyTitle(policy, this.#set.namespace);
    return policy.rules.flatMap((rule) =>
      clausesOf(this.#outcomes.ofRule(policy, rule, title), this.#conjunctions(policy, rule)),
    );
  }

  /** What a provider answered is an attribute like others: a rule matches on a denial, and on no answer. */
  #askedProviders(policy: Policy): readonly Clause[] {
    const title = policyTitle(policy, this.#set.namespace);
    const slot = { kind: 'provider', name: policy.provider ?? '' } as const;
    const common = { slot, isExhaustive: false };
    return policy.rules.flatMap((rule) => {
      const outcome = { effect: 'deny', policy: title, rule: rule.name } as const;
      const denied = this.#outcomes.end({ ...outcome, code: 'denied_by_provider' });
      const silent = this.#outcomes.end({ ...outcome, code: 'provider_unavailable' });
      return this.#conjunctions(policy, rule).flatMap((groups) => [
        { answer: denied, groups: [...groups, { ...common, patterns: [{ form: 'exact', text: 'deny' }], isNegated: false }] },
        { answer: silent, groups: [...groups, { ...common, patterns: [{ form: 'present' }], isNegated: true }] },
      ]);
    });
  }

  #reports(): readonly Clause[] {
    return reportedPolicies(this.#set).flatMap((policy, index) =>
      policy.rules.flatMap((rule, number) => clausesOf(reportAnswer(index, number), this.#conjunctions(policy, rule))),
    );
  }

  #conjunctions(policy: Policy, rule: Rule): readonly Conjunction[] {
    const conjunctions =
      rule.strict === undefined
        ? new IstioRuleReader(this.#set, policy, this.#program).conjunctions(rule)
        : new StrictReader(this.#program, policy.action === 'ALLOW').rule(rule.strict);
    this.#clauseCount += conjunctions.length;
    if (this.#clauseCount > MAX_CLAUSES) throw tooManyClauses();
    return conjunctions;
  }

  /** A stage that can do nothing is left out, unless another counts on its number. */
  #push(clauses: readonly Clause[], otherwise: number, jump = 0): void {
    if (clauses.length === 0 && otherwise === EFFECT.next && jump === 0) return;
    this.#stages.push({ clauses, otherwise, jump });
  }
}

/** Policies that are told beside the decision, those of the tree first. */
export function reportedPolicies(set: WorkloadPolicies): readonly Policy[] {
  const all = [...set.levels.flatMap(({ ceilings, musts }) => [...ceilings, ...musts]), ...set.policies];
  const reported = all.filter(({ action, mode }) => (mode === 'enforce') === (action === 'AUDIT'));
  if (reported.length > MAX_REPORTS || reported.some(({ rules }) => rules.length > MAX_REPORTED_RULES)) {
    throw new PosternError(
      'policy_too_large',
      `Cannot compile the policies: found more than ${MAX_REPORTS} that audit or are not enforced, or one of more than ${MAX_REPORTED_RULES} rules`,
      'Give the workload fewer of them',
    );
  }
  return reported;
}

export function describeReported(set: WorkloadPolicies): readonly ReportedPolicy[] {
  return reportedPolicies(set).map((policy) => {
    const { action, mode, provider, rules } = policy;
    return { policy: policyTitle(policy, set.namespace), mode, action, provider, rules: rules.map(({ name }) => name) };
  });
}

/** Number of the policy in the upper half, number of its rule, from 1, in the lower. */
function reportAnswer(policy: number, rule: number): number {
  return (policy << 16) | (rule + 1);
}

function clausesOf(answer: number, conjunctions: readonly Conjunction[]): readonly Clause[] {
  return conjunctions.map((groups) => ({ answer, groups }));
}

function group(kind: 'tls' | 'destinationPort', patterns: Group['patterns'], isNegated: boolean): Group {
  return { slot: { kind }, patterns, isNegated, isExhaustive: false };
}

function isEnforced({ action, mode }: Policy): boolean {
  return mode === 'enforce' && action !== 'AUDIT';
}

const MAX_REPORTS = 1024;
const MAX_REPORTED_RULES = 65_000;
