/**
 * The verbs that answer questions, offline, with the code of the data path: JSON Lines on standard input, one answer a line on
 * standard output.
 */
import { existsSync } from 'node:fs';

import { Option } from 'commander';
import type { Command } from 'commander';

import { EXIT, ExitError } from '../exit.ts';
import type { CommandContext } from '../program.ts';
import type { VerbStreams } from '../verbs/verb.ts';
import { addAccessCommands } from './access.ts';
import { addPolicyTools } from './policies.ts';

export function addQuestionCommands(program: Command, context: CommandContext): void {
  addPolicyCommands(program, context);
  addAccessCommands(program, context);
  addIdentityCommands(program, context);
  addHttpCommands(program, context);
}

function addPolicyCommands(program: Command, context: CommandContext): void {
  const { io, finish } = context;
  const policy = program.command('policy').description('Judge policies and ask what they decide');

  policy
    .command('decide')
    .description('Answer for each request on standard input whether a sidecar would allow it')
    .requiredOption('-f, --file <path...>', 'files and folders of policies')
    .option('--root-namespace <name>', 'namespace whose policies hold everywhere', 'istio-system')
    .option('--trust-domain <name>', 'own trust domain', 'cluster.local')
    .option('--trust-domain-alias <name>', 'further trust domain taken for the own one (repeatable)', collect, [])
    .addOption(pathPolicyOption())
    .addOption(choices('--engine <name>', 'what decides; both fails on the first difference', ['wasm', 'interpreter', 'both']))
    .addOption(choices('--when-none-selects <answer>', 'when no policy selects the workload', ['allow', 'deny']))
    .option('--explain', 'say which rule came nearest')
    .option('--at <time>', 'time of questions that name none, RFC 3339 (default: now)')
    .option('--ignore-kinds', 'pass over documents that are no policy')
    .addHelpText('after', EXAMPLES.decide)
    .action(async (options: DecideFlags) => {
      hintAtTerminal(io);
      const { policyDecide } = await import('../verbs/policy-decide.ts');
      const { readTimeMs } = await import('#authz/policy/times.ts');
      const { file: files, trustDomainAlias: trustDomainAliases, explain = false, ignoreKinds = false, at, ...rest } = options;
      const nowMs = at === undefined ? Date.now() : readTimeMs(at);
      if (nowMs === null) throw new ExitError(EXIT.usage, `Cannot read --at "${at}": wanted a time such as 2026-11-24T12:00:00Z`);
      finish(await policyDecide({ ...rest, files, trustDomainAliases, explain, ignoreKinds, nowMs }, io));
    });

  policy
    .command('validate')
    .description('Say of each document whether it is valid, and if not where and why')
    .requiredOption('-f, --file <path...>', 'files and folders of policies')
    .option('--root-namespace <name>', 'namespace whose policies hold everywhere', 'istio-system')
    .option('--ignore-kinds', 'pass over documents that are no policy')
    .addHelpText('after', EXAMPLES.validate)
    .action(async ({ file: files, ignoreKinds = false, rootNamespace }: ValidateFlags) => {
      const { policyValidate } = await import('../verbs/policy-validate.ts');
      finish(await policyValidate({ files, ignoreKinds, rootNamespace, nowMs: Date.now() }, io));
    });

  addPolicyTools(policy, context);
}

function addIdentityCommands(program: Command, { io, finish }: CommandContext): void {
  const identity = program.command('identity').description('Read and verify workload identities');

  identity
    .command('parse')
    .description('Read SPIFFE IDs and trust domains from standard input')
    .addHelpText('after', EXAMPLES.parseIdentity)
    .action(async () => {
      hintAtTerminal(io);
      const { identityParse } = await import('../verbs/identity-parse.ts');
      finish(await identityParse({}, io));
    });

  identity
    .command('verify')
    .description('Verify X.509-SVID chains: PEM files, or questions on standard input')
    .argument('[file...]', 'PEM chains, leaf first; without any, questions are read from standard input')
    .option('--bundle <td=file>', 'trust bundle of a trust domain, PEM or SPIFFE JWKS (repeatable)', collect, [])
    .option('--at <time>', 'time of the verification, RFC 3339 (default: now)')
    .addHelpText('after', EXAMPLES.verify)
    .action(async (given: string[], options: { bundle: string[]; at?: string }) => {
      const { identityVerify } = await import('../verbs/identity-verify.ts');
      // `--bundle a=x b=y FILE` is understood too: what names a bundle and no file is one.
      const isBundle = (word: string): boolean => /^[a-z0-9._-]+=/u.test(word) && !existsSync(word);
      const files = given.filter((word) => !isBundle(word));
      const bundle = [...options.bundle, ...given.filter(isBundle)];
      if (files.length === 0) hintAtTerminal(io);
      finish(await identityVerify({ files, bundle, at: options.at ?? null }, io));
    });
}

function addHttpCommands(program: Command, { io, finish }: CommandContext): void {
  const http = program.command('http').description('See HTTP messages as the sidecar sees them');

  http
    .command('canonicalise')
    .alias('canonicalize')
    .description('Bring targets and authorities from standard input into canonical form')
    .addOption(pathPolicyOption())
    .addHelpText('after', EXAMPLES.canonicalise)
    .action(async (options: { pathPolicy: PathPolicy }) => {
      hintAtTerminal(io);
      const { run } = await import('../verbs/http-canonicalise.ts');
      finish(await run(options, io));
    });

  http
    .command('parse')
    .description('Parse raw HTTP/1.1 messages from standard input')
    .addOption(new Option('--kind <kind>', 'what the bytes are').choices(['request', 'response']).makeOptionMandatory())
    .addHelpText('after', EXAMPLES.parseHttp)
    .action(async (options: { kind: 'request' | 'response' }) => {
      hintAtTerminal(io);
      const { run } = await import('../verbs/http-parse.ts');
      finish(await run(options, io));
    });
}

/** Somebody who forgot the pipe would wait for ever. */
function hintAtTerminal(io: VerbStreams): void {
  if ('isTTY' in io.stdin && io.stdin.isTTY === true) io.stderr.write('reading questions, one JSON object a line; Ctrl-D ends\n');
}

type PathPolicy = 'none' | 'base' | 'merge-slashes' | 'decode-and-merge' | 'strict';

interface DecideFlags {
  readonly file: string[];
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly trustDomainAlias: string[];
  readonly pathPolicy: PathPolicy;
  readonly engine: 'wasm' | 'interpreter' | 'both';
  readonly whenNoneSelects: 'allow' | 'deny';
  readonly explain?: boolean;
  readonly ignoreKinds?: boolean;
  readonly at?: string;
}

interface ValidateFlags {
  readonly file: string[];
  readonly rootNamespace: string;
  readonly ignoreKinds?: boolean;
}

/** The first choice is the default. */
function choices(flags: string, description: string, names: readonly [string, ...string[]]): Option {
  return new Option(flags, description).choices(names).default(names[0]);
}

function pathPolicyOption(): Option {
  return choices('--path-policy <mode>', 'how paths are made canonical', [
    'base',
    'none',
    'merge-slashes',
    'decode-and-merge',
    'strict',
  ]);
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

const EXAMPLES = {
  decide: `
Example:
  echo '{"id":"1","workload":{"namespace":"shop","labels":{"app":"orders"}},
    "source":{"principal":"spiffe://cluster.local/ns/shop/sa/web","ip":"10.1.2.3"},
    "destination":{"ip":"10.1.2.4","port":8080},"connection":{"protocol":"http","tls":true},
    "request":{"method":"GET","authority":"orders.shop","path":"/orders/17","headers":[]}}' | tr -d '\\n' |
    postern policy decide -f policies/ --explain

Exit status: 0 when every line was answered, 65 when one was not understood or a policy is invalid.`,
  validate: `
Example:
  postern policy validate -f policies/

Exit status: 0 when every document is valid, else 65.`,
  parseIdentity: `
Example:
  echo '{"id":1,"in":"spiffe://example.org/ns/shop/sa/web"}' | postern identity parse`,
  verify: `
Example:
  postern identity verify --bundle example.org=ca.pem svid.pem`,
  canonicalise: `
Example:
  echo '{"method":"GET","target":"/a//b/../c?x","hosts":["example.com"],"scheme":"http"}' | postern http canonicalise`,
  parseHttp: `
Example:
  printf 'GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n' | base64 -w0 | sed 's/.*/{"raw":"&"}/' | postern http parse --kind request`,
} as const;
