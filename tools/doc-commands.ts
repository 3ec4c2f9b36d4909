/**
 * Finds the commands in a page of Markdown: fenced blocks of `console` (commands behind `$ `, then what they print) and `sh`. The
 * comment in the line above a block says how it is run, or why it is not:
 *
 *     <!-- run: in=examples/first exit=65 -->
 *     <!-- not run: needs a cluster -->
 *
 * `in` names a folder of the repository that is copied to a fresh place where the block runs; without it the block goes on where
 * the one before it on the page left off. `exit` is the status that is wanted instead of 0.
 */

export interface CommandBlock {
  /** Of its fence, from 1. */
  readonly line: number;
  /** For bash. */
  readonly script: string;
  /** Lines of output that must be seen in this order; `…` stands for any text. */
  readonly expected: readonly string[];
  /** How it is run; null when the comment is missing or says `not run`. */
  readonly run: { readonly folder: string | null; readonly exit: number } | null;
  /** Why it is not run, or null. */
  readonly notRun: string | null;
}

export function readCommandBlocks(markdown: string): readonly CommandBlock[] {
  const found: CommandBlock[] = [];
  const lines = markdown.split('\n');
  for (let index = 0; index < lines.length; index++) {
    const fence = /^(`{3,})(\w*)/.exec(lines[index] ?? '');
    if (fence === null) continue;
    const [, ticks = '', language = ''] = fence;
    const end = lines.indexOf(ticks, index + 1);
    const body = lines.slice(index + 1, end === -1 ? lines.length : end);
    if (LANGUAGES.includes(language)) {
      const comment = lines.slice(0, index).findLast((line) => line.trim() !== '') ?? '';
      found.push({ line: index + 1, ...readBody(body, language), ...readComment(comment) });
    }
    index += body.length + 1;
  }
  return found;
}

/** Whether the output holds every expected line, in order. Gives the first that is missing, or null. */
export function missingLine(expected: readonly string[], output: string): string | null {
  const lines = output.split('\n');
  let at = 0;
  for (const wanted of expected) {
    const pattern = new RegExp(
      `^${wanted
        .split(/…|\.\.\./)
        .map(escape)
        .join('.*')}$`,
      'u',
    );
    const found = lines.findIndex((line, index) => index >= at && pattern.test(line.trimEnd()));
    if (found === -1) return wanted;
    at = found + 1;
  }
  return null;
}

function readBody(body: readonly string[], language: string): Pick<CommandBlock, 'script' | 'expected'> {
  if (language !== 'console') return { script: body.join('\n'), expected: [] };
  const script: string[] = [];
  const expected: string[] = [];
  let isContinued = false;
  for (const line of body) {
    if (isContinued || line.startsWith('$ ')) {
      script.push(isContinued ? line.replace(/^> /, '') : line.slice(2));
      isContinued = line.endsWith('\\');
    } else if (!/^\s*(…|\.\.\.)?\s*$/.test(line)) {
      expected.push(line.trimEnd());
    }
  }
  return { script: script.join('\n'), expected };
}

function readComment(comment: string): Pick<CommandBlock, 'run' | 'notRun'> {
  const notRun = /^<!-- not run: (.+) -->$/.exec(comment.trim())?.[1] ?? null;
  const settings = /^<!-- run:?(.*)-->$/.exec(comment.trim())?.[1];
  if (settings === undefined) return { run: null, notRun };
  const folder = /\bin=(\S+)/.exec(settings)?.[1] ?? null;
  const exit = Number.parseInt(/\bexit=(\d+)/.exec(settings)?.[1] ?? '0', 10);
  return { run: { folder, exit }, notRun: null };
}

function escape(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`);
}

const LANGUAGES = ['console', 'sh', 'bash'];
