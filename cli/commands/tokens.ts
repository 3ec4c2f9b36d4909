/** The verbs about users' tokens: questions on standard input, one answer a line. */
import type { Command } from 'commander';

import { EXIT, ExitError } from '../exit.ts';
import type { CommandContext } from '../program.ts';

export function addTokenCommands(program: Command, { io, finish }: CommandContext): void {
  const jwt = program.command('jwt').description('Prove the tokens of users');

  jwt
    .command('verify')
    .description("Prove tokens from standard input against an issuer's keys")
    .requiredOption('--jwks <file>', "the issuer's keys, a JWKS")
    .option('--issuer <name>', 'the issuer that a token must name')
    .option('--audience <name>', 'an audience of which a token must name one (repeatable)', collect, [])
    .option('--at <time>', 'time of the verification, RFC 3339 (default: now)')
    .addHelpText('after', EXAMPLE)
    .action(async ({ jwks, issuer, audience, at }: VerifyFlags) => {
      const atMs = readAt(at);
      const { jwtVerify } = await import('../verbs/jwt-verify.ts');
      finish(await jwtVerify({ jwks, issuer: issuer ?? null, audience, atMs }, io));
    });

  jwt
    .command('authenticate')
    .description('Say of each request on standard input whose it is, by the RequestAuthentication of the workload')
    .requiredOption('-f, --file <path...>', 'files and folders of policies')
    .option('--jwks <uri=file>', 'what a jwksUri, or the OpenID configuration of an issuer, brings (repeatable)', collect, [])
    .option('--root-namespace <name>', 'namespace whose policies hold everywhere', 'istio-system')
    .option('--ignore-kinds', 'pass over documents that are no policy')
    .option('--at <time>', 'time of the verification, RFC 3339 (default: now)')
    .addHelpText('after', AUTHENTICATE_EXAMPLE)
    .action(async ({ at, file: files, ignoreKinds = false, jwks, rootNamespace }: AuthenticateFlags) => {
      const { jwtAuthenticate } = await import('../verbs/jwt-authenticate.ts');
      finish(await jwtAuthenticate({ files, jwks, rootNamespace, ignoreKinds, atMs: readAt(at) }, io));
    });
}

interface VerifyFlags {
  readonly jwks: string;
  readonly issuer?: string;
  readonly audience: string[];
  readonly at?: string;
}

interface AuthenticateFlags {
  readonly file: string[];
  readonly jwks: string[];
  readonly rootNamespace: string;
  readonly ignoreKinds?: boolean;
  readonly at?: string;
}

/** Milliseconds since 1970; null for the moment of each question. */
function readAt(at: string | undefined): number | null {
  if (at === undefined) return null;
  const atMs = Date.parse(at);
  if (!Number.isNaN(atMs)) return atMs;
  throw new ExitError(EXIT.usage, `Cannot read --at "${at}": wanted a time such as 2026-11-24T12:00:00Z`);
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

const EXAMPLE = `
Example:
  echo '{"id":1,"token":"eyJ…"}' | postern jwt verify --jwks keys.json --issuer https://idp.example.com --audience orders`;

const AUTHENTICATE_EXAMPLE = `
Example:
  echo '{"id":1,"workload":{"namespace":"shop"},"request":{"path":"/","headers":[["authorization","Bearer eyJ…"]]}}' \\
    | postern jwt authenticate -f policies/ --jwks https://idp.example.com/keys=keys.json`;
