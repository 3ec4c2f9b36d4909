/** What the schema found wrong, told to the author of the file: what was found, what was wanted, and the nearest right name. */
import type { z } from 'zod';

import { nearestName } from '#authz/policy/suggest.ts';

import type { DocumentFault } from '../prepare.ts';
import { oneOf } from './fields.ts';
import type { ConfigMessageCode } from './messages.ts';
import { pathText } from './located-document.ts';
import type { DocumentPath, LocatedDocument } from './located-document.ts';

/** A fault that concerns the meaning of one place of the document. */
export interface Finding {
  readonly code: ConfigMessageCode;
  readonly path: DocumentPath;
  readonly message: string;
  readonly fix: string | null;
}

/** Puts a finding at its line and column. */
export function faultOf(file: string, document: LocatedDocument, finding: Finding): DocumentFault {
  const { path, ...rest } = finding;
  return { file, ...document.locate(path), ...rest, path: pathText(path) };
}

/** Turns what zod found into faults, in the order of the file. `keysAt` names the keys that the schema knows at a path. */
export function schemaFaults(
  file: string,
  document: LocatedDocument,
  error: z.ZodError,
  keysAt: (path: DocumentPath) => readonly string[],
): DocumentFault[] {
  const unknown = error.issues.flatMap((issue) => {
    if (issue.code !== 'unrecognized_keys') return [];
    const path = documentPath(issue.path);
    return issue.keys.map((key) => unknownKey(file, document, path, key, keysAt(path)));
  });
  // A setting is not missing when its key is there with a letter wrong.
  const mistyped = new Set(unknown.map(({ meant }) => meant));
  const wrong = error.issues
    .filter((issue) => issue.code !== 'unrecognized_keys' && !mistyped.has(pathText(documentPath(issue.path))))
    .map((issue) => wrongValue(file, document, documentPath(issue.path), issue.message));
  return [...unknown.map(({ fault }) => fault), ...wrong].toSorted((a, b) => a.line - b.line || a.column - b.column);
}

/** A value as an error names it: short, and never the content of a list or map. */
export function describeValue(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return 'a map';
  if (typeof value === 'number') return `the number ${value}`;
  if (typeof value !== 'string') return JSON.stringify(value);
  return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value);
}

function wrongValue(file: string, document: LocatedDocument, path: DocumentPath, wanted: string): DocumentFault {
  const value = valueAt(document.value, path);
  if (value === undefined) {
    const name = String(path.at(-1) ?? '');
    const message = `found no "${name}", wanted ${wanted}`;
    return faultOf(file, document, { code: 'PN0511', path, message, fix: `add ${name}` });
  }
  const message = `found ${describeValue(value)}, wanted ${wanted}`;
  return faultOf(file, document, { code: 'PN0512', path, message, fix: fixFor(value, wanted) });
}

function fixFor(value: unknown, wanted: string): string | null {
  if (typeof value !== 'string') return null;
  const names = wanted.split(/, | or /u).filter((name) => /^[\w-]+$/u.test(name));
  const nearest = nearestName(value, names);
  return nearest === null || nearest === value ? null : `did you mean ${nearest}?`;
}

/** `meant` is the path of the setting that the key was probably meant to be. */
function unknownKey(
  file: string,
  document: LocatedDocument,
  path: DocumentPath,
  key: string,
  known: readonly string[],
): { fault: DocumentFault; meant: string | null } {
  const nearest = nearestName(key, known);
  const fault = {
    file,
    ...document.locateKey(path, key),
    code: 'PN0510',
    path: pathText([...path, key]),
    message: `found the unknown key ${describeValue(key)}, wanted ${known.length === 0 ? 'no further key' : oneOf(known)}`,
    fix: nearest === null ? null : `did you mean ${nearest}?`,
  };
  return { fault, meant: nearest === null ? null : pathText([...path, nearest]) };
}

function valueAt(value: unknown, path: DocumentPath): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined;
    // An object that has the member `step` can be asked for it.
    at = (at as Record<string | number, unknown>)[step];
  }
  return at;
}

function documentPath(path: readonly PropertyKey[]): DocumentPath {
  return path.map((step) => (typeof step === 'number' ? step : String(step)));
}

const MAX_SHOWN = 80;
