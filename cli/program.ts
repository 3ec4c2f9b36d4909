/** The command line: commands, options and help. Each action loads its verb when it is called. */
import { Command, CommanderError } from 'commander';

import { addApiCommands } from './commands/apis.ts';
import { addBundleCommands } from './commands/bundles.ts';
import { addDebugCommands } from './commands/debug.ts';
import { addOpaCommands } from './commands/opa.ts';
import { addQuestionCommands } from './commands/questions.ts';
import { addTokenCommands } from './commands/tokens.ts';
import { addRunCommands } from './commands/run.ts';
import { EXIT } from './exit.ts';
import type { VerbStreams } from './verbs/verb.ts';
import { packageVersion } from './version.ts';

/** What a command gets: where to read and write, and whom to tell its exit status. */
export interface CommandContext {
  readonly io: VerbStreams;
  readonly finish: (status: number) => void;
}

/** Parses the arguments and runs the command. Throws `ExitError` and `PosternError`. */
export async function runProgram(argv: readonly string[], io: VerbStreams): Promise<number> {
  let status: number = EXIT.ok;
  const finish = (result: number): void => {
    status = result;
  };
  const program = buildProgram({ io, finish });
  if (argv.length === 0) {
    io.stdout.write(program.helpInformation());
    return EXIT.ok;
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    // Commander has printed its message; only help and version are no misuse.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    throw error;
  }
  return status;
}

/** The whole tree; help and completion scripts are written from it. */
export function buildProgram(context: CommandContext): Command {
  const { io } = context;
  const program = new Command('postern')
    .description('Mutual TLS with a workload identity, and a policy for every API call.')
    .usage('COMMAND [options]')
    .version(`postern ${packageVersion()}`, '-V, --version', 'Print the version')
    .helpOption('-h, --help', 'Print help')
    .helpCommand('help [command]', 'Print help for a command')
    .showHelpAfterError('Run with --help for usage.')
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) })
    .exitOverride();

  addRunCommands(program, context);
  addQuestionCommands(program, context);
  const policy = program.commands.find((command) => command.name() === 'policy');
  if (policy !== undefined) addBundleCommands(policy, context);
  addTokenCommands(program, context);
  addOpaCommands(program, context);
  addApiCommands(program, context);
  addDebugCommands(program, context);
  return program;
}
