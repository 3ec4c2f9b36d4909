/** `postern api list`: the operations of descriptions, as policies see them. */
import { stringify } from 'yaml';

import type { ApiParameter, DescribedOperation, SecurityRequirement } from '#authz/api/description.ts';

import { EXIT } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import { table } from '../table.ts';
import { readApiSources, tellRefusals } from './api-sources.ts';
import type { ApiSourceOptions } from './api-sources.ts';
import type { VerbStreams } from './verb.ts';

export interface ApiListOptions extends ApiSourceOptions {
  readonly output: 'table' | 'json' | 'yaml';
}

/** Writes what can be read; 65 when a description is refused. */
export async function apiList(options: ApiListOptions, io: VerbStreams): Promise<ExitStatus> {
  const sources = await readApiSources(options);
  const isRefused = tellRefusals(sources, io);
  const rows = sources.flatMap(({ description, name }) =>
    (description?.operations ?? []).map((operation) => ({ source: name, operation })),
  );
  if (options.output === 'table') {
    const headings = ['OPERATION', 'METHOD', 'PATH', 'TAGS', 'SECURITY', 'PARAMETERS'];
    if (rows.length > 0 || !isRefused)
      io.stdout.write(
        table(
          headings,
          rows.map(({ operation }) => cellsOf(operation)),
        ),
      );
  } else {
    const told = rows.map(({ operation, source }) => recordOf(operation, source));
    io.stdout.write(options.output === 'json' ? `${JSON.stringify(told, null, 2)}\n` : stringify(told, { lineWidth: 0 }));
  }
  return isRefused ? EXIT.data : EXIT.ok;
}

function cellsOf({ id, method, parameters, path, security, tags }: DescribedOperation): readonly string[] {
  const asked = security.map(requirementText).join(' or ');
  return [id, method, path, tags.join(','), asked, parameters.map(parameterText).join(' ')];
}

function recordOf(operation: DescribedOperation, source: string): object {
  const { id, keepsEncodedSlashes, method, parameters, path, security, tags, template } = operation;
  return { source, id, method, path, template, tags, security, parameters, keepsEncodedSlashes };
}

function requirementText(requirement: SecurityRequirement): string {
  return Object.entries(requirement)
    .map(([scheme, scopes]) => (scopes.length === 0 ? scheme : `${scheme}(${scopes.join(' ')})`))
    .join(' and ');
}

function parameterText({ format, name, required, type, ...parameter }: ApiParameter): string {
  const kind = format ?? type ?? 'any';
  return `${parameter.in === 'query' ? '?' : ''}${name}:${kind}${required ? '' : '?'}`;
}
