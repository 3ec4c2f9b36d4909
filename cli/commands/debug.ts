/** What tells an operator why: explain, proxy-status, schema, completion, version. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';

import { EXIT } from '../exit.ts';
import type { CommandContext } from '../program.ts';
import { packageVersion } from '../version.ts';

export function addDebugCommands(program: Command, context: CommandContext): void {
  addExplain(program, context);
  addProxyStatus(program, context);
  addSchema(program, context);
  addCompletion(program, context);
  addVersion(program, context);
}

function addExplain(program: Command, { io, finish }: CommandContext): void {
  program
    .command('explain')
    .description('Tell why a request was decided so, or what a code means')
    .argument('<id>', 'a decision id (header x-postern-decision-id), or a code such as denied_no_match or PN0511')
    .option('-c, --config <file>', 'file of the sidecar, to find its admin socket and access log')
    .option('--admin <socket>', 'admin socket of the sidecar')
    .option('--log <file>', 'access log, for what the sidecar no longer remembers')
    .addOption(outputOption(['text', 'json']))
    .addHelpText('after', EXAMPLES.explain)
    .action(async (id: string, options: PlaceFlags & { log?: string; output: 'text' | 'json' }) => {
      const { explain } = await import('../verbs/explain.ts');
      finish(await explain({ id, ...options }, io));
    });
}

function addProxyStatus(program: Command, { io, finish }: CommandContext): void {
  program
    .command('proxy-status')
    .alias('ps')
    .description('Show what a running sidecar serves: policy revision, identity, listeners, connections')
    .option('-c, --config <file>', 'file of the sidecar, to find its admin socket')
    .option('--admin <socket>', 'admin socket of the sidecar')
    .option('--timeout <seconds>', 'how long to wait for its answer', parseSeconds, 5)
    .option('--ready', 'only whether it takes traffic: 0, 1 when it does not, 69 when it does not answer')
    .addOption(outputOption(['table', 'json', 'yaml']))
    .addHelpText('after', EXAMPLES.proxyStatus)
    .action(
      async ({ timeout, ...options }: PlaceFlags & { timeout: number; ready?: true; output: 'table' | 'json' | 'yaml' }) => {
        const { proxyStatus } = await import('../verbs/proxy-status.ts');
        finish(await proxyStatus({ ...options, timeoutMs: timeout * 1_000 }, io));
      },
    );
}

function addSchema(program: Command, { io, finish }: CommandContext): void {
  program
    .command('schema')
    .description('Print the JSON Schema of a file format')
    .command('config')
    .description('Print the schema of kind Proxy')
    .addHelpText('after', EXAMPLES.schema)
    .action(async () => {
      const { configJsonSchema } = await import('#proto/config/json-schema.ts');
      io.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
      finish(EXIT.ok);
    });
}

function addCompletion(program: Command, { io, finish }: CommandContext): void {
  program
    .command('completion')
    .description('Print a completion script for a shell')
    .addArgument(program.createArgument('<shell>', 'the shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', EXAMPLES.completion)
    .action(async (shell: 'bash' | 'zsh' | 'fish') => {
      const { completionScript } = await import('../completion.ts');
      io.stdout.write(completionScript(program, shell));
      finish(EXIT.ok);
    });
}

function addVersion(program: Command, { io, finish }: CommandContext): void {
  program
    .command('version')
    .description('Print the version')
    .option('--short', 'the number alone')
    .action((options: { short?: true }) => {
      const number = packageVersion();
      io.stdout.write(options.short === true ? `${number}\n` : `postern ${number} (node ${process.versions.node})\n`);
      finish(EXIT.ok);
    });
}

interface PlaceFlags {
  readonly config?: string;
  readonly admin?: string;
}

/** The first name is the default. */
function outputOption(names: readonly [string, ...string[]]): Option {
  return new Option('-o, --output <format>', 'form of the answer').choices(names).default(names[0]);
}

function parseSeconds(text: string): number {
  const seconds = Number(text.replace(/s$/u, ''));
  if (Number.isFinite(seconds) && seconds > 0 && seconds <= 3_600) return seconds;
  throw new InvalidArgumentError('Wanted a number of seconds up to 3600.');
}

const EXAMPLES = {
  explain: `
Examples:
  postern explain 3f2a-17 --admin admin.sock     why that request was denied
  postern explain 3f2a-17 -c proxy.yaml          the same, the socket found by the file
  postern explain denied_no_match                what a code means

Exit status: 0, 69 when the sidecar cannot be reached, 1 when nobody knows the id.`,
  proxyStatus: `
Examples:
  postern proxy-status -c proxy.yaml
  postern ps --admin /run/postern/admin.sock -o json
  postern ps --admin /run/postern/admin.sock --ready      the health check of a container`,
  schema: `
Example:
  postern schema config > proxy.v1alpha1.json
  # yaml-language-server: $schema=./proxy.v1alpha1.json      (first line of your file)`,
  completion: `
Examples:
  source <(postern completion bash)
  postern completion zsh > "\${fpath[1]}/_postern"
  postern completion fish > ~/.config/fish/completions/postern.fish`,
} as const;
