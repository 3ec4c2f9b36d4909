/** The verbs of `postern policy` for people: offline, about documents as a whole rather than one request after the other. */
import { Option } from 'commander';
import type { Command } from 'commander';

import type { CommandContext } from '../program.ts';
import { addPolicyExplain } from './access.ts';
import { collect, outputOption, readQuery, whole, withQuery } from './policy-flags.ts';
import type { QueryFlags } from './policy-flags.ts';

/** @param policy  the command `policy` */
export function addPolicyTools(policy: Command, context: CommandContext): void {
  addLint(policy, context);
  addDiff(policy, context);
  addTest(policy, context);
  addPolicyExplain(policy, context);
  addFmt(policy, context);
}

function addLint(policy: Command, { finish, io }: CommandContext): void {
  withQuery(policy.command('lint'))
    .description('Find rules that change nothing, traps, and what fits no workload')
    .requiredOption('-f, --file <path...>', 'files and folders of policies')
    .option('--tcp-port <number>', 'port that carries no HTTP (repeatable)', collect, [])
    .addOption(outputOption())
    .addHelpText('after', EXAMPLES.lint)
    .action(async ({ file: files, output, tcpPort, ...flags }: QueryFlags & LintFlags) => {
      const { policyLint } = await import('../verbs/policy-lint.ts');
      const query = await readQuery(flags);
      finish(await policyLint({ ...query, files, output, tcpPorts: tcpPort.map((port) => whole(port, '--tcp-port')) }, io));
    });
}

function addDiff(policy: Command, { finish, io }: CommandContext): void {
  withQuery(policy.command('diff'))
    .description('Say which requests two sets of policies decide differently, or prove that there are none')
    .argument('<before>', 'file or folder')
    .argument('<after>', 'file or folder')
    .option('--workload <name>', 'NAMESPACE or NAMESPACE/ACCOUNT (default: every one that the documents tell apart)')
    .option('--label <key=value>', 'label of that workload (repeatable)', collect, [])
    .option('--limit <number>', 'requests told of a workload', '10')
    .option('--budget <steps>', 'steps of the search for each workload', '10000000')
    .addOption(
      new Option('--when-none-selects <answer>', 'when no policy selects the workload')
        .choices(['allow', 'deny'])
        .default('allow'),
    )
    .addOption(outputOption())
    .addHelpText('after', EXAMPLES.diff)
    .action(async (before: string, after: string, flags: QueryFlags & DiffFlags) => {
      const { policyDiff } = await import('../verbs/policy-diff.ts');
      const { budget, label: labels, limit, output, whenNoneSelects, workload = null } = flags;
      const numbers = { budget: whole(budget, '--budget'), limit: whole(limit, '--limit') };
      finish(
        await policyDiff(
          { ...(await readQuery(flags)), before, after, workload, labels, whenNoneSelects, output, ...numbers },
          io,
        ),
      );
    });
}

function addTest(policy: Command, { finish, io }: CommandContext): void {
  withQuery(policy.command('test'))
    .description('Try the cases beside the policies, and plant faults to see whether a case notices')
    .requiredOption('-f, --file <path...>', 'files and folders of policies, and of cases (*_test.yaml)')
    .addOption(
      new Option('--path-policy <mode>', 'how paths are made canonical')
        .choices(['base', 'none', 'merge-slashes', 'decode-and-merge', 'strict'])
        .default('base'),
    )
    .addOption(
      new Option('--when-none-selects <answer>', 'when no policy selects the workload')
        .choices(['allow', 'deny'])
        .default('allow'),
    )
    .option('--min-score <percent>', 'share of planted faults that must be noticed', '0')
    .option('--no-mutations', 'plant no faults')
    .addOption(
      new Option('-o, --output <format>', 'form of the output').choices(['table', 'json', 'yaml', 'junit']).default('table'),
    )
    .addHelpText('after', EXAMPLES.test)
    .action(async (flags: QueryFlags & TestFlags) => {
      const { policyTest } = await import('../verbs/policy-test.ts');
      const { file: files, minScore, mutations, output, pathPolicy, whenNoneSelects } = flags;
      const score = minScore === '0' ? 0 : whole(minScore, '--min-score');
      finish(
        await policyTest(
          { ...(await readQuery(flags)), files, minScore: score, mutations, output, pathPolicy, whenNoneSelects },
          io,
        ),
      );
    });
}

function addFmt(policy: Command, { finish, io }: CommandContext): void {
  policy
    .command('fmt')
    .description('Bring policy files into one form, comments kept')
    .argument('<path...>', 'files and folders')
    .addOption(new Option('--write', 'change the files').conflicts('check'))
    .option('--check', 'only tell which files would change; 79 when one would')
    .action(async (files: string[], { check = false, write = false }: { check?: boolean; write?: boolean }) => {
      const { policyFmt } = await import('../verbs/policy-fmt.ts');
      finish(await policyFmt({ files, action: write ? 'write' : check ? 'check' : 'print' }, io));
    });
}

interface TestFlags {
  readonly file: string[];
  readonly pathPolicy: 'none' | 'base' | 'merge-slashes' | 'decode-and-merge' | 'strict';
  readonly whenNoneSelects: 'allow' | 'deny';
  readonly minScore: string;
  readonly mutations: boolean;
  readonly output: 'table' | 'json' | 'yaml' | 'junit';
}

interface LintFlags {
  readonly file: string[];
  readonly tcpPort: string[];
  readonly output: 'table' | 'json' | 'yaml';
}

interface DiffFlags {
  readonly workload?: string;
  readonly label: string[];
  readonly limit: string;
  readonly budget: string;
  readonly whenNoneSelects: 'allow' | 'deny';
  readonly output: 'table' | 'json' | 'yaml';
}

const EXAMPLES = {
  test: `
Example of policies/orders_test.yaml:
  cases:
    - name: the shop reads orders
      request: { from: shop/web, to: shop/orders, method: GET, path: /orders/17 }
      expect: allow
      rule: shop/orders#read

Exit status: 0 when every case passes, 79 when one fails or the score is too low, 65 when a file is invalid or there is no case.`,
  lint: `
Example:
  postern policy lint -f policies/ -o json

Exit status: 0 when nothing is found, 79 when something is, 65 when a document is invalid.`,
  diff: `
Example:
  postern policy diff main/policies branch/policies

Exit status: 0 when both decide alike, 79 when they differ, 1 when that could not be settled within the budget, 65 when a document is
invalid.`,
} as const;
