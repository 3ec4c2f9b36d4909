/** `postern api`: descriptions of APIs (OpenAPI, `.proto`, server reflection), offline but for a server that is named. */
import { Option } from 'commander';
import type { Command } from 'commander';

import { EXIT, ExitError } from '../exit.ts';
import type { CommandContext } from '../program.ts';
import { collect, outputOption, readQuery, whole, withQuery } from './policy-flags.ts';
import type { QueryFlags } from './policy-flags.ts';

export function addApiCommands(program: Command, context: CommandContext): void {
  const { finish, io } = context;
  const api = program.command('api').description('Read descriptions of APIs, for policies that name operations');

  withSources(api.command('import'))
    .description('Write an APIDefinition with the operations of descriptions')
    .requiredOption('--name <name>', 'name of the API')
    .option('-n, --namespace <name>', 'its namespace')
    .option('-l, --label <name=value>', 'label of the workloads whose API it is (repeatable)', collect, [])
    .addOption(
      new Option('--unknown-operations <answer>', 'what becomes of requests that no operation knows').choices([
        'Deny',
        'Report',
        'Allow',
      ]),
    )
    .addOption(
      new Option('--validate <place...>', 'check requests for the parameters in these places').choices(['path', 'query']),
    )
    .addOption(new Option('-o, --output <format>', 'yaml or json').choices(['yaml', 'json']).default('yaml'))
    .addHelpText('after', EXAMPLES.import)
    .action(async (files: string[], flags: ImportFlags) => {
      const { label, name, namespace, output, unknownOperations = null, validate = [] } = flags;
      const labels = Object.fromEntries(label.map(readLabel));
      const { apiImport } = await import('../verbs/api-import.ts');
      const definition = { name, namespace: namespace ?? null, labels, unknownOperations, validate, output };
      finish(await apiImport({ ...sourcesOf(files, flags), ...definition }, io));
    });

  withSources(api.command('list'))
    .description('List the operations of descriptions')
    .addOption(new Option('-o, --output <format>', 'table, json or yaml').choices(['table', 'json', 'yaml']).default('table'))
    .addHelpText('after', EXAMPLES.list)
    .action(async (files: string[], flags: SourceFlags & { readonly output: 'table' | 'json' | 'yaml' }) => {
      const { apiList } = await import('../verbs/api-list.ts');
      finish(await apiList({ ...sourcesOf(files, flags), output: flags.output }, io));
    });

  withSources(api.command('lint'))
    .description('Say what is wrong with descriptions, and what deserves a look')
    .addOption(
      new Option('-o, --output <format>', 'table, or json: one object a line').choices(['table', 'json']).default('table'),
    )
    .addHelpText('after', EXAMPLES.lint)
    .action(async (files: string[], flags: SourceFlags & { readonly output: 'table' | 'json' }) => {
      const { apiLint } = await import('../verbs/api-lint.ts');
      finish(await apiLint({ ...sourcesOf(files, flags), output: flags.output }, io));
    });

  addCoverage(api, context);
}

function addCoverage(api: Command, { finish, io }: CommandContext): void {
  withQuery(withSources(api.command('coverage')))
    .description('Say who may call each operation, which nobody may, and what logs show of each')
    .requiredOption('-f, --file <path...>', 'files and folders of policies')
    .option('--to <workload>', 'NAMESPACE/NAME of the workload whose API it is (default: the one that the APIDefinition selects)')
    .option('--log <file>', "a sidecar's access log or flow records, JSON lines (repeatable)", collect, [])
    .addOption(
      new Option('--when-none-selects <answer>', 'when no policy selects the workload')
        .choices(['allow', 'deny'])
        .default('allow'),
    )
    .option('--budget <steps>', 'most steps for all operations together')
    .addOption(outputOption())
    .addHelpText('after', EXAMPLES.coverage)
    .action(async (files: string[], flags: CoverageFlags) => {
      const { apiCoverage } = await import('../verbs/api-coverage.ts');
      const { budget, file: policies, log: logs, output, to = null, whenNoneSelects } = flags;
      const asked = { policies, to, logs, whenNoneSelects, output, sources: sourcesOf(files, flags) };
      const steps = budget === undefined ? null : whole(budget, '--budget');
      finish(await apiCoverage({ ...(await readQuery(flags)), ...asked, budget: steps }, io));
    });
}

interface SourceFlags {
  readonly protoPath: string[];
  readonly grpcReflection?: string;
}

interface CoverageFlags extends SourceFlags, QueryFlags {
  readonly file: string[];
  readonly to?: string;
  readonly log: string[];
  readonly whenNoneSelects: 'allow' | 'deny';
  readonly budget?: string;
  readonly output: 'table' | 'json' | 'yaml';
}

interface ImportFlags extends SourceFlags {
  readonly name: string;
  readonly namespace?: string;
  readonly label: string[];
  readonly unknownOperations?: 'Deny' | 'Report' | 'Allow';
  readonly validate?: ('path' | 'query')[];
  readonly output: 'yaml' | 'json';
}

function withSources(command: Command): Command {
  return command
    .argument('[file...]', 'OpenAPI 2.0, 3.0 or 3.1 (YAML, JSON) and .proto files')
    .option('--proto-path <folder>', 'where imports of .proto files are looked for, too (repeatable)', collect, [])
    .option('--grpc-reflection <host:port>', 'ask this gRPC server for its services, in the clear');
}

function sourcesOf(files: readonly string[], { grpcReflection, protoPath }: SourceFlags) {
  return { files, protoPath, reflection: grpcReflection ?? null };
}

function readLabel(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new ExitError(EXIT.usage, `Cannot read --label "${text}": wanted NAME=VALUE`);
}

const EXAMPLES = {
  import: `
Examples:
  postern api import openapi.yaml --name orders-api -n shop -l app=orders --unknown-operations Deny > orders-api.yaml
  postern api import --grpc-reflection 127.0.0.1:50051 --name cart-api -n shop

Exit status: 65 when a description is refused.`,
  list: `
Example:
  postern api list openapi.yaml cart.proto`,
  lint: `
Example:
  postern api lint openapi.yaml

Exit status: 0 without a finding, 65 when a description is refused, else 79.`,
  coverage: `
Examples:
  postern api coverage -f policies/ --log access.log
  postern api coverage openapi.yaml -f policies/ --to shop/orders -o json

Exit status: 79 when an operation is unreachable or unused or a path is unknown, 1 when there may be more callers than are
told, 65 when something cannot be read, else 0.`,
};
