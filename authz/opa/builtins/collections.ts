/** Builtins of types, lists, sets and objects. */
import { RegoObject, RegoSet, areEqual, isArray, isNumber, lookUp, objectOf, typeName } from '../value.ts';
import type { RegoArray, RegoValue } from '../value.ts';
import { elementsOf, smallInteger } from './builtin.ts';
import type { Builtin, BuiltinContext, BuiltinTable } from './builtin.ts';

export const COLLECTION_BUILTINS: BuiltinTable = {
  is_array: ofType(isArray),
  is_boolean: ofType((value) => typeof value === 'boolean'),
  is_null: ofType((value) => value === null),
  is_number: ofType(isNumber),
  is_object: ofType((value) => value instanceof RegoObject),
  is_set: ofType((value) => value instanceof RegoSet),
  is_string: ofType((value) => typeof value === 'string'),
  type_name: ([value]) => (value === undefined ? undefined : typeName(value)),
  cast_array: ([value]) => elementsOf(value) ?? undefined,
  cast_set: ([value]) => {
    const elements = elementsOf(value);
    return elements === null ? undefined : RegoSet.of(elements);
  },
  cast_boolean: ([value]) => (typeof value === 'boolean' ? value : undefined),
  cast_null: ([value]) => (value === null ? value : undefined),
  cast_object: ([value]) => (value instanceof RegoObject ? value : undefined),
  cast_string: ([value]) => (typeof value === 'string' ? value : undefined),

  'array.concat': ([left, right]) => (isArray(left) && isArray(right) ? [...left, ...right] : undefined),
  'array.flatten': ([list]) =>
    isArray(list) ? list.flatMap((element): RegoValue[] => (isArray(element) ? [...element] : [element])) : undefined,
  'array.reverse': ([list]) => (isArray(list) ? list.toReversed() : undefined),
  'array.slice': ([list, start, end]) => {
    const [from, to] = [smallInteger(start), smallInteger(end)];
    return isArray(list) && from !== null && to !== null ? list.slice(Math.max(0, from), Math.max(0, to)) : undefined;
  },

  and: ofTwoSets((left, right) => left.elements().filter((element) => right.has(element))),
  or: ofTwoSets((left, right) => [...left.elements(), ...right.elements()]),
  set_diff: ofTwoSets((left, right) => left.elements().filter((element) => !right.has(element))),
  intersection: ([sets]) => {
    const all = setsOf(sets);
    const [first, ...others] = all ?? [];
    if (first === undefined) return all === null ? undefined : new RegoSet();
    return RegoSet.of(first.elements().filter((element) => others.every((other) => other.has(element))));
  },
  union: ([sets]) => {
    const all = setsOf(sets);
    return all === null ? undefined : RegoSet.of(all.flatMap((set) => [...set.elements()]));
  },

  'internal.member_2': ([element, collection]) =>
    element === undefined || collection === undefined ? undefined : isMember(element, collection),
  'internal.member_3': ([key, element, collection]) => {
    if (key === undefined || element === undefined || collection === undefined) return undefined;
    const found = collection instanceof RegoSet ? undefined : lookUp(collection, key);
    return found !== undefined && areEqual(found, element);
  },

  'object.get': ([object, path, otherwise], { meter }) => {
    if (object === undefined || path === undefined || otherwise === undefined) return undefined;
    if (!isArray(path)) return object instanceof RegoObject ? (object.find(path) ?? otherwise) : undefined;
    if (!(object instanceof RegoObject)) return undefined;
    meter.spend(path.length);
    let at: RegoValue | undefined = object;
    for (const step of path) {
      at = lookUp(at, step);
      if (at === undefined) return otherwise;
    }
    return at;
  },
  'object.keys': ([object]) => (object instanceof RegoObject ? RegoSet.of(object.entries().map(([key]) => key)) : undefined),
  'object.filter': ([object, keys]) => withKeys(object, keys, (isNamed) => isNamed),
  'object.remove': ([object, keys]) => withKeys(object, keys, (isNamed) => !isNamed),
  'object.union': ([left, right]) =>
    left instanceof RegoObject && right instanceof RegoObject ? mergeObjects(left, right) : undefined,
  'object.union_n': ([list]) => {
    const objects = elementsOf(list);
    if (objects === null) return undefined;
    let merged = new RegoObject();
    for (const object of objects) {
      if (!(object instanceof RegoObject)) return undefined;
      merged = mergeObjects(merged, object);
    }
    return merged;
  },
  'object.subset': ([superset, subset], context) =>
    superset === undefined || subset === undefined ? undefined : isSubset(superset, subset, context),
};

/** Right over left; objects in both are merged. */
export function mergeObjects(left: RegoObject, right: RegoObject): RegoObject {
  const merged = left.copy();
  for (const [key, value] of right.entries()) {
    const before = merged.find(key);
    const isBoth = before instanceof RegoObject && value instanceof RegoObject;
    merged.insert(key, isBoth ? mergeObjects(before, value) : value);
  }
  return merged;
}

function isMember(element: RegoValue, collection: RegoValue): boolean {
  if (collection instanceof RegoSet) return collection.has(element);
  if (isArray(collection)) return collection.some((other) => areEqual(element, other));
  return collection instanceof RegoObject && collection.entries().some(([, value]) => areEqual(element, value));
}

function ofType(is: (value: RegoValue) => boolean): Builtin {
  return ([value]) => (value === undefined ? undefined : is(value));
}

function ofTwoSets(run: (left: RegoSet, right: RegoSet) => RegoArray): Builtin {
  return ([left, right]) => (left instanceof RegoSet && right instanceof RegoSet ? RegoSet.of(run(left, right)) : undefined);
}

function setsOf(value: RegoValue | undefined): readonly RegoSet[] | null {
  if (!(value instanceof RegoSet)) return null;
  const sets = value.elements().filter((element) => element instanceof RegoSet);
  return sets.length === value.size ? sets : null;
}

function withKeys(
  object: RegoValue | undefined,
  keys: RegoValue | undefined,
  isKept: (isNamed: boolean) => boolean,
): RegoValue | undefined {
  const named = keys instanceof RegoObject ? keys.entries().map(([key]) => key) : elementsOf(keys);
  if (!(object instanceof RegoObject) || named === null) return undefined;
  const names = RegoSet.of(named);
  return objectOf(object.entries().filter(([key]) => isKept(names.has(key))));
}

function isSubset(superset: RegoValue, subset: RegoValue, context: BuiltinContext): boolean | undefined {
  if (superset instanceof RegoObject && subset instanceof RegoObject) return isObjectSubset(superset, subset, context);
  if (superset instanceof RegoSet && subset instanceof RegoSet) return subset.elements().every((value) => superset.has(value));
  if (isArray(superset) && isArray(subset)) return isRunOf(superset, subset, context);
  if (isArray(superset) && subset instanceof RegoSet) {
    context.meter.spend(superset.length * subset.size);
    return subset.elements().every((value) => isMember(value, superset));
  }
  return undefined;
}

function isObjectSubset(superset: RegoObject, subset: RegoObject, context: BuiltinContext): boolean {
  return subset.entries().every(([key, value]) => {
    context.meter.spend(1);
    const other = superset.find(key);
    if (other === undefined) return false;
    if (other instanceof RegoObject && value instanceof RegoObject) return isObjectSubset(other, value, context);
    if (other instanceof RegoSet && value instanceof RegoSet) return value.elements().every((element) => other.has(element));
    if (isArray(other) && isArray(value)) return isRunOf(other, value, context);
    return areEqual(other, value);
  });
}

/** Whether the list stands in the other, in order and without a gap. */
function isRunOf(list: RegoArray, run: RegoArray, { meter }: BuiltinContext): boolean {
  meter.spend(list.length * run.length);
  for (let at = 0; at + run.length <= list.length; at++) {
    if (run.every((value, index) => areEqual(value, list[at + index] ?? null))) return true;
  }
  return false;
}
