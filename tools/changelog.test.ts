import { expect, test } from 'vitest';

import { addRelease, findFragmentFaults } from './changelog.ts';

test.each([
  ['lets pass a sentence', 'first-request.added.md', 'One request.\n', []],
  ['tells of an unknown kind', 'first-request.new.md', 'x', [expect.stringContaining('ends in none of .security.md')]],
  ['tells of a name without a kind', 'first.md', 'x', [expect.stringContaining('ends in none of')]],
  ['tells of an empty one', 'a.fixed.md', ' \n', ['changes/a.fixed.md: it says nothing']],
  ['tells of a list', 'a.fixed.md', '- x\n', ['changes/a.fixed.md: plain sentences are wanted, no heading or list']],
])('findFragmentFaults() %s', (_what, name, text, faults) => {
  expect(findFragmentFaults([{ name, text }])).toStrictEqual(faults);
});

test('addRelease() puts a version with its sections before the earlier ones', () => {
  const fragments = [
    { name: 'b.fixed.md', text: 'B is mended.\n' },
    { name: 'a.security.md', text: 'A is refused,\nat last.\n' },
  ];
  const first = addRelease('# Changes\n\nOf each release.\n', '0.1.0', '2026-11-24', fragments);
  expect(first).toBe(
    '# Changes\n\nOf each release.\n\n## 0.1.0 - 2026-11-24\n\n### Security\n\n- A is refused,\n  at last.\n\n### Fixed\n\n- B is mended.\n',
  );
  const second = addRelease(first, '0.2.0', '2026-12-01', [{ name: 'c.added.md', text: 'C.' }]);
  expect(second.indexOf('## 0.2.0')).toBeLessThan(second.indexOf('## 0.1.0'));
  expect(second).toContain('- C.\n\n## 0.1.0');
});
