/**
 * Reads an OpenAPI document and the files that it refers to. Nothing is fetched: INVARIANT: every reference has been seen to lead to
 * a file within the folder of the document before the parser, which could follow others, resolves any.
 */
import { realpathSync, statSync } from 'node:fs';
import { dirname, relative, resolve, sep } from 'node:path';

import { dereference, parse, validate } from '@readme/openapi-parser';

import type { ApiReading } from './description.ts';
import { ApiFaults } from './faults.ts';
import { isMembers } from './members.ts';
import { formatOf, readOpenApi } from './openapi.ts';

/** @param file  path of the document, as messages shall name it */
export async function readOpenApiFile(file: string): Promise<ApiReading> {
  const faults = new ApiFaults(file);
  const refuse = (): ApiReading => ({ description: null, faults: faults.list });
  const path = resolve(file);
  const files = await checkReferences(path, faults);
  if (files === null) return refuse();
  // A document in one file is read by a parser that follows nothing out of it.
  const options = { ...OPTIONS, resolve: { external: files > 1 } };
  try {
    const written = await parse(path, options);
    // Of an unknown version it tells nothing but that.
    if (formatOf(written) === null) return readOpenApi(written, file);
    const verdict = await validate(path, options);
    if (!verdict.valid) {
      for (const { message } of verdict.errors) faults.add('api_invalid', '', `Cannot read the description: ${oneLine(message)}`);
      return refuse();
    }
    return readOpenApi(await dereference(path, options), file);
  } catch (error) {
    faults.add('api_invalid', '', `Cannot read the description: ${oneLine(messageOf(error))}`);
    return refuse();
  }
}

/** Follows the references from file to file. The number of files, or null when one of them is refused. */
async function checkReferences(path: string, faults: ApiFaults): Promise<number | null> {
  const seen = new Set<string>([path]);
  let scope: string | null = null;
  let folder: string;
  try {
    folder = realpathSync(dirname(path));
  } catch {
    faults.add('api_unreadable', '', `Cannot read "${faults.file}": nothing there`);
    return null;
  }
  for (const at of seen) {
    if (seen.size > MAX_FILES) {
      faults.add('api_too_large', '', `Cannot read the description: it refers to more than ${MAX_FILES} files`);
      return null;
    }
    const document = await parseOne(at, path, faults);
    if (document === null) return null;
    const found = referencesIn(document);
    if (found === null) {
      // A few of them make a small file a tree that no validator comes to the end of.
      faults.add('api_invalid', '', 'Cannot read the description: it has aliases of YAML', 'Write them out, or use $ref');
      return null;
    }
    scope ??= found.scope;
    for (const reference of found.references) {
      const [target = ''] = reference.split('#');
      if (target === '') continue;
      const next = checkTarget(target, reference, { at, folder }, faults);
      if (next === null) return null;
      seen.add(next);
    }
  }
  if (scope !== null && seen.size > 1) {
    const message = `Cannot follow references to files: found "${scope}", which moves where they lead`;
    faults.add('api_reference_remote', '', message, 'Take it out, or write the description as one file');
    return null;
  }
  return seen.size;
}

async function parseOne(at: string, path: string, faults: ApiFaults): Promise<object | null> {
  const name = at === path ? faults.file : relative(dirname(path), at);
  try {
    if (statSync(at).size > MAX_BYTES) {
      faults.add('api_too_large', '', `Cannot read "${name}": found more than ${MAX_BYTES} bytes`);
      return null;
    }
    return await parse(at, OPTIONS);
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    faults.add('api_unreadable', '', `Cannot read "${name}": ${isMissing ? 'nothing there' : oneLine(messageOf(error))}`);
    return null;
  }
}

interface Origin {
  readonly at: string;
  readonly folder: string;
}

function checkTarget(target: string, reference: string, { at, folder }: Origin, faults: ApiFaults): string | null {
  // A backslash is a slash to a parser of URLs.
  if (/^[a-zA-Z][a-zA-Z0-9+.-]*:/.test(target) || /^[/\\]{2}/.test(target)) {
    const message = `Cannot follow the reference "${reference}": only files beside the description are read`;
    faults.add('api_reference_remote', reference, message, 'Store the file beside it and refer to that');
    return null;
  }
  const next = resolve(dirname(at), target);
  let real: string;
  try {
    real = realpathSync(next);
  } catch {
    faults.add('api_import_missing', reference, `Cannot follow the reference "${reference}": nothing there`);
    return null;
  }
  // Escapes would be read once more by the parser, and then lead elsewhere.
  if (!real.startsWith(`${folder}${sep}`) || /[%?\\]/.test(target)) {
    const message = `Cannot follow the reference "${reference}": it leads out of the folder of the description`;
    faults.add('api_reference_outside', reference, message);
    return null;
  }
  return next;
}

interface References {
  readonly references: readonly string[];
  /** What gives schemas a base of their own, which relative references below are resolved against; null for none. */
  readonly scope: string | null;
}

/** The references in a document, or null where one object stands in two places, as aliases of YAML make it. */
function referencesIn(document: object): References | null {
  const references: string[] = [];
  let scope: string | null = null;
  const seen = new Set<object>([document]);
  for (const value of seen) {
    if (isMembers(value)) {
      if (typeof value['$ref'] === 'string') references.push(value['$ref']);
      if (typeof value['$id'] === 'string') scope ??= `$id: ${value['$id']}`;
      // In that draft `id` does what `$id` does since.
      if (typeof value['$schema'] === 'string' && value['$schema'].includes('draft-04')) scope ??= `$schema: ${value['$schema']}`;
    }
    const members: readonly unknown[] = Object.values(value);
    for (const inner of members) {
      if (typeof inner !== 'object' || inner === null) continue;
      if (seen.has(inner)) return null;
      seen.add(inner);
    }
  }
  return { references, scope };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function oneLine(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > MAX_MESSAGE ? `${line.slice(0, MAX_MESSAGE)}…` : line;
}

/** Schemas may refer to themselves. */
const OPTIONS = { dereference: { circular: 'ignore' }, timeoutMs: 10_000 } as const;
const MAX_BYTES = 16 * 1_048_576;
const MAX_FILES = 64;
const MAX_MESSAGE = 300;
