/**
 * Clauses -> an index. Every clause is filed under one of its groups, the one whose lists are shortest, for each class that the
 * group accepts; what is left of it is checked when the list is walked. Time to decide then depends on the longest list that a
 * request can meet, which is known here and bounds the module's loops.
 */
import type { Clause, Group, Program } from './clauses.ts';
import { clausesOf } from './clauses.ts';
import { SlotPatterns, slotKey } from './dimensions.ts';
import type { Alternative, PlannedSlot, Range } from './dimensions.ts';
import type { Action } from '../policy/model.ts';
import type { WorkloadPolicies } from '../policy/workload-policies.ts';
import type { SlotSource } from './compiled.ts';

/** A group as classes: any alternative holds, or none where it is negated. */
export interface Check {
  readonly slot: number;
  readonly alternatives: readonly Alternative[];
  readonly isNegated: boolean;
}

export interface PlannedClause {
  readonly rule: number;
  /** What remains to be checked of a clause that was found in a list. */
  readonly checks: readonly Check[];
}

/** Clauses that a value of one class leads to, in order of their rules. */
export interface ClassList {
  readonly slot: number;
  readonly dimension: number;
  readonly classNumber: number;
  readonly clauses: readonly PlannedClause[];
}

export interface ActionIndex {
  /** Clauses without a group to file them under. */
  readonly always: readonly PlannedClause[];
  readonly lists: readonly ClassList[];
}

export interface ProgramPlan {
  /** Some ALLOW policy selects the workload: what none of them allows is denied. */
  readonly hasAllow: boolean;
  readonly deny: ActionIndex;
  readonly allow: ActionIndex;
}

export interface Plan {
  readonly slots: readonly PlannedSlot[];
  readonly programs: Readonly<Record<Program, ProgramPlan>>;
  /** Most clauses that one decision can look at. */
  readonly longestScan: number;
}

export function planPolicies(set: WorkloadPolicies): Plan {
  const clauses = { http: clausesOf(set, 'http'), tcp: clausesOf(set, 'tcp') };
  const table = new SlotTable([...clauses.http, ...clauses.tcp]);
  const hasAllow = set.policies.some(({ action }) => action === 'ALLOW');
  const program = (name: Program): ProgramPlan => ({
    hasAllow,
    deny: indexClauses(table.checked(clauses[name], 'DENY')),
    allow: indexClauses(table.checked(clauses[name], 'ALLOW')),
  });
  const programs = { http: program('http'), tcp: program('tcp') };
  return { slots: table.slots, programs, longestScan: Math.max(longest(programs.http), longest(programs.tcp)) };
}

/** Gathers the patterns of all clauses by attribute, then reads groups as checks. */
class SlotTable {
  readonly slots: readonly PlannedSlot[];
  readonly #patterns = new Map<string, SlotPatterns>();
  readonly #numbers = new Map<string, number>();
  readonly #checks = new Map<Group, Check>();

  constructor(clauses: readonly Clause[]) {
    for (const { groups } of clauses) for (const group of groups) this.#gather(group);
    const inOrder = [...this.#patterns].toSorted(([, left], [, right]) => rank(left.source) - rank(right.source));
    for (const [key] of inOrder) this.#numbers.set(key, this.#numbers.size);
    this.slots = inOrder.map(([, patterns]) => patterns.build());
  }

  checked(clauses: readonly Clause[], action: Action): readonly PlannedClause[] {
    return clauses
      .filter((clause) => clause.action === action)
      .map(({ rule, groups }) => ({ rule, checks: groups.map((group) => this.#check(group)) }));
  }

  #gather(group: Group): void {
    const key = slotKey(group.slot);
    const patterns = this.#patterns.get(key) ?? new SlotPatterns(group.slot);
    this.#patterns.set(key, patterns);
    for (const pattern of group.patterns) patterns.add(pattern);
  }

  #check(group: Group): Check {
    const known = this.#checks.get(group);
    if (known !== undefined) return known;
    const key = slotKey(group.slot);
    const check: Check = {
      slot: this.#numbers.get(key) ?? 0,
      alternatives: this.#patterns.get(key)?.alternatives(group.patterns) ?? [],
      isNegated: group.isNegated,
    };
    this.#checks.set(group, check);
    return check;
  }
}

function indexClauses(clauses: readonly PlannedClause[]): ActionIndex {
  const crowd = new Crowd(clauses);
  const always: PlannedClause[] = [];
  const lists = new Map<string, { slot: number; dimension: number; classNumber: number; clauses: PlannedClause[] }>();
  for (const clause of clauses) {
    const access = crowd.bestAccess(clause);
    if (access === null) {
      always.push(clause);
      continue;
    }
    const rest: PlannedClause = { rule: clause.rule, checks: clause.checks.filter((check) => check !== access) };
    for (const { dimension, ranges } of access.alternatives) {
      forEachClass(ranges, (classNumber) => {
        const key = `${access.slot} ${dimension} ${classNumber}`;
        const list = lists.get(key);
        if (list === undefined) lists.set(key, { slot: access.slot, dimension, classNumber, clauses: [rest] });
        else if (list.clauses.at(-1) !== rest) list.clauses.push(rest);
      });
    }
  }
  return { always, lists: [...lists.values()] };
}

/** How many clauses care for each class: the estimate of how long its list would be. */
class Crowd {
  readonly #counts = new Map<number, number>();

  constructor(clauses: readonly PlannedClause[]) {
    for (const { checks } of clauses) {
      for (const check of checks) {
        if (!isAccess(check)) continue;
        this.#forEach(check, (key) => this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1));
      }
    }
  }

  bestAccess(clause: PlannedClause): Check | null {
    let best: Check | null = null;
    let bestCost = Infinity;
    for (const check of clause.checks) {
      if (!isAccess(check)) continue;
      let cost = 0;
      this.#forEach(check, (key) => {
        cost = Math.max(cost, this.#counts.get(key) ?? 0);
      });
      if (cost < bestCost) {
        best = check;
        bestCost = cost;
      }
    }
    return best;
  }

  #forEach(check: Check, visit: (key: number) => void): void {
    for (const { dimension, ranges } of check.alternatives) {
      const base = (check.slot * MAX_DIMENSIONS + dimension) * MAX_CLASSES;
      forEachClass(ranges, (classNumber) => visit(base + classNumber));
    }
  }
}

/** A group that accepts too many classes would fill the index with itself; it is checked, never filed under. */
function isAccess(check: Check): boolean {
  return !check.isNegated && widthOf(check) <= MAX_ACCESS_CLASSES;
}

function widthOf(check: Check): number {
  let width = 0;
  for (const { ranges } of check.alternatives) for (const { low, high } of ranges) width += high - low + 1;
  return width;
}

function forEachClass(ranges: readonly Range[], visit: (classNumber: number) => void): void {
  for (const { low, high } of ranges) for (let number = low; number <= high; number++) visit(number);
}

/** The sum over attributes of the longest list, which no request can exceed unless one attribute has several values. */
function longest(program: ProgramPlan): number {
  let sum = 0;
  for (const index of [program.deny, program.allow]) {
    const byDimension = new Map<string, number>();
    for (const { slot, dimension, clauses } of index.lists) {
      const key = `${slot} ${dimension}`;
      byDimension.set(key, Math.max(byDimension.get(key) ?? 0, clauses.length));
    }
    sum += index.always.length;
    for (const length of byDimension.values()) sum += length;
  }
  return sum;
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
  'method',
  'authority',
  'path',
  'header',
  'requestPrincipal',
  'audiences',
  'presenter',
  'claim',
];

const MAX_ACCESS_CLASSES = 512;
const MAX_DIMENSIONS = 4096;
const MAX_CLASSES = 2 ** 24;
