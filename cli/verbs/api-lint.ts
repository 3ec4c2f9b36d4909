/** `postern api lint`: what is wrong with descriptions, and what deserves a look before policies are written about them. */
import { API_FAULTS, isRefusal } from '#authz/api/faults.ts';

import { EXIT } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import { table } from '../table.ts';
import { readApiSources } from './api-sources.ts';
import type { ApiSourceOptions } from './api-sources.ts';
import type { VerbStreams } from './verb.ts';

export interface ApiLintOptions extends ApiSourceOptions {
  readonly output: 'table' | 'json';
}

/** 0 without a finding, 65 when a description is refused, else 79. */
export async function apiLint(options: ApiLintOptions, io: VerbStreams): Promise<ExitStatus> {
  const sources = await readApiSources(options);
  const faults = sources.flatMap((source) => source.faults);
  if (options.output === 'json') {
    for (const fault of faults) io.stdout.write(`${JSON.stringify({ severity: API_FAULTS[fault.code].severity, ...fault })}\n`);
  } else if (faults.length > 0) {
    const rows = faults.map(({ code, file, message, where }) => [API_FAULTS[code].severity, code, file, where, message]);
    io.stdout.write(table(['SEVERITY', 'CODE', 'FILE', 'WHERE', 'FINDING'], rows));
  }
  if (faults.some(isRefusal)) return EXIT.data;
  return faults.length > 0 ? EXIT.findings : EXIT.ok;
}
