/** `postern policy validate`: of each document whether it is valid, and if not what is wrong, where, and how to mend it. */
import { readPolicyFiles } from '#authz/policy/files.ts';
import type { PolicyFault } from '#authz/policy/model.ts';
import type { DocumentReport } from '#authz/policy/read.ts';

import { EXIT } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import type { VerbStreams } from './verb.ts';

export interface PolicyValidateOptions {
  /** Files and folders. */
  readonly files: readonly string[];
  readonly ignoreKinds: boolean;
}

/** Writes a line for each document, and one for each file that could not be read as documents; 65 when any is invalid. */
export function policyValidate(options: PolicyValidateOptions, io: VerbStreams): Promise<ExitStatus> {
  const { documents, faults } = readPolicyFiles(options.files, { ignoreKinds: options.ignoreKinds });
  const ofDocuments = new Set(documents.flatMap((document) => document.faults));
  const ofFiles = Map.groupBy(
    faults.filter((fault) => !ofDocuments.has(fault)),
    ({ file }) => file,
  );
  const lines: object[] = [];
  for (const [file, wrong] of ofFiles)
    lines.push({ file, line: wrong[0]?.line ?? 0, kind: null, name: null, ok: false, errors: wrong.map(error) });
  for (const document of documents) if (!document.isIgnored) lines.push(documentLine(document));
  if (lines.length > 0) io.stdout.write(`${lines.map((line) => JSON.stringify(line)).join('\n')}\n`);
  return Promise.resolve(faults.length > 0 ? EXIT.data : EXIT.ok);
}

function documentLine({ position, kind, name, faults }: DocumentReport): object {
  const { file, line } = position;
  const known = { file, line, kind: orNull(kind), name: orNull(name) };
  return faults.length === 0 ? { ...known, ok: true } : { ...known, ok: false, errors: faults.map(error) };
}

function error({ path, line, column, code, message, fix }: PolicyFault): object {
  return { path, line, column, code, message, fix };
}

function orNull(text: string): string | null {
  return text === '' ? null : text;
}
