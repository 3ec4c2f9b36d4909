/** The data-driven suite without a test runner, on the interpreter: what planted faults are tried on. */
import { interpret } from '#authz/engine/interpreter.ts';

import { readCaseFiles } from './case-files.ts';

/** The first few failures in words, none when all is well. */
export function caseFailures(): readonly string[] {
  const failures: string[] = [];
  for (const { about, cases, file, set, whenNoneSelects } of readCaseFiles()) {
    for (const { name, question, want } of cases) {
      if (question.refusal !== null) continue;
      const made = interpret(set, question.input, { revision: '', whenNoneSelects });
      const answer: Readonly<Record<string, unknown>> = { audited: [], shadow: [], ...made };
      if (!holds(answer, want)) failures.push(`${file}: ${about}: ${name}: ${JSON.stringify(answer)}`);
    }
  }
  return failures.slice(0, 5);
}

/** Whether everything wanted is there; members that are not named may be anything. */
function holds(found: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null) return found === wanted;
  if (typeof found !== 'object' || found === null) return false;
  if (Array.isArray(wanted) !== Array.isArray(found)) return false;
  const [left, right] = [Object.entries(wanted), new Map<string, unknown>(Object.entries(found))];
  if (Array.isArray(wanted) && left.length !== right.size) return false;
  return left.every(([key, value]) => holds(right.get(key), value));
}
