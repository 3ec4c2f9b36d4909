/** JSON Patch (RFC 6902) over Rego's values, which may hold sets; paths are pointers (RFC 6901) or lists of keys. */
import { keyText } from '../json.ts';
import { RegoObject, RegoSet, areEqual, isArray, lookUp, objectOf } from '../value.ts';
import type { RegoArray, RegoValue } from '../value.ts';

/** Keys of a path: a text with slashes, or a list; null for anything else. */
export function readPath(path: RegoValue): readonly string[] | null {
  const steps = readSteps(path);
  if (steps === null) return null;
  return steps.map((step) => keyText(step));
}

/** Undefined when a patch has no form, or one cannot be applied or does not test true. */
export function applyPatches(document: RegoValue, patches: RegoArray): RegoValue | undefined {
  let current: RegoValue | undefined = document;
  for (const patch of patches) {
    if (current === undefined || !(patch instanceof RegoObject)) return undefined;
    current = applyPatch(current, patch);
  }
  return current;
}

function applyPatch(document: RegoValue, patch: RegoObject): RegoValue | undefined {
  const [operation, value] = [patch.find('op'), patch.find('value')];
  const path = readMember(patch, 'path');
  const from = readMember(patch, 'from');
  if (path === null) return undefined;
  switch (operation) {
    case 'add':
      return value === undefined ? undefined : put(document, path, value, 'add');
    case 'replace':
      return value === undefined ? undefined : put(document, path, value, 'replace');
    case 'remove':
      return cut(document, path);
    case 'test':
      return value !== undefined && holds(document, path, value) ? document : undefined;
    case 'copy':
    case 'move': {
      const moved = from === null ? undefined : follow(document, from);
      if (moved === undefined || from === null) return undefined;
      const rest = operation === 'move' ? cut(document, from) : document;
      return rest === undefined ? undefined : put(rest, path, moved, 'add');
    }
    default:
      return undefined;
  }
}

function readMember(patch: RegoObject, name: string): RegoArray | null {
  const value = patch.find(name);
  return value === undefined ? null : readSteps(value);
}

function readSteps(path: RegoValue): RegoArray | null {
  if (isArray(path)) return path;
  if (typeof path !== 'string') return null;
  if (path === '') return [];
  const bare = path.startsWith('/') ? path.slice(1) : path;
  return bare.split('/').map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function holds(document: RegoValue, path: RegoArray, value: RegoValue): boolean {
  const found = follow(document, path);
  return found !== undefined && areEqual(found, value);
}

function follow(document: RegoValue, path: RegoArray): RegoValue | undefined {
  let at: RegoValue | undefined = document;
  for (const step of path) {
    if (at === undefined) return undefined;
    at = isArray(at) ? at[indexOf(step, at.length - 1) ?? -1] : lookUp(at, step);
  }
  return at;
}

function put(target: RegoValue, path: RegoArray, value: RegoValue, mode: 'add' | 'replace'): RegoValue | undefined {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  return edit(target, step, mode === 'add' && rest.length === 0, (found) => {
    if (rest.length > 0) return found === undefined ? undefined : put(found, rest, value, mode);
    return mode === 'replace' && found === undefined ? undefined : value;
  });
}

/** The target with the element at one step changed; `isNew` makes room for it in a list. */
function edit(
  target: RegoValue,
  step: RegoValue,
  isNew: boolean,
  change: (found: RegoValue | undefined) => RegoValue | undefined,
): RegoValue | undefined {
  if (isArray(target)) {
    const index = step === '-' && isNew ? target.length : indexOf(step, isNew ? target.length : target.length - 1);
    const next = index === null ? undefined : change(isNew ? undefined : target[index]);
    return index === null || next === undefined ? undefined : target.toSpliced(index, isNew ? 0 : 1, next);
  }
  const next = change(lookUp(target, step));
  if (next === undefined) return undefined;
  if (target instanceof RegoObject) {
    const copy = target.copy();
    copy.insert(step, next);
    return copy;
  }
  if (!(target instanceof RegoSet)) return undefined;
  return RegoSet.of([...target.elements().filter((element) => !areEqual(element, step)), next]);
}

function cut(target: RegoValue, path: RegoArray): RegoValue | undefined {
  const [step, ...rest] = path;
  if (step === undefined) return undefined;
  if (rest.length > 0) return edit(target, step, false, (found) => (found === undefined ? undefined : cut(found, rest)));
  if (isArray(target)) {
    const index = indexOf(step, target.length - 1);
    return index === null ? undefined : target.toSpliced(index, 1);
  }
  if (lookUp(target, step) === undefined) return undefined;
  if (target instanceof RegoObject) return objectOf(target.entries().filter(([key]) => !areEqual(key, step)));
  return target instanceof RegoSet ? RegoSet.of(target.elements().filter((element) => !areEqual(element, step))) : undefined;
}

function indexOf(step: RegoValue, last: number): number | null {
  const text = typeof step === 'number' ? String(step) : step;
  if (typeof text !== 'string' || !/^(?:0|[1-9][0-9]{0,8})$/u.test(text)) return null;
  return Number(text) <= last ? Number(text) : null;
}
