/**
 * Reads the services of a `.proto` file. Its imports are looked for beside it and in the folders given, never elsewhere, and must be
 * well formed; services in them are not taken for the API's own.
 */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';

import protobuf from 'protobufjs';

import type { ApiReading } from './description.ts';
import { ApiFaults } from './faults.ts';
import { readServices } from './services.ts';
import type { ServiceMethods } from './services.ts';

/** @param folders  where imports are looked for, after the folder of the file itself */
export function readProtoFile(file: string, folders: readonly string[]): ApiReading {
  const faults = new ApiFaults(file);
  const services: ServiceMethods[] = [];
  const parsed = parseFile(file, file, faults);
  if (parsed !== null) {
    collectServices(parsed.root, services);
    followImports(parsed.imports, [dirname(file), ...folders], faults);
  }
  if (faults.list.length > 0) return { description: null, faults: faults.list };
  return readServices(services, basename(file, '.proto'), faults);
}

interface ParsedFile {
  readonly root: protobuf.Root;
  readonly imports: readonly string[];
}

function parseFile(path: string, name: string, faults: ApiFaults): ParsedFile | null {
  try {
    if (statSync(path).size > MAX_BYTES) {
      faults.add('api_too_large', name, `Cannot read "${name}": found more than ${MAX_BYTES} bytes`);
      return null;
    }
    const root = new protobuf.Root();
    const { imports = [], weakImports = [] } = protobuf.parse(readFileSync(path, 'utf8'), root, { keepCase: true });
    return { root, imports: [...imports, ...weakImports] };
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const found = error instanceof Error ? error.message : String(error);
    faults.add('api_unreadable', name, `Cannot read "${name}": ${isMissing ? 'nothing there' : found}`);
    return null;
  }
}

function followImports(first: readonly string[], folders: readonly string[], faults: ApiFaults): void {
  const seen = new Set(first);
  for (const name of seen) {
    // They come with every compiler, and hold messages only.
    if (name.startsWith('google/protobuf/')) continue;
    if (seen.size > MAX_FILES) {
      faults.add('api_too_large', '', `Cannot read the description: it imports more than ${MAX_FILES} files`);
      return;
    }
    const path = findImport(name, folders, faults);
    const parsed = path === null ? null : parseFile(path, name, faults);
    for (const next of parsed?.imports ?? []) seen.add(next);
  }
}

function findImport(name: string, folders: readonly string[], faults: ApiFaults): string | null {
  for (const folder of folders) {
    try {
      const real = realpathSync(join(folder, name));
      if (real.startsWith(`${realpathSync(folder)}${sep}`)) return real;
      faults.add('api_reference_outside', name, `Cannot follow the import "${name}": it leads out of "${folder}"`);
      return null;
    } catch {
      // Perhaps in the next folder.
    }
  }
  const message = `Cannot follow the import "${name}": found it in none of ${folders.map((folder) => `"${folder}"`).join(', ')}`;
  faults.add('api_import_missing', name, message, 'Name its folder with --proto-path');
  return null;
}

function collectServices(within: protobuf.NamespaceBase, services: ServiceMethods[]): void {
  for (const nested of within.nestedArray) {
    if (nested instanceof protobuf.Service) {
      services.push({ service: nested.fullName.replace(/^\./, ''), methods: nested.methodsArray.map(({ name }) => name) });
    } else if (nested instanceof protobuf.Namespace) collectServices(nested, services);
  }
}

const MAX_BYTES = 4 * 1_048_576;
const MAX_FILES = 256;
