/**
 * Rules that change nothing: that no request matches, that only allow what is denied anyway, or that other rules make idle. Said by
 * the symbolic procedure of difference.ts for one workload, so it is a proof or it is not said.
 */
import type { Program } from '../plan/clauses.ts';
import { EFFECT } from '../plan/stages.ts';
import { policyTitle } from '../policy/model.ts';
import type { WorkloadPolicies } from '../policy/workload-policies.ts';
import { AnalysisBudget, BudgetSpent } from './analysis-budget.ts';
import { splitByDecisions } from './decide-region.ts';
import { decisionSpace, tokensNeeded } from './decision-space.ts';
import type { DecisionSpace, SpaceClause } from './decision-space.ts';
import type { LintCode } from './lint-findings.ts';
import { Predicates } from './predicates.ts';
import { Regions } from './region.ts';
import type { Region } from './region.ts';
import { ValueFinder } from './satisfy.ts';
import { startingRegion, withDependents } from './starting-region.ts';

export type IdleCode = LintCode & ('never-matches' | 'never-effective' | 'shadowed' | 'undecided');

/** Codes by `policy#rule`, of the enforced rules that change nothing for the workload. */
export function idleRules(set: WorkloadPolicies, budget: number): ReadonlyMap<string, IdleCode> {
  return new IdleSearch(set, budget).run();
}

export function ruleKey(policy: string, rule: string): string {
  return `${policy}#${rule}`;
}

interface ProgramContext {
  readonly predicates: Predicates;
  readonly regions: Regions;
  readonly budget: AnalysisBudget;
  readonly whole: DecisionSpace;
  readonly start: Region;
}

class IdleSearch {
  readonly #set: WorkloadPolicies;
  readonly #perRule: number;
  readonly #contexts: Readonly<Record<Program, ProgramContext>>;
  readonly #found = new Map<string, IdleCode>();

  constructor(set: WorkloadPolicies, budget: number) {
    this.#set = set;
    const rules = this.#rules().length;
    this.#perRule = Math.max(20_000, Math.floor(budget / Math.max(1, rules)));
    const tokens = Math.min(tokensNeeded([set]), 2);
    this.#contexts = { http: contextOf(set, 'http', tokens, budget), tcp: contextOf(set, 'tcp', 0, budget) };
  }

  run(): ReadonlyMap<string, IdleCode> {
    // The last of equal rules is the one that is told: what was found idle counts no more.
    for (const { policy, rule } of this.#rules().toReversed()) {
      const code = this.#judge(policy, rule);
      if (code !== null) this.#found.set(ruleKey(policy, rule), code);
    }
    return this.#found;
  }

  #rules(): readonly { readonly policy: string; readonly rule: string }[] {
    return this.#set.policies
      .filter(({ action, mode }) => mode === 'enforce' && (action === 'ALLOW' || action === 'DENY'))
      .flatMap((policy) => policy.rules.map(({ name }) => ({ policy: policyTitle(policy, this.#set.namespace), rule: name })));
  }

  #judge(policy: string, rule: string): IdleCode | null {
    const isIts = (clause: SpaceClause): boolean => clause.policy === policy && clause.rule === rule;
    let worst: IdleCode = 'never-matches';
    try {
      for (const program of ['http', 'tcp'] as const) {
        const code = this.#inProgram(program, isIts);
        if (code === null) return null;
        if (worst === 'never-matches') worst = code;
        else if (code === 'shadowed') worst = code;
      }
    } catch (error) {
      if (!(error instanceof BudgetSpent)) throw error;
      return 'undecided';
    }
    return worst;
  }

  /** Null when it changes something. */
  #inProgram(program: Program, isIts: (clause: SpaceClause) => boolean): IdleCode | null {
    const { budget, predicates, regions, start, whole: every } = this.#contexts[program];
    budget.share(this.#perRule);
    const whole = this.#withoutIdle(every);
    const own = whole.stages.flatMap(({ clauses }) => clauses.filter(isIts));
    // Conditions that mean nothing on raw TCP were dropped: about that port-by-port advice is given, not here.
    if (program === 'tcp' && own.some(({ literals }) => literals.length === 0)) return 'never-matches';
    const seeds = own.flatMap(({ literals }) => withDependents(regions.narrowed(start, literals), predicates, regions) ?? []);
    if (seeds.length === 0) return 'never-matches';
    const isDeny = own.some(({ effect }) => effect === EFFECT.deny);
    const space = isDeny ? upToDenials(whole, isIts) : whole;
    const rest = { stages: space.stages.map((stage) => ({ ...stage, clauses: stage.clauses.filter((one) => !isIts(one)) })) };
    const search = (take: (decisions: readonly string[]) => boolean, of: readonly DecisionSpace[]): boolean =>
      seeds.some((seed: Region) => splitByDecisions(of, seed, predicates, regions, (_, decisions) => take(decisions)));
    if (search(([one, other]) => one !== other, [space, rest])) return null;
    // Said of what is only roughly known it might be wrong.
    if (!predicates.isExact) return null;
    return isDeny || search(([one]) => one === 'allow', [space]) ? 'shadowed' : 'never-effective';
  }

  #withoutIdle({ stages }: DecisionSpace): DecisionSpace {
    const isIdle = ({ policy, rule }: SpaceClause): boolean => {
      const code = policy === null || rule === null ? undefined : this.#found.get(ruleKey(policy, rule));
      return code === 'shadowed';
    };
    return { stages: stages.map((stage) => ({ ...stage, clauses: stage.clauses.filter((clause) => !isIdle(clause)) })) };
  }
}

function contextOf(set: WorkloadPolicies, program: Program, tokens: number, most: number): ProgramContext {
  const budget = new AnalysisBudget(most);
  const predicates = new Predicates(set.trustDomains);
  const regions = new Regions(predicates, new ValueFinder(predicates, budget), budget);
  const whole = decisionSpace(set, program, predicates, { tokens, whenNoneSelects: 'deny' });
  return { budget, predicates, regions, whole, start: startingRegion(program, predicates, regions) };
}

/** What is denied, whether or not anything would allow it: a denial of what nothing allows yet has its use. */
function upToDenials({ stages }: DecisionSpace, isIts: (clause: SpaceClause) => boolean): DecisionSpace {
  const last = stages.findIndex(({ clauses }) => clauses.some(isIts));
  return { stages: [...stages.slice(0, last + 1), { clauses: [], otherwise: EFFECT.allow, jump: 0, isUniform: true }] };
}
