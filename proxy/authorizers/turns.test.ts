import { expect, test } from 'vitest';

import { Turns } from './turns.ts';

test('Turns bound those who ask and those who gather by themselves', () => {
  const turns = new Turns(2);
  const gathering = [turns.take(true), turns.take(true)];
  expect(turns.take(true)).toBeNull();
  const [asking, another] = [turns.take(false), turns.take(false)];
  expect([turns.asking, turns.take(false)]).toEqual([2, null]);
  expect(gathering[0]?.asks()).toBe(false);
  expect(turns.take(true)).not.toBeNull();
  asking?.end();
  asking?.end();
  expect(turns.asking).toBe(1);
  expect(gathering[1]?.asks()).toBe(true);
  expect(turns.asking).toBe(2);
  gathering[1]?.end();
  another?.end();
  expect(turns.asking).toBe(0);
});
