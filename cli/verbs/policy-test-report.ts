/** Reports of `policy test`: for people, and as JUnit's XML, which CI systems read. */
import type { Mutation } from '#authz/analyse/mutations.ts';

import { table } from '../table.ts';
import type { PolicyCase } from './policy-cases.ts';

export interface CaseResult extends PolicyCase {
  readonly ok: boolean;
  readonly decision: 'allow' | 'deny';
  readonly code: string;
  /** `namespace/name#rule` that decided, or null. */
  readonly decidedBy: string | null;
}

export interface TestReport {
  readonly cases: readonly CaseResult[];
  readonly passed: number;
  readonly failed: number;
  /** Null when no faults were planted: not asked for, or cases fail as it is. */
  readonly mutations: {
    readonly planted: number;
    readonly noticed: number;
    readonly scorePercent: number;
    readonly survivors: readonly Mutation[];
  } | null;
}

export function testTable({ cases, failed, mutations, passed }: TestReport): string {
  const failures = cases.filter(({ ok }) => !ok);
  const rows = failures.map((one) => [`${one.file}:${one.line}`, one.name, wanted(one), got(one)]);
  const lines = [
    failures.length === 0 ? '' : table(['WHERE', 'CASE', 'WANTED', 'GOT'], rows),
    `${passed} passed, ${failed} failed\n`,
  ];
  if (mutations !== null) {
    const { noticed, planted, scorePercent, survivors } = mutations;
    lines.push(`mutation score ${scorePercent} % (${noticed} of ${planted} planted faults are noticed)\n`);
    const left = survivors.map(({ kind, policy, position, rule }) => [
      `${position.file}:${position.line}`,
      `${policy}#${rule}`,
      kind,
    ]);
    if (left.length > 0) lines.push(table(['WHERE', 'NO CASE NOTICES', 'WHEN IT IS'], left));
  }
  return lines.join('');
}

export function junit({ cases, failed, mutations }: TestReport): string {
  const tests = cases.map((one) => {
    const open = `    <testcase classname="${escaped(one.file)}" name="${escaped(one.name)}" file="${escaped(one.file)}" line="${one.line}"`;
    if (one.ok) return `${open}/>`;
    return `${open}>\n      <failure message="${escaped(`wanted ${wanted(one)}, got ${got(one)}`)}"/>\n    </testcase>`;
  });
  const score =
    mutations === null
      ? []
      : ['    <properties>', `      <property name="mutationScore" value="${mutations.scorePercent}"/>`, '    </properties>'];
  const counts = `tests="${cases.length}" failures="${failed}" errors="0"`;
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts}>`,
    `  <testsuite name="policy test" ${counts}>`,
  ];
  return [...lines, ...score, ...tests, '  </testsuite>', '</testsuites>', ''].join('\n');
}

function wanted({ expect, rule }: CaseResult): string {
  return rule === null ? expect : `${expect} by ${rule}`;
}

function got({ code, decidedBy, decision }: CaseResult): string {
  return `${decision} (${decidedBy ?? code})`;
}

/** Characters that XML 1.0 cannot hold are left out. */
function escaped(text: string): string {
  return text
    .replace(/[^\t\n\r -\uFFFD]/gu, '')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('"', '&quot;');
}
