/** Reads the report that vitest writes, and counts it in the one line that CI is judged by. */
import { readFileSync } from 'node:fs';

export interface TestCounts {
  readonly passed: number;
  /** Failed tests, and files that failed before any test of theirs ran. */
  readonly failed: number;
  readonly skipped: number;
}

/** The counts of a report in vitest's JSON format; a report that cannot be read is one failure. */
export function readTestReport(file: string): TestCounts {
  try {
    return countReport(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

export function countReport(report: unknown): TestCounts {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for (const file of listOf(report, 'testResults')) {
    let failedHere = 0;
    const results = listOf(file, 'assertionResults');
    // A suite that is skipped as a whole does not even name its tests.
    if (results.length === 0 && memberOf(file, 'status') !== 'failed') skipped++;
    for (const result of results) {
      const status = memberOf(result, 'status');
      if (status === 'passed') passed++;
      else if (status === 'failed') failedHere++;
      else skipped++;
    }
    failed += failedHere > 0 || memberOf(file, 'status') !== 'failed' ? failedHere : 1;
  }
  // An error outside of any test fails the run without failing a test.
  if (failed === 0 && memberOf(report, 'success') !== true) failed = 1;
  return { passed, failed, skipped };
}

export function closingLine({ passed, failed, skipped }: TestCounts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  // Any object may be asked for any member; what comes back is unknown.
  return (value as Record<string, unknown>)[name];
}

function listOf(value: unknown, name: string): readonly unknown[] {
  const list = memberOf(value, name);
  return Array.isArray(list) ? list : [];
}

if (import.meta.main) {
  // node tools/test-report.ts REPORT [FAILED STEPS]: the closing line of a CI run.
  const [file = '', failedSteps = '0'] = process.argv.slice(2);
  const counts = readTestReport(file);
  console.log(closingLine({ ...counts, failed: counts.failed + Number.parseInt(failedSteps, 10) }));
}
