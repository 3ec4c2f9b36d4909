/**
 * Proofs under fire: sets made to find faults, one rule left out. Where nothing is said to change, random requests must be decided
 * alike; where a request is told, the interpreter has judged it already. `POSTERN_SETS` sets how many, `POSTERN_SEED` which.
 */
import { isIP } from 'node:net';

import { expect, test } from 'vitest';

import { findDifference } from '#authz/analyse/difference.ts';
import { mutated, mutationsOf } from '#authz/analyse/mutations.ts';
import { interpret } from '#authz/engine/interpreter.ts';
import type { AuthzInput } from '#authz/engine/input.ts';
import { SampleMaker, seededRandom } from '#authz/engine/samples.ts';

import { adversarialSet } from '../policy/adversarial-sets.ts';

const SETS = Number(process.env['POSTERN_SETS'] ?? 60);
const SEED = Number(process.env['POSTERN_SEED'] ?? Date.now() % 1_000_000_000);
const REQUESTS = 300;
const JUDGED = { revision: '', whenNoneSelects: 'deny' } as const;

test(`findDifference() proves nothing wrong about ${SETS} sets made to find faults, seed ${SEED}`, { timeout: 300_000 }, () => {
  const random = seededRandom(SEED);
  const counts = { equal: 0, different: 0, undecided: 0 };
  for (let index = 0; index < SETS; index++) {
    const before = adversarialSet(random);
    const mutations = mutationsOf(before.policies, before.namespace);
    const mutation = mutations[Math.floor(random() * mutations.length)];
    const after = mutation === undefined ? before : (mutated(before, mutation) ?? before);
    const { result } = findDifference(before, after, { whenNoneSelects: 'deny', limit: 1, budget: 300_000 });
    counts[result]++;
    if (result !== 'equal') continue;
    const samples = new SampleMaker(before, random);
    for (let turn = 0; turn < REQUESTS; turn++) {
      const input = samples.next();
      if (!isPossible(input)) continue;
      const [one, other] = [before, after].map((set) => interpret(set, input, JUDGED).effect);
      expect({ index, mutation, input, effect: other }).toEqual({ index, mutation, input, effect: one });
    }
  }
  process.stdout.write(`${JSON.stringify(counts)}\n`);
  expect(Math.min(counts.equal, counts.different)).toBeGreaterThan(SETS / 20);
});

/** Samples are made to find faults of engines: some are requests that no listener hands on. */
function isPossible({ connection, request }: AuthzInput): boolean {
  const { destinationIp, principal, remoteIp, sourceIp, tags = [], tls } = connection;
  if ([sourceIp, remoteIp, destinationIp].some((address) => isIP(address) === 0)) return false;
  if (principal !== null && !/^spiffe:\/\/[a-z0-9._-]+(?:\/[a-zA-Z0-9._-]+)+$/.test(principal)) return false;
  // Plaintext proves no identity.
  if (!tls && (principal !== null || tags.length > 0)) return false;
  if (!/^[!"$-~]*$/.test(request?.query ?? '')) return false;
  return request === null || (/^\/[^ ?#]*$/.test(request.path) && /^[!-~]+$/.test(request.method));
}
