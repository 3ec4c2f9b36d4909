/** `postern api import`: descriptions of an API -> one APIDefinition with its operations written out, which policies can name. */
import { stringify } from 'yaml';

import type { DescribedOperation } from '#authz/api/description.ts';
import { ApiFaults } from '#authz/api/faults.ts';
import { writtenCheck } from '#authz/api/parameter-facets.ts';
import { checkTogether } from '#authz/api/path-templates.ts';
import { readPolicies } from '#authz/policy/read.ts';

import { EXIT, ExitError } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import { readApiSources, tellRefusals } from './api-sources.ts';
import type { ApiSourceOptions } from './api-sources.ts';
import type { VerbStreams } from './verb.ts';

export interface ApiImportOptions extends ApiSourceOptions {
  readonly name: string;
  /** Null for the namespace of the workload that reads it. */
  readonly namespace: string | null;
  /** Labels of the workloads whose API it is; empty for an API that only names operations. */
  readonly labels: Readonly<Record<string, string>>;
  readonly unknownOperations: 'Deny' | 'Report' | 'Allow' | null;
  /** Which parameters requests are checked for. */
  readonly validate?: readonly ('path' | 'query')[];
  readonly output: 'yaml' | 'json';
}

/** Writes the document; 65 and nothing when a description is refused, or the document would be. */
export async function apiImport(options: ApiImportOptions, io: VerbStreams): Promise<ExitStatus> {
  const sources = await readApiSources(options);
  if (tellRefusals(sources, io)) return EXIT.data;
  const operations = sources.flatMap(({ description }) => description?.operations ?? []);
  const clash = sources.length < 2 ? null : clashOf(operations, options.name);
  if (clash !== null) throw new ExitError(EXIT.data, clash, 'Import the descriptions as APIs of their own');
  const document = definitionOf(operations, options);
  const text = options.output === 'json' ? `${JSON.stringify(document, null, 2)}\n` : stringify(document, { lineWidth: 0 });
  // Names come from the command line and from a description that had other readers in mind.
  const [fault] = readPolicies(text, options.name).faults;
  if (fault !== undefined) throw new ExitError(EXIT.data, `${fault.message}, at ${fault.path} [${fault.code}]`, fault.fix);
  io.stdout.write(text);
  const warnings = sources.flatMap(({ faults }) => faults).length;
  const told = warnings === 0 ? '' : `; "postern api lint" has ${warnings} remarks`;
  io.stderr.write(`imported ${operations.length} operations${told}\n`);
  return EXIT.ok;
}

/** What is wrong with descriptions that are fine each by itself; null for nothing. */
function clashOf(operations: readonly DescribedOperation[], name: string): string | null {
  const seen = new Set<string>();
  for (const { id } of operations) {
    if (seen.has(id)) return `Cannot import the API "${name}": two descriptions have the operation "${id}"`;
    seen.add(id);
  }
  const faults = new ApiFaults(name);
  checkTogether(operations, faults);
  return faults.list[0]?.message ?? null;
}

function definitionOf(operations: readonly DescribedOperation[], options: ApiImportOptions): object {
  const { labels, name, namespace, unknownOperations, validate = [] } = options;
  return {
    apiVersion: 'security.postern.mesh/v1alpha1',
    kind: 'APIDefinition',
    metadata: { name, ...(namespace === null ? {} : { namespace }) },
    spec: {
      ...(Object.keys(labels).length === 0 ? {} : { selector: { matchLabels: labels } }),
      ...(unknownOperations === null ? {} : { unknownOperations }),
      ...(validate.length === 0 ? {} : { validate }),
      // The one mode that leaves an encoded slash a part of its segment and does all else that makes a path canonical.
      ...(operations.some(({ keepsEncodedSlashes }) => keepsEncodedSlashes) ? { pathPolicy: 'base' } : {}),
      operations: operations.map(({ checks = [], id, keepsEncodedSlashes, method, path, tags }) => ({
        id,
        method,
        path,
        ...(tags.length === 0 ? {} : { tags }),
        ...(keepsEncodedSlashes ? { encodedSlashes: 'Keep' } : {}),
        ...(checks.length === 0 ? {} : { parameters: checks.map(writtenCheck) }),
      })),
    },
  };
}
