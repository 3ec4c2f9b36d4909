/** Regular expressions as automata against RE2 in JavaScript, on random expressions and texts. */
import { RE2JS } from 're2js';

import type { Random } from '#authz/engine/samples.ts';
import { CompileBudget } from '#authz/plan/budget.ts';
import { buildJointAutomaton } from '#authz/plan/byte-automaton.ts';
import type { ByteAutomaton } from '#authz/plan/byte-automaton.ts';
import { parseRegex } from '#authz/plan/regex/parse.ts';

/** What differs, in words; an expression that needs too many states is passed over. */
export function regexFailures(count: number, random: Random): readonly string[] {
  const failures: string[] = [];
  for (let index = 0; index < count && failures.length < 3; index++) {
    const source = randomRegex(random, 3);
    const theirs = compileTheirs(source);
    const ours = compileOurs(source);
    if ((theirs === null) !== (ours === 'refused'))
      failures.push(`${source}: ${theirs === null ? 'RE2 refuses it' : 'we refuse it'}`);
    if (theirs === null || typeof ours === 'string') continue;
    for (let tries = 0; tries < 12; tries++) {
      const text = Array.from({ length: Math.floor(random() * 6) }, () => pick(CHARACTERS, random)).join('');
      const wanted = theirs.matches(text);
      if (runAutomaton(ours, text) !== wanted) failures.push(`${source} on ${JSON.stringify(text)}: RE2 says ${wanted}`);
    }
  }
  return failures;
}

export function runAutomaton(automaton: ByteAutomaton, text: string): boolean {
  let state = automaton.start;
  for (const byte of Buffer.from(text, 'utf8')) {
    state = automaton.next[state * automaton.classCount + (automaton.byteClass[byte] ?? 0)] ?? 0;
  }
  return (automaton.accepts[state]?.length ?? 0) > 0;
}

function compileTheirs(source: string): RE2JS | null {
  try {
    return RE2JS.compile(source);
  } catch {
    return null;
  }
}

function compileOurs(source: string): ByteAutomaton | 'refused' | 'large' {
  try {
    return buildJointAutomaton([{ id: 0, pattern: parseRegex(source) }], new CompileBudget(20_000_000)) ?? 'large';
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'policy_regex') return 'refused';
    if (error instanceof Error && 'code' in error && error.code === 'policy_too_large') return 'large';
    throw error;
  }
}

function randomRegex(random: Random, depth: number): string {
  const roll = random();
  if (depth === 0 || roll < 0.4) return pick(ATOMS, random);
  const inner = (): string => randomRegex(random, depth - 1);
  if (roll < 0.65) return inner() + inner();
  if (roll < 0.8) return `(${inner()}|${inner()})`;
  return `(?:${inner()})${pick(QUANTIFIERS, random)}`;
}

function pick(items: readonly string[], random: Random): string {
  return items[Math.floor(random() * items.length)] ?? '';
}

const QUANTIFIERS = ['*', '+', '?', '{2}', '{0,2}', '{1,}', '*?', '{2,3}', '{3,1}', '**'];
const ATOMS = [
  'a',
  'b',
  'k',
  'K',
  'é',
  '.',
  '\\d',
  '\\w',
  '\\s',
  '[a-c]',
  '[^a]',
  '[^\\d]',
  '(?i:k)',
  '(?i)s',
  '[[:alpha:]]',
  '[[:^digit:]]',
  '\\x61',
  '\\x{e9}',
  '\\.',
  '[a\\-b]',
  '\\pL',
  '\\p{Greek}',
  '^',
  '$',
  '\\b',
  '\\B',
  '\\A',
  '\\z',
  '(?m)^',
  '(?m:$)',
  '\\n',
  '(?s:.)',
  '',
  '日',
  '[α-ω]',
  '[一-龥]',
  '(?i)σ',
  '\\Qa.b\\E',
  '(?i)[k-s]',
  '(?i)[^k]',
  '\\PL',
  '[\\w-]',
  '_',
  '-',
  '\\1',
  '(?=a)',
  '\\C',
  '[z-a]',
];
const CHARACTERS = [
  'a',
  'b',
  'c',
  'k',
  'K',
  '\u212a',
  's',
  'ſ',
  'S',
  'é',
  'É',
  '日',
  'α',
  'ς',
  'Σ',
  'σ',
  '1',
  '_',
  '-',
  '.',
  ' ',
  '\n',
  '\t',
  '\u{1f600}',
];
