/**
 * What is told beside a decision: policies that audit and matched, and what policies that are not enforced would have said. Only
 * there when the workload has such policies; the same combination is the same frozen decision again.
 */
import type { CompiledPolicy, ReportedPolicy } from '../plan/compiled.ts';
import type { Decision, Providers, ShadowDecision } from './input.ts';

export class Reports {
  readonly #policies: readonly ReportedPolicy[];
  readonly #start: number;
  readonly #known = new Map<Decision, Map<string, Decision>>();
  #knownCount = 0;

  constructor({ layout, reports }: CompiledPolicy) {
    this.#policies = reports;
    this.#start = layout.reportStart;
  }

  get isEmpty(): boolean {
    return this.#policies.length === 0;
  }

  clear(cells: Int32Array): void {
    cells.fill(0, this.#start, this.#start + this.#policies.length);
  }

  /** The decision with what the module noted. */
  with(made: Decision, cells: Int32Array, providers: Providers | null): Decision {
    const rules: number[] = [];
    for (let index = 0; index < this.#policies.length; index++) rules.push(cells[this.#start + index] ?? 0);
    // Answers of authorizers are few, but whose they are counts.
    const key = providers === null ? rules.join() : `${rules.join()} ${JSON.stringify(providers)}`;
    const known = this.#known.get(made)?.get(key);
    if (known !== undefined) return known;
    const told = this.#told(made, rules, providers);
    if (this.#knownCount < MAX_KNOWN) {
      this.#knownCount++;
      const ofDecision = this.#known.get(made);
      if (ofDecision === undefined) this.#known.set(made, new Map([[key, told]]));
      else ofDecision.set(key, told);
    }
    return told;
  }

  #told(made: Decision, rules: readonly number[], providers: Providers | null): Decision {
    const audited: string[] = [];
    const shadow: ShadowDecision[] = [];
    for (const [index, policy] of this.#policies.entries()) {
      const matched = rules[index] ?? 0;
      const rule = matched === 0 ? null : (policy.rules[matched - 1] ?? null);
      if (policy.mode !== 'enforce') shadow.push(shadowOf(policy, policy.mode, rule, providers));
      else if (matched > 0) audited.push(policy.policy);
    }
    if (audited.length === 0 && shadow.length === 0) return made;
    return Object.freeze({
      ...made,
      ...(audited.length > 0 ? { audited: Object.freeze(audited) } : {}),
      ...(shadow.length > 0 ? { shadow: Object.freeze(shadow) } : {}),
    });
  }
}

function shadowOf(
  { action, policy, provider }: ReportedPolicy,
  mode: 'audit' | 'learn',
  rule: string | null,
  providers: Providers | null,
): ShadowDecision {
  const isAnswered = provider !== null && providers !== null && Object.hasOwn(providers, provider);
  const isLetIn = action === 'CUSTOM' && isAnswered && providers[provider] === 'allow';
  const isAllowed = action === 'ALLOW' ? rule !== null : rule === null || isLetIn;
  return Object.freeze({ policy, mode, decision: isAllowed ? 'allow' : 'deny', rule });
}

/** Decisions kept; further combinations are made anew each time. */
const MAX_KNOWN = 4096;
