/**
 * Path templates as one automaton over segments. `{*}` is one segment of at least one `pchar`, `{**}` any run of segments of
 * `pchar`, at least one, possibly empty (RFC 3986, as Envoy 1.40 reads it; older ones
 * left out "=" and "*", so that a denied template could be passed by).
 */
import type { CompileBudget } from './budget.ts';
import { StateNumbers, sortedUnique, splitByBudget } from './automaton.ts';

export interface Template {
  readonly id: number;
  readonly segments: readonly string[];
}

/** What a segment is to a state that does not know it by name. */
export type SegmentKind = 'valid' | 'invalid' | 'empty';

export interface TemplateState {
  readonly valid: number;
  readonly invalid: number;
  readonly empty: number;
  /** Next state by literal segment, where it differs from that of its kind. */
  readonly literals: ReadonlyMap<string, number>;
  /** Ids of the templates that match when the path ends here. */
  readonly accepts: readonly number[];
}

export interface TemplateAutomaton {
  readonly start: number;
  /** State 0 is dead. */
  readonly states: readonly TemplateState[];
}

export function buildTemplates(templates: readonly Template[], budget: CompileBudget): readonly TemplateAutomaton[] {
  return splitByBudget(templates, (items) => buildOne(items, budget));
}

/** Whether every byte may stand in `{*}` and `{**}`. */
export function isWildcardByte(byte: number): boolean {
  return WILDCARD_BYTES[byte] === 1;
}

/** A node of the tree that the templates share their beginnings in. */
interface TreeNode {
  readonly literals: Map<string, number>;
  one: number | null;
  rest: number | null;
  /** Reached by `{**}`: stays for another segment. */
  readonly isRest: boolean;
  readonly ends: number[];
}

function buildOne(templates: readonly Template[], budget: CompileBudget): TemplateAutomaton {
  const tree = buildTree(templates);
  const states = new StateNumbers(Math.min(MAX_STATES, LEAST_STATES + STATES_EACH * tree.length));
  const start = states.of([0]);
  const built: TemplateState[] = [];
  for (let state = 0; state < states.sets.length; state++) {
    const nodes = (states.sets[state] ?? []).flatMap((index) => tree[index] ?? []);
    const indices = states.sets[state] ?? [];
    const step = (kind: SegmentKind, literal: string | null): number => states.of(advance(nodes, indices, kind, literal));
    const valid = step('valid', null);
    const invalid = step('invalid', null);
    const empty = step('empty', '');
    const literals = new Map<string, number>();
    budget.spend(16 * nodes.length);
    for (const node of nodes) {
      for (const literal of node.literals.keys()) {
        if (literal === '' || literals.has(literal)) continue;
        budget.spend(8 * nodes.length);
        literals.set(literal, step(isWildcardSegment(literal) ? 'valid' : 'invalid', literal));
      }
    }
    built.push({ valid, invalid, empty, literals, accepts: sortedUnique(nodes.flatMap(({ ends }) => ends)) });
  }
  return { start, states: built };
}

function buildTree(templates: readonly Template[]): readonly TreeNode[] {
  const tree: TreeNode[] = [newNode(false)];
  const add = (isRest: boolean): number => tree.push(newNode(isRest)) - 1;
  for (const { id, segments } of templates) {
    let at = 0;
    for (const segment of segments) {
      const node = tree[at];
      if (node === undefined) throw new Error('a template leads out of its tree');
      if (segment === '{*}') at = node.one ??= add(false);
      else if (segment === '{**}') at = node.rest ??= add(true);
      else {
        const known = node.literals.get(segment);
        at = known ?? add(false);
        if (known === undefined) node.literals.set(segment, at);
      }
    }
    tree[at]?.ends.push(id);
  }
  return tree;
}

function newNode(isRest: boolean): TreeNode {
  return { literals: new Map(), one: null, rest: null, isRest, ends: [] };
}

function advance(nodes: readonly TreeNode[], indices: readonly number[], kind: SegmentKind, literal: string | null): number[] {
  const reached: number[] = [];
  for (const [index, node] of nodes.entries()) {
    const named = literal === null ? undefined : node.literals.get(literal);
    if (named !== undefined) reached.push(named);
    if (kind === 'valid' && node.one !== null) reached.push(node.one);
    if (kind !== 'invalid') {
      if (node.rest !== null) reached.push(node.rest);
      if (node.isRest) reached.push(indices[index] ?? 0);
    }
  }
  return sortedUnique(reached);
}

function isWildcardSegment(segment: string): boolean {
  return [...Buffer.from(segment, 'latin1')].every(isWildcardByte);
}

const WILDCARD_BYTES = new Uint8Array(256);
for (const byte of Buffer.from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()*+,;=:@", 'latin1')) {
  WILDCARD_BYTES[byte] = 1;
}

/** Patterns that seldom overlap need about one state for each node of their tree. */
const LEAST_STATES = 32_768;
const STATES_EACH = 4;
const MAX_STATES = 1_000_000;
