/**
 * Rego's values in memory: JSON's, and sets, and objects whose keys are any value. Integers beyond 2^53 are bigints, so that a
 * number is an integer exactly when it says so; other numbers are doubles. Values are shared and never changed once they are
 * built; whoever makes an object or a set fills it before handing it on.
 */

export type RegoNumber = number | bigint;
export type RegoValue = null | boolean | RegoNumber | string | RegoArray | RegoObject | RegoSet;
export type RegoArray = readonly RegoValue[];

/** An object: keys are any values, iteration is in the order of the keys. */
export class RegoObject {
  readonly #byText = new Map<string, RegoValue>();
  #others: Map<string, readonly [RegoValue, RegoValue]> | null = null;
  #sorted: readonly (readonly [RegoValue, RegoValue])[] | null = null;

  get size(): number {
    return this.#byText.size + (this.#others?.size ?? 0);
  }

  /** Undefined when there is no such key. */
  find(key: RegoValue): RegoValue | undefined {
    if (typeof key === 'string') return this.#byText.get(key);
    return this.#others?.get(identityOf(key))?.[1];
  }

  /** Only for whoever builds the object. */
  insert(key: RegoValue, value: RegoValue): void {
    this.#sorted = null;
    if (typeof key === 'string') this.#byText.set(key, value);
    else (this.#others ??= new Map()).set(identityOf(key), [key, value]);
  }

  /** Pairs in the order of their keys. */
  entries(): readonly (readonly [RegoValue, RegoValue])[] {
    if (this.#sorted === null) {
      const all: (readonly [RegoValue, RegoValue])[] = [...this.#byText, ...(this.#others?.values() ?? [])];
      this.#sorted = all.sort((left, right) => compareValues(left[0], right[0]));
    }
    return this.#sorted;
  }

  /** A copy that may be added to. */
  copy(): RegoObject {
    const copied = new RegoObject();
    for (const [key, value] of this.#byText) copied.insert(key, value);
    for (const [key, value] of this.#others?.values() ?? []) copied.insert(key, value);
    return copied;
  }
}

/** A set, iterated in the order of its elements. */
export class RegoSet {
  readonly #elements = new Map<string, RegoValue>();
  #sorted: RegoArray | null = null;

  static of(elements: Iterable<RegoValue>): RegoSet {
    const set = new RegoSet();
    for (const element of elements) set.add(element);
    return set;
  }

  get size(): number {
    return this.#elements.size;
  }

  has(element: RegoValue): boolean {
    return this.#elements.has(identityOf(element));
  }

  /** Only for whoever builds the set. */
  add(element: RegoValue): void {
    this.#sorted = null;
    this.#elements.set(identityOf(element), element);
  }

  elements(): RegoArray {
    this.#sorted ??= [...this.#elements.values()].sort(compareValues);
    return this.#sorted;
  }
}

export function objectOf(entries: Iterable<readonly [RegoValue, RegoValue]>): RegoObject {
  const made = new RegoObject();
  for (const [key, value] of entries) made.insert(key, value);
  return made;
}

export function isArray(value: RegoValue | undefined): value is RegoArray {
  return Array.isArray(value);
}

export function isNumber(value: RegoValue | undefined): value is RegoNumber {
  return typeof value === 'number' || typeof value === 'bigint';
}

/** Name of a value's type, as `type_name` says it. */
export function typeName(value: RegoValue): string {
  if (value === null) return 'null';
  if (isArray(value)) return 'array';
  if (value instanceof RegoSet) return 'set';
  if (value instanceof RegoObject) return 'object';
  return typeof value === 'bigint' ? 'number' : typeof value;
}

/** The value at a key or index, or the element itself of a set; undefined where there is none. */
export function lookUp(source: RegoValue, key: RegoValue): RegoValue | undefined {
  if (source instanceof RegoObject) return source.find(key);
  if (isArray(source)) return typeof key === 'number' && Number.isInteger(key) && key >= 0 ? source[key] : undefined;
  if (source instanceof RegoSet) return source.has(key) ? key : undefined;
  return undefined;
}

export function areEqual(left: RegoValue, right: RegoValue): boolean {
  if (left === right) return true;
  // Numbers have one form each, so that equal ones are identical.
  if (typeof left !== 'object' || typeof right !== 'object') return false;
  return compareValues(left, right) === 0;
}

/** Rego's total order: null, booleans, numbers, strings, arrays, objects, sets. */
export function compareValues(left: RegoValue, right: RegoValue): number {
  if (left === right) return 0;
  const rank = rankOf(left) - rankOf(right);
  if (rank !== 0) return rank;
  if (typeof left === 'string' && typeof right === 'string') return compareText(left, right);
  if (isNumber(left) && isNumber(right)) return left < right ? -1 : left > right ? 1 : 0;
  if (isArray(left) && isArray(right)) return compareLists(left, right);
  if (left instanceof RegoSet && right instanceof RegoSet) return compareLists(left.elements(), right.elements());
  if (left instanceof RegoObject && right instanceof RegoObject) return compareObjects(left, right);
  return left === false ? -1 : 1;
}

/** By code points, which is the order of UTF-8's bytes; UTF-16's order differs above U+D800. */
export function compareText(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at++) {
    const a = left.charCodeAt(at);
    const b = right.charCodeAt(at);
    if (a === b) continue;
    const isHighA = a >= 0xd800 && a <= 0xdfff;
    const isHighB = b >= 0xd800 && b <= 0xdfff;
    if (isHighA !== isHighB) return isHighA ? 1 : -1;
    return a - b;
  }
  return left.length - right.length;
}

function compareLists(left: RegoArray, right: RegoArray): number {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at++) {
    const order = compareValues(left[at] ?? null, right[at] ?? null);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

function compareObjects(left: RegoObject, right: RegoObject): number {
  const ours = left.entries();
  const theirs = right.entries();
  const length = Math.min(ours.length, theirs.length);
  for (let at = 0; at < length; at++) {
    const a = ours[at];
    const b = theirs[at];
    if (a === undefined || b === undefined) break;
    const order = compareValues(a[0], b[0]) || compareValues(a[1], b[1]);
    if (order !== 0) return order;
  }
  return ours.length - theirs.length;
}

function rankOf(value: RegoValue): number {
  if (value === null) return 0;
  if (typeof value === 'boolean') return 1;
  if (isNumber(value)) return 2;
  if (typeof value === 'string') return 3;
  if (isArray(value)) return 4;
  return value instanceof RegoObject ? 5 : 6;
}

/** A text that two values share exactly when they are equal: lengths come first, so that no text can look like another's parts. */
function identityOf(value: RegoValue): string {
  if (typeof value === 'string') return `s${value.length}:${value}`;
  if (isNumber(value)) return `n${value};`;
  if (isArray(value)) return `a${value.length}:${value.map(identityOf).join('')}`;
  if (value instanceof RegoSet) return `e${value.size}:${value.elements().map(identityOf).join('')}`;
  if (value instanceof RegoObject) {
    const pairs = value.entries().map(([key, element]) => identityOf(key) + identityOf(element));
    return `o${pairs.length}:${pairs.join('')}`;
  }
  return String(value);
}
