/** Completion scripts, written from the tree of commands: each is a static table, so that a key press starts no process. */
import type { Command } from 'commander';

export type Shell = 'bash' | 'zsh' | 'fish';

/** A script that completes commands, options and the values that an option may have; files everywhere else. */
export function completionScript(program: Command, shell: Shell): string {
  const nodes = [...nodesOf(program, '')];
  if (shell === 'fish') return fishScript(nodes);
  const cases = nodes.map(({ path, words }) => `    '${path}') words='${words.join(' ')}' ;;`).join('\n');
  const values = valuesOf(program).map(([flag, names]) => `    ${flag}) words='${names.join(' ')}' ;;`);
  const start = shell === 'zsh' ? '#compdef postern\nautoload -U +X bashcompinit && bashcompinit\n' : '';
  return `${start}_postern() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} path='' words='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) break ;; *) path="$path $word" ;; esac
  done
  case "\${path# }" in
${cases}
  esac
  case $previous in
${values.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _postern postern
`;
}

interface CommandNode {
  /** `policy decide`; '' for the program. */
  readonly path: string;
  readonly command: Command;
  readonly words: readonly string[];
}

function* nodesOf(command: Command, path: string): Generator<CommandNode> {
  const flags = command.options.flatMap(({ short, long }) => [short, long]).filter((flag) => flag !== undefined && flag !== null);
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  yield { path, command, words: [...command.commands.map((inner) => inner.name()), ...choices, ...flags, '--help'] };
  for (const inner of command.commands) yield* nodesOf(inner, path === '' ? inner.name() : `${path} ${inner.name()}`);
}

/** Flags whose values are listed, with the values of every command that has the flag. */
function valuesOf(program: Command): [string, string[]][] {
  const found = new Map<string, Set<string>>();
  for (const { command } of nodesOf(program, '')) {
    for (const { short, long, argChoices } of command.options) {
      if (argChoices === undefined) continue;
      const flags = [short, long].filter((flag) => flag !== undefined && flag !== null).join('|');
      const names = found.get(flags) ?? new Set();
      for (const name of argChoices) names.add(name);
      found.set(flags, names);
    }
  }
  return [...found].map(([flags, names]) => [flags, [...names]]);
}

function fishScript(nodes: readonly CommandNode[]): string {
  const lines = ["complete -c postern -n '__fish_use_subcommand' -l help -d 'Print help'"];
  for (const { path, command } of nodes) {
    const words = path.split(' ');
    const condition =
      path === '' ? '__fish_use_subcommand' : words.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
    for (const inner of command.commands)
      lines.push(`complete -c postern -f -n '${condition}' -a ${inner.name()} -d '${quoted(inner.description())}'`);
    for (const { long, short, description, argChoices, required } of command.options) {
      const names = `${short === undefined ? '' : ` -s ${short.slice(1)}`}${long === undefined || long === null ? '' : ` -l ${long.slice(2)}`}`;
      const values = argChoices === undefined ? (required ? ' -r' : '') : ` -x -a '${argChoices.join(' ')}'`;
      lines.push(`complete -c postern -n '${condition}'${names}${values} -d '${quoted(description)}'`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function quoted(text: string): string {
  return text.replaceAll("'", "\\'");
}
