/**
 * Every case of `cases/` on every engine. An engine may be unable to express a group; the interpreter never is. `POSTERN_CASES`
 * names files to try alone.
 */
import { afterAll, describe, expect, test } from 'vitest';

import { readCaseFiles } from './case-files.ts';
import type { CaseGroup } from './case-files.ts';
import { ENGINES } from './engines.ts';

const only = process.env['POSTERN_CASES'];
const groups = readCaseFiles().filter(({ file }) => only === undefined || file.includes(only));
const passedOver = new Map<string, string[]>();

describe.each(ENGINES)('$name', ({ isTerse = false, load, name }) => {
  describe.each([...Map.groupBy(groups, ({ file }) => file)])('%s', (_file, ofFile) => {
    test.each(ofFile.map((group) => ({ about: group.about, group })))('$about', ({ group }) => {
      const decide = load(group.set, { revision: 'test', whenNoneSelects: group.whenNoneSelects });
      if (decide === null) {
        expect(name).not.toBe('interpreter');
        passedOver.set(name, [...(passedOver.get(name) ?? []), `${group.file}: ${group.about}`]);
        return;
      }
      for (const { name: asked, question, want } of group.cases) {
        if (question.refusal !== null) {
          const refused = { asked, effect: 'deny', code: question.refusal, policy: null, rule: null, audited: [], shadow: [] };
          expect(refused).toMatchObject({ asked, ...want });
          continue;
        }
        const made = decide(question.input);
        if (made === null) continue;
        const { audited = [], code, effect, policy, rule, shadow = [] } = made;
        const answer = isTerse && effect === 'allow' ? { asked, effect } : { asked, effect, code, policy, rule, audited, shadow };
        const wanted = isTerse && effect === 'allow' ? { effect: want['effect'] } : want;
        expect(answer).toMatchObject({ asked, ...wanted });
      }
    });
  });
});

test('the suite is as large as it says, of every topic, and of both answers', () => {
  const cases = groups.flatMap((group) => group.cases);
  const allowed = cases.filter(({ want }) => want['effect'] === 'allow').length;
  if (only !== undefined) return;
  expect(cases.length).toBeGreaterThanOrEqual(600);
  expect(allowed / cases.length).toBeGreaterThan(0.3);
  expect(allowed / cases.length).toBeLessThan(0.7);
  expect(groups.filter(isOfOneAnswer).map(({ about, file }) => `${file}: ${about}`)).toEqual([]);
});

afterAll(() => {
  for (const [name, left] of passedOver) console.warn(`${name} cannot express ${left.length} groups:\n${left.join('\n')}`);
});

/** A group whose answers are all alike shows little, unless it says why by `code`. */
function isOfOneAnswer({ cases }: CaseGroup): boolean {
  const effects = new Set(cases.map(({ want }) => want['effect']));
  return effects.size < 2 && !cases.every(({ want }) => want['code'] !== undefined);
}
