/** Stages of clauses -> what the module is written from: attributes with their classes, and an index for each stage. */
import type { WorkloadPolicies } from '../policy/workload-policies.ts';
import { planBounds } from './bounds.ts';
import { CompileBudget } from './budget.ts';
import { indexClauses, withTrees } from './clause-index.ts';
import type { ClauseIndex } from './clause-index.ts';
import type { Check, PlannedClause } from './planned-clause.ts';
import type { Clause, Group, Program } from './clauses.ts';
import type { CompiledOutcome, PlanBounds, SlotSource } from './compiled.ts';
import { SlotPatterns, slotKey } from './dimensions.ts';
import type { PlannedSlot, SlotUse } from './dimensions.ts';
import { forestBudget } from './forest.ts';
import { Outcomes, StageReader, reportedPolicies } from './stages.ts';

export interface PlannedStage {
  readonly index: ClauseIndex;
  /** The answer when nothing matches. */
  readonly otherwise: number;
  /** Number of the stage that an answer may lead to. */
  readonly jump: number;
}

export interface ProgramPlan {
  readonly stages: readonly PlannedStage[];
  /** Of these every match is told; null for none. */
  readonly reports: ClauseIndex | null;
}

export interface Plan {
  readonly slots: readonly PlannedSlot[];
  readonly programs: Readonly<Record<Program, ProgramPlan>>;
  readonly outcomes: readonly (CompiledOutcome | null)[];
  /** Policies that are told beside the decision. */
  readonly reportCount: number;
  readonly bounds: PlanBounds;
}

/** How long lists of clauses are looked at; `auto` takes trees where a decision could look at many clauses. */
export type Strategy = 'auto' | PlanBounds['strategy'];

/** @throws {PosternError} `policy_too_large` when the policies exceed a bound of the compiler */
export function planPolicies(set: WorkloadPolicies, strategy: Strategy = 'auto'): Plan {
  const budget = new CompileBudget();
  const outcomes = new Outcomes();
  const clauses = {
    http: new StageReader(set, 'http', outcomes).read(),
    tcp: new StageReader(set, 'tcp', outcomes).read(),
  };
  const table = new SlotTable(
    [clauses.http, clauses.tcp].flatMap(({ reports, stages }) => [reports, ...stages.map((stage) => stage.clauses)]),
    budget,
  );
  const program = (name: Program): ProgramPlan => ({
    stages: clauses[name].stages.map(({ clauses: found, jump, otherwise }) => ({
      index: indexClauses(table.checked(found)),
      otherwise,
      jump,
    })),
    reports: clauses[name].reports.length === 0 ? null : indexClauses(table.checked(clauses[name].reports)),
  });
  const indexed = { http: program('http'), tcp: program('tcp') };
  const reportCount = reportedPolicies(set).length;
  const common = { slots: table.slots, outcomes: outcomes.list, reportCount };
  const bounds = planBounds(table.slots, indexed, 'index');
  const isIndex = strategy === 'index' || (strategy === 'auto' && bounds.longestScan <= LONGEST_SCAN);
  if (isIndex) return { ...common, programs: indexed, bounds };
  const forest = forestBudget(strategy === 'auto');
  const longest = strategy === 'forest' ? 1 : LONGEST_LIST;
  const planted = (from: ProgramPlan): ProgramPlan => ({
    stages: from.stages.map((stage) => ({ ...stage, index: withTrees(stage.index, longest, table.slots, forest) })),
    // Of what is reported every match counts, and a tree gives the first one.
    reports: from.reports,
  });
  const programs = { http: planted(indexed.http), tcp: planted(indexed.tcp) };
  return { ...common, programs, bounds: planBounds(table.slots, programs, forest.trees === 0 ? 'index' : 'forest') };
}

/** Gathers the patterns of all clauses by attribute, then reads groups as checks. */
class SlotTable {
  readonly slots: readonly PlannedSlot[];
  readonly #patterns = new Map<string, SlotPatterns>();
  readonly #numbers = new Map<string, number>();
  readonly #gathered = new Set<Group>();
  readonly #checks = new Map<Group, Check>();

  constructor(lists: readonly (readonly Clause[])[], budget: CompileBudget) {
    for (const clauses of lists) for (const { groups } of clauses) for (const group of groups) this.#gather(group);
    const inOrder = [...this.#patterns].toSorted(([, left], [, right]) => rank(left.use.source) - rank(right.use.source));
    for (const [key] of inOrder) this.#numbers.set(key, this.#numbers.size);
    this.slots = inOrder.map(([, patterns]) => patterns.build(budget));
  }

  checked(clauses: readonly Clause[]): readonly PlannedClause[] {
    return clauses.map(({ answer, groups }) => ({ answer, checks: groups.map((group) => this.#check(group)) }));
  }

  #gather(group: Group): void {
    if (this.#gathered.has(group)) return;
    this.#gathered.add(group);
    const use = useOf(group);
    const key = slotKey(use);
    const patterns = this.#patterns.get(key) ?? new SlotPatterns(use);
    this.#patterns.set(key, patterns);
    for (const pattern of group.patterns) patterns.add(pattern);
  }

  #check(group: Group): Check {
    const known = this.#checks.get(group);
    if (known !== undefined) return known;
    const key = slotKey(useOf(group));
    const patterns = this.#patterns.get(key);
    const check: Check = {
      slot: this.#numbers.get(key) ?? 0,
      alternatives: (group.isExhaustive ? patterns?.outside(group.patterns) : patterns?.alternatives(group.patterns)) ?? [],
      isNegated: group.isNegated,
    };
    this.#checks.set(group, check);
    return check;
  }
}

function useOf({ isExhaustive, slot }: Group): SlotUse {
  return { source: slot, isExhaustive };
}

/** Cells of a connection's attributes come first, so that they are copied as one piece. */
function rank(source: SlotSource): number {
  return SLOT_ORDER.indexOf(source.kind);
}

const SLOT_ORDER: readonly SlotSource['kind'][] = [
  'principal',
  'trustDomain',
  'namespace',
  'account',
  'anyNamespace',
  'anyAccount',
  'sourceIp',
  'remoteIp',
  'destinationIp',
  'destinationPort',
  'sni',
  'tls',
  'protocol',
  'tag',
  'method',
  'authority',
  'path',
  'query',
  'header',
  'requestPrincipal',
  'issuer',
  'subject',
  'audiences',
  'presenter',
  'claim',
  'provider',
];

/** Clauses that one decision may come to look at before trees are tried. */
const LONGEST_SCAN = 256;
/** Lists up to this length are left as they are. */
const LONGEST_LIST = 16;
