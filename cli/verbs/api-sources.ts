/** What the verbs of `postern api` share: descriptions from files and from a server that tells its own. */
import { existsSync } from 'node:fs';

import type { ApiDescription } from '#authz/api/description.ts';
import { isRefusal } from '#authz/api/faults.ts';
import type { ApiFault } from '#authz/api/faults.ts';
import { readOpenApiFile } from '#authz/api/openapi-file.ts';
import { readProtoFile } from '#authz/api/proto-file.ts';

import { EXIT, ExitError } from '../exit.ts';
import { printable } from '../table.ts';
import { reflectServices } from './api-reflection.ts';
import type { VerbStreams } from './verb.ts';

export interface ApiSourceOptions {
  /** OpenAPI documents, and `.proto` files by their ending. */
  readonly files: readonly string[];
  /** Where imports of `.proto` files are looked for. */
  readonly protoPath: readonly string[];
  /** `HOST:PORT` of a server to ask, or null. */
  readonly reflection: string | null;
}

export interface ApiSource {
  /** File or server. */
  readonly name: string;
  /** Null when a fault refuses it. */
  readonly description: ApiDescription | null;
  readonly faults: readonly ApiFault[];
}

export async function readApiSources({ files, protoPath, reflection }: ApiSourceOptions): Promise<readonly ApiSource[]> {
  if (files.length === 0 && reflection === null) {
    throw new ExitError(EXIT.usage, 'Cannot read an API: name a file, or a server with --grpc-reflection');
  }
  const missing = protoPath.find((folder) => !existsSync(folder));
  if (missing !== undefined) throw new ExitError(EXIT.usage, `Cannot read --proto-path "${missing}": nothing there`);
  const sources: ApiSource[] = [];
  for (const name of files) {
    const reading = name.endsWith('.proto') ? readProtoFile(name, protoPath) : await readOpenApiFile(name);
    sources.push({ name, ...reading });
  }
  if (reflection !== null) sources.push({ name: reflection, ...(await reflectServices(reflection)) });
  return sources;
}

/** Tells what refuses descriptions, and whether anything does. */
export function tellRefusals(sources: readonly ApiSource[], { stderr }: VerbStreams): boolean {
  const refusals = sources.flatMap(({ faults }) => faults.filter(isRefusal));
  for (const { code, file, fix, message, where } of refusals) {
    const place = where === '' ? file : `${file}: ${where}`;
    stderr.write(`${printable(`${place}: ${message} [${code}]`)}\n${fix === null ? '' : `  fix: ${printable(fix)}\n`}`);
  }
  return refusals.length > 0;
}
