/** `postern policy lint`: what is valid and yet wrong in policies: rules that change nothing, traps, and what fits no workload. */
import { lintPolicies } from '#authz/analyse/lint.ts';

import { EXIT } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import { table } from '../table.ts';
import { readSoundPolicies, writeOutput } from './policy-output.ts';
import type { OutputFormat, PolicyQuery } from './policy-output.ts';
import type { VerbStreams } from './verb.ts';

export interface PolicyLintOptions extends PolicyQuery {
  readonly files: readonly string[];
  readonly tcpPorts: readonly number[];
  readonly output: OutputFormat;
}

/** 79 when anything is found, but for rules that could not be looked at to the end. */
export async function policyLint(options: PolicyLintOptions, io: VerbStreams): Promise<ExitStatus> {
  const set = await readSoundPolicies(options.files, options.ignoreKinds, io);
  const findings = lintPolicies(set, options).map(({ code, message, policy, position, rule }) => ({
    code,
    policy,
    rule,
    file: position.file,
    line: position.line,
    column: position.column,
    message,
  }));
  const asTable = (): string =>
    findings.length === 0
      ? 'nothing found\n'
      : table(
          ['WHERE', 'POLICY', 'CODE', 'WHAT'],
          findings.map(({ code, file, line, message, policy, rule }) => [
            `${file}:${line}`,
            rule === null ? policy : `${policy}#${rule}`,
            code,
            message,
          ]),
        );
  writeOutput({ findings }, options.output, asTable, io);
  return findings.every(({ code }) => code === 'undecided') ? EXIT.ok : EXIT.findings;
}
