/**
 * The change log by fragments: each change brings a file `changes/NAME.KIND.md`, a release gathers them into CHANGELOG.md, so that
 * two changes never meet in one line.
 *
 *     node tools/changelog.ts --check              tells of fragments that are not well formed
 *     node tools/changelog.ts 0.2.0 2026-12-01     gathers them under a new version and takes them away
 */
import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

export interface Fragment {
  /** Name of its file. */
  readonly name: string;
  readonly text: string;
}

/** In the order of a release's sections. */
export const KINDS = ['security', 'added', 'changed', 'fixed', 'removed'] as const;

export function findFragmentFaults(fragments: readonly Fragment[]): readonly string[] {
  return fragments.flatMap(({ name, text }) => {
    if (kindOf(name) === null)
      return [`changes/${name}: the name ends in none of ${KINDS.map((kind) => `.${kind}.md`).join(', ')}`];
    if (text.trim() === '') return [`changes/${name}: it says nothing`];
    return /^[#*-]/m.test(text) ? [`changes/${name}: plain sentences are wanted, no heading or list`] : [];
  });
}

/** The change log with a section for the version in front of the earlier ones. */
export function addRelease(changelog: string, version: string, date: string, fragments: readonly Fragment[]): string {
  const sections = KINDS.flatMap((kind) => {
    const items = fragments
      .filter(({ name }) => kindOf(name) === kind)
      .map(({ text }) => `- ${text.trim().replaceAll('\n', '\n  ')}`);
    return items.length === 0 ? [] : [`### ${kind[0]?.toUpperCase()}${kind.slice(1)}\n\n${items.join('\n')}\n`];
  });
  const release = `## ${version} - ${date}\n\n${sections.join('\n')}`;
  const before = changelog.search(/^## /m);
  if (before === -1) return `${changelog.trimEnd()}\n\n${release}`;
  return `${changelog.slice(0, before)}${release}\n${changelog.slice(before)}`;
}

function kindOf(name: string): string | null {
  const kind = /^[a-z0-9-]+\.([a-z]+)\.md$/.exec(name)?.[1];
  return KINDS.find((known) => known === kind) ?? null;
}

function main(root: string, args: readonly string[]): number {
  const files = globSync('changes/*.md', { cwd: root }).filter((file) => basename(file) !== 'README.md');
  const fragments = files.toSorted().map((file) => ({ name: basename(file), text: readFileSync(join(root, file), 'utf8') }));
  const faults = findFragmentFaults(fragments);
  for (const fault of faults) console.log(fault);
  if (faults.length > 0) return 1;
  if (args[0] === '--check') return 0;

  const [version, date] = args;
  if (version === undefined || date === undefined) {
    console.error('Cannot gather the changes: a version and a date are wanted, as in 0.2.0 2026-12-01');
    return 64;
  }
  const changelog = join(root, 'CHANGELOG.md');
  writeFileSync(changelog, addRelease(readFileSync(changelog, 'utf8'), version, date, fragments));
  for (const file of files) rmSync(join(root, file));
  return 0;
}

if (import.meta.main) process.exitCode = main(join(import.meta.dirname, '..'), process.argv.slice(2));
