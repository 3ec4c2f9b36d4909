/**
 * The module against the interpreter on random policies and requests: they share the documents' model and nothing else.
 * `POSTERN_PAIRS` sets how many pairs are tried, `POSTERN_SEED` which.
 */
import { describe, expect, test } from 'vitest';

import { loadEngine } from '#authz/engine/load.ts';
import { interpret } from '#authz/engine/interpreter.ts';
import { SampleMaker, seededRandom } from '#authz/engine/samples.ts';
import type { Random } from '#authz/engine/samples.ts';
import { decideOnce, differenceOf } from '#authz/engine/self-test.ts';
import { compilePolicies, policiesOf } from '#authz/plan/compile.ts';
import type { Policy } from '#authz/policy/model.ts';

import { adversarialPolicies } from './adversarial.ts';
import { COMPILE_OPTIONS, WORKLOAD, realisticPolicies } from './realistic.ts';

const PAIRS = Number(process.env['POSTERN_PAIRS'] ?? 20_000);
const SEED = Number(process.env['POSTERN_SEED'] ?? Date.now() % 1_000_000_000);

describe(`module = interpreter, seed ${SEED}`, () => {
  test('on policies as a mesh has them', { timeout: 600_000 }, () => {
    const random = seededRandom(SEED);
    const tally = compare(PAIRS / 2, PAIRS / 20, () => realisticPolicies(1 + Math.floor(random() * 60), random), random);
    expect(tally.differences).toEqual([]);
    expect(tally.allowed / tally.pairs).toBeGreaterThan(0.3);
    expect(tally.allowed / tally.pairs).toBeLessThan(0.7);
  });

  test('on policies made to find faults', { timeout: 600_000 }, () => {
    const random = seededRandom(SEED + 1);
    const tally = compare(PAIRS / 2, PAIRS / 50, () => adversarialPolicies(random), random);
    expect(tally.differences).toEqual([]);
    expect(tally.allowed / tally.pairs).toBeGreaterThan(0.3);
    expect(tally.allowed / tally.pairs).toBeLessThan(0.7);
  });
});

interface Tally {
  pairs: number;
  allowed: number;
  readonly differences: string[];
}

/** `pairs` requests over `sets` policy sets. */
function compare(pairs: number, sets: number, make: () => readonly Policy[], random: Random): Tally {
  const tally: Tally = { pairs: 0, allowed: 0, differences: [] };
  const perSet = Math.max(1, Math.round(pairs / sets));
  const options = { ...COMPILE_OPTIONS, trustDomainAliases: ['alias.test'] };
  while (tally.pairs < pairs && tally.differences.length < 5) {
    const policies = make();
    const whenNoneSelects = random() < 0.5 ? 'allow' : 'deny';
    const compiled = compilePolicies(policies, WORKLOAD, options);
    const engine = loadEngine(compiled, { whenNoneSelects });
    const set = policiesOf(policies, WORKLOAD, options);
    const maker = new SampleMaker(set, random);
    for (let index = 0; index < perSet; index++) {
      const input = maker.next();
      const wanted = interpret(set, input, { revision: compiled.revision, whenNoneSelects });
      const got = decideOnce(engine, input);
      tally.pairs++;
      if (wanted.effect === 'allow') tally.allowed++;
      const difference = differenceOf(got, wanted);
      if (difference !== null) {
        const { request } = input;
        const headers =
          request === null ? null : Object.fromEntries(compiled.headerNames.map((name) => [name, request.fields.values(name)]));
        tally.differences.push(JSON.stringify({ difference, input, headers, policies }, withoutEmpty).slice(0, 4000));
      }
    }
  }
  return tally;
}

function withoutEmpty(key: string, value: unknown): unknown {
  return key === 'position' || (Array.isArray(value) && value.length === 0) ? undefined : value;
}
