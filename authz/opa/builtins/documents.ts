/** Builtins that look into documents by paths: `json.filter`, `json.remove`, `json.patch`, `walk`, and those of graphs. */
import type { Meter } from '../meter.ts';
import { RegoObject, RegoSet, areEqual, isArray, lookUp, objectOf } from '../value.ts';
import type { RegoValue } from '../value.ts';
import { elementsOf } from './builtin.ts';
import type { BuiltinContext, BuiltinTable } from './builtin.ts';
import { applyPatches, readPath } from './json-patch.ts';

export const DOCUMENT_BUILTINS: BuiltinTable = {
  'json.filter': ([document, paths]) => {
    const tree = pathTree(paths);
    return document instanceof RegoObject && tree !== null ? kept(document, tree) : undefined;
  },
  'json.remove': ([document, paths]) => {
    const tree = pathTree(paths);
    return document instanceof RegoObject && tree !== null ? without(document, tree) : undefined;
  },
  'json.patch': ([document, patches]) =>
    document !== undefined && isArray(patches) ? applyPatches(document, patches) : undefined,
  walk: ([document], { meter }) => {
    if (document === undefined) return undefined;
    const pairs: RegoValue[] = [];
    walk(document, [], pairs, (depth) => meter.hold(48 + 8 * depth));
    return pairs;
  },
  'graph.reachable': ([graph, initial], context) => {
    const start = elementsOf(initial);
    return graph instanceof RegoObject && start !== null ? reachable(graph, start, context) : undefined;
  },
  'graph.reachable_paths': ([graph, initial], { meter }) => {
    const start = elementsOf(initial);
    if (!(graph instanceof RegoObject) || start === null) return undefined;
    const found = new RegoSet();
    for (const node of start) if (graph.find(node) !== undefined) extend(graph, [node], found, meter);
    return found;
  },
};

/** Paths as a tree; a leaf is null: what lies below it goes with it. */
type PathTree = Map<string, PathTree | null>;

function pathTree(paths: RegoValue | undefined): PathTree | null {
  const list = elementsOf(paths);
  if (list === null) return null;
  const root: PathTree = new Map();
  for (const path of list) {
    const steps = readPath(path);
    if (steps === null) return null;
    let at: PathTree | null = root;
    for (const [index, step] of steps.entries()) {
      if (at === null) break;
      const isLast = index === steps.length - 1;
      const next: PathTree | null | undefined = at.get(step);
      if (isLast) at.set(step, null);
      else if (next === undefined) at.set(step, new Map());
      at = at.get(step) ?? null;
    }
  }
  return root;
}

function kept(value: RegoValue, tree: PathTree): RegoValue {
  if (value instanceof RegoObject) {
    const made = new RegoObject();
    for (const [step, below] of tree) {
      const element = value.find(step);
      if (element !== undefined) made.insert(step, below === null ? element : kept(element, below));
    }
    return made;
  }
  if (isArray(value)) {
    return value.flatMap((element, index) => {
      const below = tree.get(String(index));
      return below === undefined ? [] : [below === null ? element : kept(element, below)];
    });
  }
  return value;
}

function without(value: RegoValue, tree: PathTree): RegoValue {
  const cut = (element: RegoValue, step: string): RegoValue | undefined => {
    const below = tree.get(step);
    return below === null ? undefined : below === undefined ? element : without(element, below);
  };
  if (value instanceof RegoObject) {
    return objectOf(
      value.entries().flatMap(([key, element]): (readonly [RegoValue, RegoValue])[] => {
        const left = typeof key === 'string' ? cut(element, key) : element;
        return left === undefined ? [] : [[key, left]];
      }),
    );
  }
  if (isArray(value)) {
    return value.flatMap((element, index) => {
      const left = cut(element, String(index));
      return left === undefined ? [] : [left];
    });
  }
  return value;
}

function walk(value: RegoValue, path: readonly RegoValue[], pairs: RegoValue[], pay: (depth: number) => void): void {
  pay(path.length);
  pairs.push([path, value]);
  if (value instanceof RegoObject) for (const [key, element] of value.entries()) walk(element, [...path, key], pairs, pay);
  else if (isArray(value)) for (const [index, element] of value.entries()) walk(element, [...path, index], pairs, pay);
  else if (value instanceof RegoSet) for (const element of value.elements()) walk(element, [...path, element], pairs, pay);
}

function reachable(graph: RegoObject, start: readonly RegoValue[], { meter }: BuiltinContext): RegoSet {
  const seen = new RegoSet();
  const queue = [...start];
  for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
    meter.spend(1);
    const edges = graph.find(node);
    if (edges === undefined || seen.has(node)) continue;
    seen.add(node);
    for (const next of elementsOf(edges) ?? []) queue.push(next);
  }
  return seen;
}

function extend(graph: RegoObject, path: readonly RegoValue[], found: RegoSet, meter: Meter): void {
  const edges = elementsOf(lookUp(graph, path.at(-1) ?? null)) ?? [];
  meter.spend(PATH_COST * (path.length + edges.length));
  // A way ends where there is no next node, where that is none of the graph, and where it would come round.
  let isEnd = edges.length === 0;
  for (const next of edges) {
    if (graph.find(next) === undefined || path.some((node) => areEqual(node, next))) isEnd = true;
    else extend(graph, [...path, next], found, meter);
  }
  if (!isEnd) return;
  meter.hold(64 + 16 * path.length);
  found.add(path);
}

/** Steps for each node that a way already has, and for each that it could go on to. */
const PATH_COST = 64;
