import { expect, test } from 'vitest';
import { newRequestId } from './request-id.ts';

test('newRequestId() makes random UUIDs of version 4, never the same twice', () => {
  const made = new Set<string>();
  for (let i = 0; i < 2_000; i++) made.add(newRequestId());
  expect(made.size).toBe(2_000);
  for (const id of made) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
