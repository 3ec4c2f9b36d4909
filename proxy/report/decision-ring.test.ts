import { expect, test } from 'vitest';
import { denyAll } from '#authz/engine/decisions.ts';
import { DecisionRing, type RecordedDecision } from './decision-ring.ts';

const engine = denyAll('policy_missing');

function entry(id: string, model: Uint8Array | null = null): RecordedDecision {
  const connection = {
    principal: null,
    sourceIp: '127.0.0.1',
    remoteIp: '127.0.0.1',
    destinationIp: '127.0.0.1',
    destinationPort: 80,
    sni: null,
    tls: false,
    protocol: 'http',
  } as const;
  const decision = engine.decideConnection(engine.classify(connection));
  return { id, atMs: 0, decision, reason: 'denied_by_policy', input: { connection, request: null }, headers: [], model };
}

test('DecisionRing keeps the newest, oldest first, and finds them by id', () => {
  const ring = new DecisionRing(3);
  for (const id of ['a', 'b', 'c', 'd']) ring.add(entry(id));
  expect(ring.recent().map(({ id }) => id)).toEqual(['b', 'c', 'd']);
  expect([ring.find('a'), ring.find('d')?.id]).toEqual([null, 'd']);
});

test('DecisionRing keeps the models of eight revisions', () => {
  const ring = new DecisionRing(100);
  const models = Array.from({ length: 12 }, (_, index) => Uint8Array.of(index));
  for (const [index, model] of models.entries()) {
    ring.add(entry(`${index}a`, model));
    ring.add(entry(`${index}b`, model));
  }
  expect(ring.recent().map(({ model }) => model?.[0] ?? null)).toEqual(
    models.flatMap((_, index) => (index < 4 ? [null, null] : [index, index])),
  );
});
