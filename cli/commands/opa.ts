/** `postern opa`: bundles of the Open Policy Agent, offline. */
import { Option } from 'commander';
import type { Command } from 'commander';

import type { CommandContext } from '../program.ts';

export function addOpaCommands(program: Command, { finish, io }: CommandContext): void {
  const opa = program.command('opa').description('Ask policies of OPA bundles, and see what is in them');

  withKeys(opa.command('eval'))
    .description('Answer for each input on standard input what the policy decides')
    .requiredOption('-b, --bundle <file>', 'bundle, as "opa build -t wasm" or "-t plan" writes it')
    .option('-e, --entrypoint <path>', 'rule that decides, such as envoy/authz/allow')
    .option('--at <time>', 'what the policy takes for the present, RFC 3339 (default: now)')
    .option('--raw', 'give the result as it is, not as a decision')
    .addHelpText('after', EXAMPLES.eval)
    .action(async ({ at, entrypoint, raw = false, ...flags }: EvalFlags) => {
      const { opaEval } = await import('../verbs/opa-eval.ts');
      finish(await opaEval({ ...bundleOptions(flags), at: at ?? null, entrypoint: entrypoint ?? null, raw }, io));
    });

  withKeys(opa.command('inspect'))
    .description('Say what is in a bundle, and whether it can be loaded')
    .argument('<bundle>', 'bundle file')
    .addOption(new Option('-o, --output <format>', 'text or json').choices(['text', 'json']).default('text'))
    .addHelpText('after', EXAMPLES.inspect)
    .action(async (bundle: string, { output, ...flags }: InspectFlags) => {
      const { opaInspect } = await import('../verbs/opa-inspect.ts');
      finish(opaInspect({ ...bundleOptions({ ...flags, bundle }), output }, io));
    });
}

interface KeyFlags {
  readonly verificationKey?: string;
  readonly verificationKeyId: string;
  readonly signingAlg: string;
  readonly scope?: string;
}

interface EvalFlags extends KeyFlags {
  readonly bundle: string;
  readonly entrypoint?: string;
  readonly at?: string;
  readonly raw?: boolean;
}

interface InspectFlags extends KeyFlags {
  readonly output: 'text' | 'json';
}

/** By the names that `opa build` and `opa run` have for them. */
function withKeys(command: Command): Command {
  return command
    .option('--verification-key <file>', 'public key (PEM) or secret that the bundle must be signed with')
    .option('--verification-key-id <name>', 'name of that key', 'default')
    .option('--signing-alg <name>', 'algorithm of that key', 'RS256')
    .option('--scope <name>', 'scope that the signature must have');
}

function bundleOptions({
  bundle,
  scope,
  signingAlg,
  verificationKey,
  verificationKeyId,
}: KeyFlags & { readonly bundle: string }) {
  return { bundle, verificationKey: verificationKey ?? null, verificationKeyId, signingAlg, scope: scope ?? null };
}

const EXAMPLES = {
  eval: `
Example:
  $ echo '{"id":1,"input":{"attributes":{"request":{"http":{"method":"GET"}}}}}' | postern opa eval -b bundle.tar.gz`,
  inspect: `
Example:
  $ postern opa inspect bundle.tar.gz --verification-key key.pem --signing-alg ES256`,
};
