/**
 * Reads the descriptions that APIDefinitions name by file, and gives the APIs their operations. A description lies in the folder of
 * the document that names it, or below; nothing is fetched, and no other place is looked at.
 */
import { dirname, isAbsolute, resolve, sep } from 'node:path';

import type { ApiDefinition, ApiOperation, ApiSource } from '../policy/api-definition.ts';
import { encodedSlashFault } from '../policy/encoded-slashes.ts';
import { readPolicyFiles } from '../policy/files.ts';
import type { MessageCode } from '../policy/messages.ts';
import type { PolicyFault } from '../policy/model.ts';
import { joinReadings } from '../policy/read.ts';
import type { DocumentReport, PolicyReading, ReadOptions } from '../policy/read.ts';
import type { ApiReading } from './description.ts';
import { isRefusal } from './faults.ts';

export interface DescribedReading extends PolicyReading {
  /** Folders of the descriptions, absolute: what they refer to is in them, too. */
  readonly descriptionFolders: readonly string[];
}

/** Policies of files and folders, with the operations of the descriptions that they name. */
export async function readDescribedPolicies(paths: readonly string[], options: ReadOptions = {}): Promise<DescribedReading> {
  const reading = readPolicyFiles(paths, options);
  const reader = new DescriptionReader();
  const documents: DocumentReport[] = [];
  for (const document of reading.documents) documents.push(await reader.document(document));
  return { ...joinReadings([{ ...reading, documents }]), descriptionFolders: [...reader.folders] };
}

class DescriptionReader {
  readonly folders = new Set<string>();

  async document(document: DocumentReport): Promise<DocumentReport> {
    const { content } = document;
    if (content === null || content.apis.every(({ grpc, openapi }) => openapi?.kind !== 'file' && grpc?.kind !== 'file')) {
      return document;
    }
    const faults: PolicyFault[] = [...document.faults];
    const apis: ApiDefinition[] = [];
    for (const api of content.apis) {
      const operations = [...api.operations];
      for (const field of ['openapi', 'grpc'] as const) {
        const source = api[field];
        if (source?.kind === 'file') operations.push(...(await this.#operations(api, field, source, faults)));
      }
      const seen = new Set<string>();
      for (const { id } of operations) {
        if (seen.has(id) || id.startsWith('tag:'))
          faults.push(faultOf(api, 'spec', `Two operations are "${id}", or it is no name`));
        seen.add(id);
      }
      const described = { ...api, operations };
      const wrong = encodedSlashFault(described);
      if (wrong !== null) faults.push({ ...faultOf(api, 'spec.pathPolicy', wrong.message, 'PN0205'), fix: wrong.fix });
      apis.push(described);
    }
    return { ...document, content: { ...content, apis }, faults };
  }

  async #operations(
    api: ApiDefinition,
    field: 'openapi' | 'grpc',
    { file, position }: Extract<ApiSource, { kind: 'file' }>,
    faults: PolicyFault[],
  ): Promise<readonly ApiOperation[]> {
    const path = `spec.${field}.file`;
    const folder = dirname(resolve(api.position.file));
    const place = resolve(folder, file);
    if (file === '' || isAbsolute(file) || !place.startsWith(folder === sep ? sep : `${folder}${sep}`)) {
      const message = `Cannot read the description "${file}": wanted a file in the folder of this document or below`;
      faults.push(faultOf({ position }, path, message));
      return [];
    }
    this.folders.add(dirname(place));
    const { description, faults: found } = await readDescription(field, place);
    for (const { fix, message, where } of found.filter(isRefusal)) {
      faults.push({ ...faultOf({ position }, path, where === '' ? message : `${file}: ${where}: ${message}`), fix });
    }
    return (description?.operations ?? []).map(({ checks = [], id, keepsEncodedSlashes, method, path: template, tags }) => ({
      id,
      method,
      path: template,
      tags,
      ...(checks.length === 0 ? {} : { checks }),
      ...(keepsEncodedSlashes ? { keepsEncodedSlashes } : {}),
    }));
  }
}

/** The parsers are loaded when there is something for them. */
async function readDescription(field: 'openapi' | 'grpc', file: string): Promise<ApiReading> {
  if (field === 'grpc') return (await import('./proto-file.ts')).readProtoFile(file, []);
  return (await import('./openapi-file.ts')).readOpenApiFile(file);
}

function faultOf(
  { position }: Pick<ApiDefinition, 'position'>,
  path: string,
  message: string,
  code: MessageCode = 'PN0320',
): PolicyFault {
  return { ...position, code, path, message, fix: null };
}
