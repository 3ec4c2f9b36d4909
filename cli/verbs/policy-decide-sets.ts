/**
 * Compiled sets of policies by workload and time, for verbs that answer many questions. The least recently used are dropped. A
 * workload whose policies cannot be selected or compiled is denied everything, as its sidecar would deny it.
 */
import { PosternError } from '#base/error.ts';
import { refuseWidening } from '#authz/analyse/widening.ts';
import { denyAll } from '#authz/engine/decisions.ts';
import type { WhenNoneSelects } from '#authz/engine/decisions.ts';
import type { Engine } from '#authz/engine/engine.ts';
import { explain } from '#authz/engine/explain.ts';
import type { Explanation } from '#authz/engine/explain.ts';
import type { AuthzInput, Decision } from '#authz/engine/input.ts';
import { interpret } from '#authz/engine/interpreter.ts';
import { loadEngine } from '#authz/engine/load.ts';
import { decideOnce, differenceOf } from '#authz/engine/self-test.ts';
import { compileSelected } from '#authz/plan/compile.ts';
import type { PolicyLoss } from '#authz/policy/losses.ts';
import type { Policy, Workload } from '#authz/policy/model.ts';
import type { PolicySet } from '#authz/policy/policy-set.ts';
import { selectPolicies } from '#authz/policy/select.ts';
import type { SelectOptions } from '#authz/policy/select.ts';
import type { WorkloadPolicies } from '#authz/policy/workload-policies.ts';

import { EXIT, ExitError } from '../exit.ts';

export interface JudgeOptions extends Omit<SelectOptions, 'nowMs'> {
  readonly engine: 'wasm' | 'interpreter' | 'both';
  readonly whenNoneSelects: WhenNoneSelects;
  /** Told once for each workload whose policies are at fault. */
  readonly complain: (message: string) => void;
}

export interface Judgement {
  readonly decision: Decision;
  /** What it would be if every policy that is tried out were enforced; null when none is. */
  readonly ifEnforced: Decision | null;
  /** What the documents say and is not held to. */
  readonly losses: readonly PolicyLoss[];
  explain(): Explanation;
}

/** Answers for the policies of one workload while they are in force. */
interface Judge {
  readonly fromMs: number;
  readonly untilMs: number;
  judge(input: AuthzInput): Judgement;
}

export class CompiledSets {
  readonly #policies: PolicySet;
  readonly #options: JudgeOptions;
  /** By workload, in order of use, the oldest first. */
  readonly #judges = new Map<string, Judge>();

  constructor(policies: PolicySet, options: JudgeOptions) {
    this.#policies = policies;
    this.#options = options;
  }

  judge(workload: Workload, input: AuthzInput, nowMs: number): Judgement {
    const key = JSON.stringify(workload);
    let judge = this.#judges.get(key);
    if (judge !== undefined) this.#judges.delete(key);
    if (judge === undefined || nowMs < judge.fromMs || nowMs >= judge.untilMs) judge = this.#make(workload, nowMs);
    this.#judges.set(key, judge);
    const [oldest] = this.#judges.keys();
    if (this.#judges.size > MAX_SETS && oldest !== undefined) this.#judges.delete(oldest);
    return judge.judge(input);
  }

  #make(workload: Workload, nowMs: number): Judge {
    try {
      const set = selectPolicies(this.#policies, workload, { ...this.#options, nowMs });
      refuseWidening(set);
      const judge = judgeOf(set, workload, this.#options, this.#policies.policies.length);
      return { fromMs: nowMs, untilMs: set.validUntilMs ?? Infinity, judge };
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      this.#options.complain(`${error.message}${error.hint === null ? '' : `\n  ${error.hint}`}`);
      return { fromMs: -Infinity, untilMs: Infinity, judge: constantJudge(denyAll('policy_invalid')) };
    }
  }
}

/** Of an engine that has but one decision. */
export function constantJudge(engine: Engine): (input: AuthzInput) => Judgement {
  const made = decideOnce(engine, NOTHING);
  const text = `${made.effect === 'deny' ? 'denied' : 'allowed'}: ${made.code}`;
  const explanation = { effect: made.effect, code: made.code, matched: null, nearest: null, text };
  return () => ({ decision: made, ifEnforced: null, losses: [], explain: () => explanation });
}

function judgeOf(
  set: WorkloadPolicies,
  workload: Workload,
  { engine, whenNoneSelects }: JudgeOptions,
  documents: number,
): (input: AuthzInput) => Judgement {
  const compiled = compileSelected(set, documents);
  const module = loadEngine(compiled, { whenNoneSelects });
  const options = { revision: compiled.revision, whenNoneSelects };
  const enforced = hasTrials(set) ? allEnforced(set) : null;
  return (input) => {
    const slowly = (): Decision => interpret(set, input, options);
    const made = engine === 'interpreter' ? slowly() : decideOnce(module, input);
    if (engine === 'both') {
      const difference = differenceOf(made, slowly());
      if (difference !== null) throw engineDifference(difference, workload, input);
    }
    const ifEnforced = enforced === null ? null : interpret(enforced, input, options);
    return { decision: made, ifEnforced, losses: set.losses, explain: () => explain(set, input, whenNoneSelects) };
  };
}

function hasTrials({ levels, policies }: WorkloadPolicies): boolean {
  const inherited = levels.flatMap(({ ceilings, musts }) => [...ceilings, ...musts]);
  return [...policies, ...inherited].some(({ mode }) => mode !== 'enforce');
}

function allEnforced(set: WorkloadPolicies): WorkloadPolicies {
  const enforced = (policies: readonly Policy[]): readonly Policy[] => policies.map((policy) => ({ ...policy, mode: 'enforce' }));
  return {
    ...set,
    policies: enforced(set.policies),
    levels: set.levels.map(({ ceilings, musts, path }) => ({ path, ceilings: enforced(ceilings), musts: enforced(musts) })),
  };
}

function engineDifference(difference: string, workload: Workload, input: AuthzInput): ExitError {
  const request = input.request === null ? null : { ...input.request, fields: undefined };
  const told = JSON.stringify({ workload, connection: input.connection, request });
  return new ExitError(EXIT.internal, `Cannot answer: the engines differ, the decision ${difference}; request ${told}`);
}

const MAX_SETS = 128;
/** What an engine that has but one decision is asked. */
const NOTHING: AuthzInput = {
  connection: {
    principal: null,
    sourceIp: '',
    remoteIp: '',
    destinationIp: '',
    destinationPort: 0,
    sni: null,
    tls: false,
    protocol: 'tcp',
  },
  request: null,
};
