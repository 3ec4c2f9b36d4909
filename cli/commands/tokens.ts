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
      const atMs = at === undefined ? null : Date.parse(at);
      if (Number.isNaN(atMs))
        throw new ExitError(EXIT.usage, `Cannot read --at "${at}": wanted a time such as 2026-11-24T12:00:00Z`);
      const { jwtVerify } = await import('../verbs/jwt-verify.ts');
      finish(await jwtVerify({ jwks, issuer: issuer ?? null, audience, atMs }, io));
    });
}

interface VerifyFlags {
  readonly jwks: string;
  readonly issuer?: string;
  readonly audience: string[];
  readonly at?: string;
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

const EXAMPLE = `
Example:
  echo '{"id":1,"token":"eyJ…"}' | postern jwt verify --jwks keys.json --issuer https://idp.example.com --audience orders`;
