/** `postern can-i`, `who-can` and `what-can`, and `postern policy explain`: who may do what, offline. */
import { Option } from 'commander';
import type { Command } from 'commander';

import type { CommandContext } from '../program.ts';
import { collect, outputOption, readQuery, whole, withQuery } from './policy-flags.ts';
import type { QueryFlags } from './policy-flags.ts';

export function addAccessCommands(program: Command, context: CommandContext): void {
  const { finish, io } = context;
  addCanI(program.command('can-i'), context, true);

  withAccess(program.command('who-can'))
    .description('Say who may do something to a workload, and by which rules')
    .argument('<method>', 'method')
    .argument('<path>', 'canonical path')
    .action(async (method: string, path: string, { host, port, ...flags }: AccessFlags) => {
      const { whoCan } = await import('../verbs/who-can.ts');
      const named = host === undefined ? {} : { host };
      const fixed = { method, path, ...named, ...(port === undefined ? {} : { port: whole(port, '--port') }) };
      finish(await whoCan({ ...(await accessOptions(flags)), from: null, fixed }, io));
    });

  withAccess(program.command('what-can'))
    .description('Say what a caller may do, and by which rules')
    .requiredOption('--from <caller>', 'NAMESPACE/ACCOUNT, or a SPIFFE ID')
    .action(async ({ from, host, port, ...flags }: AccessFlags & { from: string }) => {
      const { whoCan } = await import('../verbs/who-can.ts');
      const named = host === undefined ? {} : { host };
      const fixed = { ...named, ...(port === undefined ? {} : { port: whole(port, '--port') }) };
      finish(await whoCan({ ...(await accessOptions(flags)), from, fixed }, io));
    });
}

/** @param policy  the command `policy` */
export function addPolicyExplain(policy: Command, context: CommandContext): void {
  addCanI(policy.command('explain'), context, false);
}

function addCanI(command: Command, { finish, io }: CommandContext, isQuestion: boolean): void {
  withQuery(command)
    .description(isQuestion ? 'Say whether a caller may do something' : 'Say which rule decides about a request, or came nearest')
    .argument('<method>', 'method')
    .argument('<path>', 'path as the caller writes it')
    .requiredOption('-f, --file <path...>', 'files and folders of policies')
    .requiredOption('--to <workload>', 'NAMESPACE or NAMESPACE/NAME')
    .option('--from <caller>', 'NAMESPACE/ACCOUNT, or a SPIFFE ID (default: nobody)')
    .option('--host <host>', 'host that is asked for')
    .option('--port <number>', 'port of the workload (default: 8080)')
    .option('--ip <address>', "caller's address")
    .option('--header <name:value>', 'header (repeatable)', collect, [])
    .option('--claim <name=value>', "claim of the caller's token (repeatable)", collect, [])
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
    .option('--explain', 'say why')
    .addOption(outputOption())
    .addHelpText('after', isQuestion ? EXAMPLE : '')
    .action(async (method: string, path: string, flags: CanIFlags) => {
      const { canI } = await import('../verbs/can-i.ts');
      const {
        claim,
        explain = !isQuestion,
        file: files,
        from,
        header,
        host,
        ip,
        output,
        pathPolicy,
        port,
        to,
        whenNoneSelects,
      } = flags;
      const request = {
        ...{ method, path, to, from, host, ip },
        port: port === undefined ? undefined : whole(port, '--port'),
        headers: header.map((one) => [one.slice(0, one.indexOf(':')), one.slice(one.indexOf(':') + 1).trimStart()]),
        claims:
          claim.length === 0
            ? undefined
            : Object.fromEntries(claim.map((one) => [one.slice(0, one.indexOf('=')), one.slice(one.indexOf('=') + 1)])),
      };
      const query = await readQuery(flags);
      finish(
        await canI({ ...query, files, request, pathPolicy, whenNoneSelects, explain, tellsByStatus: isQuestion, output }, io),
      );
    });
}

interface CanIFlags extends QueryFlags {
  readonly file: string[];
  readonly to: string;
  readonly from?: string;
  readonly host?: string;
  readonly port?: string;
  readonly ip?: string;
  readonly header: string[];
  readonly claim: string[];
  readonly pathPolicy: 'none' | 'base' | 'merge-slashes' | 'decode-and-merge' | 'strict';
  readonly whenNoneSelects: 'allow' | 'deny';
  readonly explain?: boolean;
  readonly output: 'table' | 'json' | 'yaml';
}

interface AccessFlags extends QueryFlags {
  readonly file: string[];
  readonly to?: string;
  readonly host?: string;
  readonly port?: string;
  readonly whenNoneSelects: 'allow' | 'deny';
  readonly output: 'table' | 'json' | 'yaml';
}

function withAccess(command: Command): Command {
  return withQuery(command)
    .requiredOption('-f, --file <path...>', 'files and folders of policies')
    .option('--to <workload>', 'NAMESPACE or NAMESPACE/NAME (default: every one that the documents tell apart)')
    .option('--host <host>', 'host that is asked for')
    .option('--port <number>', 'port of the workload')
    .addOption(
      new Option('--when-none-selects <answer>', 'when no policy selects the workload')
        .choices(['allow', 'deny'])
        .default('allow'),
    )
    .addOption(outputOption());
}

async function accessOptions(flags: Omit<AccessFlags, 'host' | 'port'>): Promise<
  Awaited<ReturnType<typeof readQuery>> & {
    files: string[];
    to: string | null;
    whenNoneSelects: 'allow' | 'deny';
    output: AccessFlags['output'];
  }
> {
  const { file: files, output, to = null, whenNoneSelects } = flags;
  return { ...(await readQuery(flags)), files, to, whenNoneSelects, output };
}

const EXAMPLE = `
Example:
  postern can-i DELETE /api/v1/orders/17 --from shop/web --to shop/orders -f policies/ --explain

Exit status: 0 for yes, 1 for no, 65 when a document is invalid.`;
