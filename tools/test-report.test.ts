import { expect, test } from 'vitest';

import { closingLine, countReport, readTestReport } from './test-report.ts';

const file = (status: string, ...statuses: readonly string[]) => ({
  status,
  assertionResults: statuses.map((each) => ({ status: each })),
});

test.each([
  [
    'counts tests',
    { success: true, testResults: [file('passed', 'passed', 'passed', 'skipped'), file('passed', 'passed', 'todo')] },
    '3 passed, 0 failed, 2 skipped',
  ],
  [
    'counts failures',
    { success: false, testResults: [file('failed', 'passed', 'failed', 'failed')] },
    '1 passed, 2 failed, 0 skipped',
  ],
  [
    'counts a file that could not be loaded',
    { success: false, testResults: [file('failed'), file('passed', 'passed')] },
    '1 passed, 1 failed, 0 skipped',
  ],
  [
    'counts a file that is skipped as a whole',
    { success: true, testResults: [file('passed'), file('passed', 'passed')] },
    '1 passed, 0 failed, 1 skipped',
  ],
  [
    'counts a file whose set-up failed',
    { success: false, testResults: [file('failed', 'skipped')] },
    '0 passed, 1 failed, 1 skipped',
  ],
  [
    'counts an error outside of the tests',
    { success: false, testResults: [file('passed', 'passed')] },
    '1 passed, 1 failed, 0 skipped',
  ],
  ['takes no report for a failure', {}, '0 passed, 1 failed, 0 skipped'],
])('countReport() %s', (_what, report, line) => {
  expect(closingLine(countReport(report))).toBe(line);
});

test('readTestReport() takes a missing file for a failure', () => {
  expect(readTestReport('/nowhere/vitest.json').failed).toBe(1);
});
