/** Flags that the verbs for people share. */
import { Option } from 'commander';
import type { Command } from 'commander';

import { EXIT, ExitError } from '../exit.ts';
import type { PolicyQuery } from '../verbs/policy-output.ts';

export interface QueryFlags {
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly trustDomainAlias: string[];
  readonly ignoreKinds?: boolean;
  readonly at?: string;
}

export function withQuery(command: Command): Command {
  return command
    .option('--root-namespace <name>', 'namespace whose policies hold everywhere', 'istio-system')
    .option('--trust-domain <name>', 'own trust domain', 'cluster.local')
    .option('--trust-domain-alias <name>', 'further trust domain taken for the own one (repeatable)', collect, [])
    .option('--ignore-kinds', 'pass over documents that are no policy')
    .option('--at <time>', 'time at which policies must be in force, RFC 3339 (default: now)');
}

export async function readQuery({
  at,
  ignoreKinds = false,
  rootNamespace,
  trustDomain,
  trustDomainAlias,
}: QueryFlags): Promise<PolicyQuery> {
  const { readTimeMs } = await import('#authz/policy/times.ts');
  const nowMs = at === undefined ? Date.now() : readTimeMs(at);
  if (nowMs === null)
    throw new ExitError(EXIT.usage, `Cannot read --at "${String(at)}": wanted a time such as 2026-11-24T12:00:00Z`);
  return { rootNamespace, trustDomain, trustDomainAliases: trustDomainAlias, ignoreKinds, nowMs };
}

export function outputOption(): Option {
  return new Option('-o, --output <format>', 'form of the output').choices(['table', 'json', 'yaml']).default('table');
}

export function whole(text: string, flag: string): number {
  if (/^[1-9][0-9]{0,9}$/u.test(text)) return Number(text);
  throw new ExitError(EXIT.usage, `Cannot read ${flag} "${text}": wanted a whole number from 1`);
}

export function collect(value: string, before: string[]): string[] {
  return [...before, value];
}
