/**
 * Who is let in to do something, and what somebody may do: the requests that are allowed, of those that some attributes are fixed
 * for, told by the rule that lets them in and by what it asks for. Complete within its budget; each row's example was judged by the
 * interpreter.
 */
import type { WhenNoneSelects } from '../engine/decisions.ts';
import type { Decision } from '../engine/input.ts';
import { interpret } from '../engine/interpreter.ts';
import type { Group } from '../plan/clauses.ts';
import type { SlotSource } from '../plan/compiled.ts';
import { pathPattern, toBinary } from '../plan/patterns.ts';
import type { WorkloadPolicies } from '../policy/workload-policies.ts';
import { AnalysisBudget, BudgetSpent } from './analysis-budget.ts';
import { splitByDecisions } from './decide-region.ts';
import { decisionSpace, tokensNeeded } from './decision-space.ts';
import { Predicates } from './predicates.ts';
import { inputOf, realise } from './realise.ts';
import type { ConcreteRequest } from './realise.ts';
import { Regions } from './region.ts';
import type { Region } from './region.ts';
import { ValueFinder } from './satisfy.ts';
import { startingRegion, withDependents } from './starting-region.ts';

/** Attributes with one value; the principal without its scheme, null for nobody. */
export interface FixedAttributes {
  readonly principal?: string | null;
  readonly method?: string;
  readonly path?: string;
  /** A path that fits the template, and none of those that fit better. */
  readonly template?: { readonly path: string; readonly without: readonly string[] };
  readonly host?: string;
  readonly port?: number;
}

export interface Access {
  /** The rule that lets in, `namespace/name#rule`, or the code where none does. */
  readonly by: string;
  /** What callers must be: patterns, or `anybody`. */
  readonly who: string;
  /** What else must hold, attribute by attribute. */
  readonly what: readonly string[];
  readonly example: ConcreteRequest;
}

export interface AccessReport {
  readonly accesses: readonly Access[];
  /** Whether nothing was left out. */
  readonly isComplete: boolean;
}

export function findAccess(
  set: WorkloadPolicies,
  fixed: FixedAttributes,
  { budget: most, whenNoneSelects }: { readonly budget?: number; readonly whenNoneSelects: WhenNoneSelects },
): AccessReport {
  const budget = new AnalysisBudget(most);
  const predicates = new Predicates(set.trustDomains);
  const regions = new Regions(predicates, new ValueFinder(predicates, budget), budget);
  const needed = tokensNeeded([set]);
  const space = decisionSpace(set, 'http', predicates, { tokens: Math.min(needed, 1), whenNoneSelects });
  const given = groupsOf(fixed).map((group) => predicates.literal(group, 0));
  const found = new Map<string, Access>();
  let isComplete = predicates.isExact;
  const take = (region: Region, [effect]: readonly string[]): boolean => {
    if (effect !== 'allow') return false;
    const user = (variable: Parameters<Regions['present']>[1]): string | null => regions.present(region, variable);
    const example = realise(regions.assignment(region), 'http', user);
    const decision = interpret(set, inputOf(example), { revision: '', whenNoneSelects });
    if (decision.effect !== 'allow') {
      isComplete = false;
      return false;
    }
    const access = accessOf(region, decision, example, predicates, given);
    const key = JSON.stringify([access.by, access.who, access.what]);
    if (!found.has(key)) found.set(key, access);
    return found.size >= MAX_ROWS;
  };
  try {
    const start = regions.narrowed(startingRegion('http', predicates, regions), given);
    const region = withDependents(start, predicates, regions);
    if (region !== null && splitByDecisions([space], region, predicates, regions, take)) isComplete = false;
  } catch (error) {
    if (!(error instanceof BudgetSpent)) throw error;
    isComplete = false;
  }
  return { accesses: [...found.values()].toSorted((left, right) => (left.by < right.by ? -1 : 1)), isComplete };
}

/** Only what must hold is told; what must not would be the list of all other rules. */
function accessOf(
  region: Region,
  decision: Decision,
  example: ConcreteRequest,
  predicates: Predicates,
  given: readonly number[],
): Access {
  const [who, what]: [string[], string[]] = [[], []];
  for (const [variable, literals] of region) {
    if (variable.key === 'tls' || variable.key === 'protocol') continue;
    for (const literal of literals) {
      const predicate = predicates.list[literal >> 1];
      if (predicate === undefined || (literal & 1) === 1 || given.includes(literal)) continue;
      (variable.key === 'principal' || variable.key.startsWith('tag ') ? who : what).push(predicate.text);
    }
  }
  const by = decision.policy === null ? decision.code : `${decision.policy}#${decision.rule ?? ''}`;
  return { by, who: who.length === 0 ? 'anybody' : who.join(' and '), what, example };
}

function groupsOf({ host, method, path, port, principal, template }: FixedAttributes): readonly Group[] {
  const exact = (slot: SlotSource, text: string): Group => ({
    slot,
    patterns: [{ form: 'exact', text }],
    isNegated: false,
    isExhaustive: false,
  });
  const nobody: Group = { slot: { kind: 'principal' }, patterns: [{ form: 'present' }], isNegated: true, isExhaustive: false };
  return [
    ...(principal === undefined ? [] : [principal === null ? nobody : exact({ kind: 'principal' }, principal)]),
    ...(method === undefined ? [] : [exact({ kind: 'method' }, method)]),
    ...(path === undefined ? [] : [exact({ kind: 'path' }, toBinary(path))]),
    ...(template === undefined ? [] : [fitting(template.path, false), ...template.without.map((one) => fitting(one, true))]),
    ...(host === undefined ? [] : [exact({ kind: 'authority' }, toBinary(host.toLowerCase()))]),
    ...(port === undefined ? [] : [exact({ kind: 'destinationPort' }, String.fromCharCode(port >> 8, port & 0xff))]),
  ];
}

function fitting(template: string, isNegated: boolean): Group {
  return { slot: { kind: 'path' }, patterns: [pathPattern(template)], isNegated, isExhaustive: false };
}

const MAX_ROWS = 1_000;
