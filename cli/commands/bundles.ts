/** `postern policy compile`: the command that makes signed bundles. */
import type { Command } from 'commander';

import { EXIT, ExitError } from '../exit.ts';
import type { CommandContext } from '../program.ts';

export function addBundleCommands(policy: Command, { finish, io }: CommandContext): void {
  policy
    .command('compile')
    .description('Compile policies for a workload into a signed bundle')
    .requiredOption('-f, --file <path...>', 'files and folders of policies')
    .requiredOption('-n, --namespace <name>', 'namespace of the workload')
    .option('-l, --label <name=value>', 'label of the workload (repeatable)', collect, [])
    .option('--service-account <name>', 'service account of the workload')
    .option('--root-namespace <name>', 'namespace whose policies hold everywhere', 'istio-system')
    .option('--trust-domain <name>', 'own trust domain', 'cluster.local')
    .option('--trust-domain-alias <name>', 'further trust domain taken for the own one (repeatable)', collect, [])
    .requiredOption('--sign-key <file>', 'Ed25519 private key, PEM')
    .requiredOption('--revision <n>', 'number of the bundle, greater than that of any before')
    .option('--not-before <time>', 'when it comes into force, RFC 3339 (default: now)')
    .option('--lifetime <hours>', 'hours until it expires', '24')
    .requiredOption('-o, --output <file>', 'where to write the bundle')
    .addHelpText('after', EXAMPLE)
    .action(async ({ file: files, label, lifetime, notBefore: from, revision, serviceAccount, ...rest }: CompileFlags) => {
      const { readTimeMs } = await import('#authz/policy/times.ts');
      const notBefore = from === undefined ? Date.now() : readTimeMs(from);
      if (notBefore === null)
        throw new ExitError(EXIT.usage, `Cannot read --not-before "${from}": wanted a time such as 2026-11-24T12:00:00Z`);
      const expires = notBefore + 3_600_000 * wholeNumber('--lifetime', lifetime);
      const options = { ...rest, files, labels: Object.fromEntries(label.map(readLabel)), notBefore, expires };
      const { policyCompile } = await import('../verbs/policy-compile.ts');
      const number = wholeNumber('--revision', revision);
      finish(
        await policyCompile(
          { ...options, revision: number, serviceAccount: serviceAccount ?? null, trustDomainAliases: rest.trustDomainAlias },
          io,
        ),
      );
    });
}

interface CompileFlags {
  readonly file: string[];
  readonly namespace: string;
  readonly label: string[];
  readonly serviceAccount?: string;
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly trustDomainAlias: string[];
  readonly signKey: string;
  readonly revision: string;
  readonly notBefore?: string;
  readonly lifetime: string;
  readonly output: string;
}

function wholeNumber(flag: string, text: string): number {
  if (/^[1-9][0-9]{0,14}$/.test(text)) return Number(text);
  throw new ExitError(EXIT.usage, `Cannot read ${flag} "${text}": wanted a whole number from 1`);
}

function readLabel(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new ExitError(EXIT.usage, `Cannot read --label "${text}": wanted NAME=VALUE`);
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

const EXAMPLE = `
Example:
  openssl genpkey -algorithm ed25519 -out sign.pem
  postern policy compile -f policies/ -n shop -l app=orders --sign-key sign.pem --revision 7 -o orders.bundle

Exit status: 65 when the policies do not compile.`;
