import { describe, expect, test } from 'vitest';

import { seededRandom } from '#authz/engine/samples.ts';
import { CompileBudget } from '#authz/plan/budget.ts';
import { buildByteAutomata, buildJointAutomaton } from '#authz/plan/byte-automaton.ts';
import { parseRegex } from '#authz/plan/regex/parse.ts';

import { regexFailures, runAutomaton } from './regexes.ts';

const SEED = Number(process.env['POSTERN_SEED'] ?? Date.now() % 1_000_000_000);

test(`automata match what RE2 matches, seed ${SEED}`, { timeout: 60_000 }, () => {
  expect(regexFailures(500, seededRandom(SEED))).toEqual([]);
});

describe('a regular expression', () => {
  test('that would make others run for ever takes one step a byte', () => {
    const [automaton] = buildByteAutomata([{ id: 0, pattern: parseRegex('(a+)+(b|c*)*') }], new CompileBudget());
    expect(automaton?.accepts.length).toBeLessThan(20);
    expect(automaton !== undefined && runAutomaton(automaton, `${'a'.repeat(50_000)}!`)).toBe(false);
    expect(automaton !== undefined && runAutomaton(automaton, 'a'.repeat(50_000))).toBe(true);
  });

  test('that needs too many states is refused by code', () => {
    const large = [{ id: 0, pattern: parseRegex('(a|b)*a(a|b){16}') }];
    expect(buildJointAutomaton(large, new CompileBudget())).toBeNull();
    expect(() => buildByteAutomata(large, new CompileBudget())).toThrow(expect.objectContaining({ code: 'policy_too_large' }));
  });

  test('is compiled apart from others that would multiply with it', () => {
    const patterns = Array.from({ length: 12 }, (_, id) => ({ id, pattern: parseRegex(`.*x${id}y.*z${id}.*`) }));
    const automata = buildByteAutomata(patterns, new CompileBudget());
    expect(automata.length).toBeGreaterThan(1);
    expect(automata.filter((automaton) => runAutomaton(automaton, 'a x3y b z3 c'))).toHaveLength(1);
  });

  test('that takes more work than a policy may is refused by code', () => {
    expect(() =>
      buildByteAutomata([{ id: 0, pattern: parseRegex('((\\pL{2,3})*){2,3}é') }], new CompileBudget(1_000_000)),
    ).toThrow(expect.objectContaining({ code: 'policy_too_large' }));
  });
});
