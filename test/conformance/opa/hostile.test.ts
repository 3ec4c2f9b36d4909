/**
 * Policies and inputs that are out to harm: each ends as a denial with its code, within its time, and the next question is
 * answered as if nothing had been. Policies are built by the real OPA.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { seededRandom } from '#authz/engine/samples.ts';
import { readBundle } from '#authz/opa/bundle/bundle.ts';
import type { Bundle } from '#authz/opa/bundle/bundle.ts';
import { OpaEvaluator } from '#authz/opa/evaluator.ts';
import { toJson } from '#authz/opa/json.ts';
import { DEFAULT_BUNDLE_LIMITS, DEFAULT_OPA_LIMITS } from '#authz/opa/limits.ts';
import type { OpaLimits } from '#authz/opa/limits.ts';
import { loadProgram, policyOf } from '#authz/opa/load.ts';
import { PosternError } from '#base/error.ts';
import { peer } from '#test/support/peers.ts';

import { opaBuild } from './opa.ts';

const WORKER = new URL('../../../authz/opa/worker.ts', import.meta.url);
const SEED = Number(process.env['POSTERN_SEED'] ?? Date.now() % 1_000_000_000);
const NOW = 1_767_225_600_000_000_000n;

const POLICY = `package hostile

default allow := false

allow if input.do == "allow"

allow if {
	input.do == "loop"
	some a in numbers.range(1, 1000)
	some b in numbers.range(1, 1000)
	some c in numbers.range(1, 1000)
	a + b + c == 7000
}

allow if {
	input.do == "memory"
	xs := [x | some a in numbers.range(1, 2000); some b in numbers.range(1, 2000); x := sprintf("%d-%d", [a, b])]
	count(xs) == 0
}

allow if {
	input.do == "string"
	count(replace(replace(replace(input.text, "a", input.text), "a", input.text), "a", input.text)) == 0
}

allow if {
	input.do == "expand"
	count(net.cidr_expand("10.0.0.0/8")) == 1
}

allow if {
	input.do == "range"
	count(numbers.range(0, 1000000000000)) == 1
}

allow if {
	input.do == "regex"
	regex.match("^(a+)+$", input.text)
}

allow := "text" if input.do == "conflict"

allow := 7 if input.do == "conflict"
`;

describe.skipIf(peer('opa') === null)(`hostile policies and inputs, seed ${SEED}`, () => {
  const root = mkdtempSync(join(tmpdir(), 'postern-hostile-'));
  const bundles = new Map<string, Bundle>();

  beforeAll(() => {
    const folder = join(root, 'bundle');
    mkdirSync(folder);
    writeFileSync(join(folder, 'hostile.rego'), POLICY);
    for (const target of ['wasm', 'plan'] as const) {
      const archive = opaBuild(folder, target, ['hostile/allow']);
      bundles.set(target, readBundle(archive, { limits: DEFAULT_BUNDLE_LIMITS, verification: 'unsigned', nowSeconds: 0 }));
    }
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  const cases = [
    { why: 'a loop without an end in sight', input: { do: 'loop' }, codes: ['opa_fuel'] },
    { why: 'a list of four million texts', input: { do: 'memory' }, codes: ['opa_memory', 'opa_fuel'] },
    { why: 'a text that grows by itself', input: { do: 'string', text: 'a'.repeat(3000) }, codes: ['opa_memory', 'opa_fuel'] },
    { why: 'sixteen million addresses', input: { do: 'expand' }, codes: ['opa_memory', 'opa_fuel'] },
    { why: 'a range of a million million', input: { do: 'range' }, codes: ['opa_memory', 'opa_fuel'] },
    { why: 'two results', input: { do: 'conflict' }, codes: ['opa_conflict'] },
  ];

  for (const target of ['wasm', 'plan'] as const) {
    test.each(cases)(`${target}: $why is a denial`, ({ codes, input }) => {
      const program = loadProgram(bundle(bundles, target), DEFAULT_OPA_LIMITS);
      const begun = performance.now();
      const outcome = program.evaluate('hostile/allow', JSON.stringify(input), NOW);
      expect(performance.now() - begun).toBeLessThan(3_000);
      expect(outcome.ok ? toJson(outcome.value) : codes.includes(outcome.code) || outcome).toBe(true);
      expect(program.evaluate('hostile/allow', '{"do":"allow"}', NOW)).toEqual({ ok: true, value: true });
    });

    test.each([
      { why: 'text that is no JSON', input: '{"do":"allow"', code: 'opa_input_invalid' },
      { why: 'nothing', input: '', code: 'opa_input_invalid' },
      { why: 'a key twice', input: '{"do":"deny","do":"allow"}', code: 'opa_input_invalid' },
      { why: 'a number beyond all bounds', input: '{"do":1e99999}', code: 'opa_input_invalid' },
      { why: 'single quotes', input: "{'do':'allow'}", code: 'opa_input_invalid' },
      { why: '100,000 lists in one another', input: `${'['.repeat(100_000)}${']'.repeat(100_000)}`, code: 'opa_input_too_deep' },
      { why: '100,000 objects in one another', input: '{"a":'.repeat(100_000), code: 'opa_input_too_deep' },
      { why: 'two megabytes', input: JSON.stringify('x'.repeat(2_000_000)), code: 'opa_input_too_large' },
    ])(`${target}: an input of $why is a denial`, ({ code, input }) => {
      const program = loadProgram(bundle(bundles, target), DEFAULT_OPA_LIMITS);
      const begun = performance.now();
      expect(program.evaluate('hostile/allow', input, NOW)).toMatchObject({ ok: false, code });
      expect(performance.now() - begun).toBeLessThan(100);
    });

    test(`${target}: a pattern that backtracks elsewhere takes no time here`, () => {
      const program = loadProgram(bundle(bundles, target), DEFAULT_OPA_LIMITS);
      const begun = performance.now();
      const input = JSON.stringify({ do: 'regex', text: `${'a'.repeat(5_000)}!` });
      expect(program.evaluate('hostile/allow', input, NOW)).toEqual({ ok: true, value: false });
      expect(performance.now() - begun).toBeLessThan(500);
    });
  }

  test('an entry point that is not there is a denial', () => {
    const program = loadProgram(bundle(bundles, 'plan'), DEFAULT_OPA_LIMITS);
    expect(program.evaluate('hostile/other', '{}', NOW)).toMatchObject({ ok: false, code: 'opa_undefined' });
  });

  test.each(['wasm', 'plan'])('%s: a policy with changed bytes is refused, or answers or denies; it throws nothing', (target) => {
    const { data, policy } = bundle(bundles, target);
    const random = seededRandom(SEED);
    const outcomes = { refused: 0, answered: 0 };
    for (let round = 0; round < 150; round++) {
      const bytes = Buffer.from(policy.bytes);
      for (let change = Math.floor(random() * 4); change >= 0; change--) {
        const at = Math.floor(random() * bytes.length);
        // A digit stays a digit: most other changes of a plan only make it no JSON.
        const isDigit = target === 'plan' && (bytes[at] ?? 0) >= 0x30 && (bytes[at] ?? 0) <= 0x39;
        bytes[at] = isDigit
          ? 0x30 + Math.floor(random() * 10)
          : target === 'plan'
            ? (bytes[at] ?? 0)
            : Math.floor(random() * 256);
      }
      try {
        const program = loadProgram({ policy: { kind: policy.kind, bytes }, data }, { ...DEFAULT_OPA_LIMITS, fuel: 50_000_000 });
        for (const input of ['{"do":"allow"}', '{"do":"memory"}', '{"do":"regex","text":"aaa"}']) {
          expect(program.evaluate('hostile/allow', input, NOW)).toHaveProperty('ok');
        }
        outcomes.answered++;
      } catch (error) {
        expect(error).toBeInstanceOf(PosternError);
        outcomes.refused++;
      }
    }
    expect(outcomes.refused + outcomes.answered).toBe(150);
    expect(outcomes.answered).toBeGreaterThan(0);
  });

  describe('in the worker', () => {
    const evaluatorOf = (limits: Partial<OpaLimits>, target = 'wasm'): OpaEvaluator => {
      return new OpaEvaluator(policyOf(bundle(bundles, target)), {
        limits: { ...DEFAULT_OPA_LIMITS, deadlineMs: 5_000, ...limits },
        workerModule: WORKER,
      });
    };
    const ask = async (evaluator: OpaEvaluator, input: object): Promise<unknown> => {
      const answer = await evaluator.decide('hostile/allow', JSON.stringify(input), NOW);
      return answer.ok ? answer.json : answer.code;
    };

    test.each(['wasm', 'plan'])(
      '%s: a question out of time is denied, the worker replaced, those behind it answered',
      async (target) => {
        // As much as a module's counter holds takes it some 100 ms; a plan's can be set to take minutes.
        const bounds = target === 'wasm' ? { fuel: 2 ** 31 - 1, deadlineMs: 40 } : { fuel: 1e13, deadlineMs: 300 };
        const evaluator = evaluatorOf(bounds, target);
        while ((await ask(evaluator, { do: 'allow' })) !== 'true') await new Promise((wake) => setTimeout(wake, 50));
        const before = evaluator.counts().replaced;
        const begun = performance.now();
        const stuck = ask(evaluator, { do: 'loop' });
        const behind = Array.from({ length: 5 }, () => ask(evaluator, { do: 'allow' }));
        const end = await stuck;
        // On a busy machine the fuel may be used up before the clock is looked at; both are denials in time.
        expect(target === 'wasm' ? ['opa_timeout', 'opa_fuel'] : ['opa_timeout']).toContain(end);
        expect(performance.now() - begun).toBeLessThan(1_500);
        const answers = await Promise.all(behind);
        expect(answers.every((answer) => answer === 'true' || answer === 'opa_timeout')).toBe(true);
        expect(evaluator.counts().replaced).toBe(before + (end === 'opa_timeout' ? 1 : 0));
        let last: unknown = null;
        for (let tries = 0; tries < 100 && last !== 'true'; tries++) {
          last = await ask(evaluator, { do: 'allow' });
          await new Promise((wake) => setTimeout(wake, 50));
        }
        expect(last).toBe('true');
        await evaluator.close();
      },
    );

    test('more questions than may wait are denied at once', async () => {
      const evaluator = evaluatorOf({ queue: 10 });
      const answers = await Promise.all(Array.from({ length: 30 }, () => ask(evaluator, { do: 'allow' })));
      expect(answers.filter((answer) => answer === 'true')).toHaveLength(10);
      expect(answers.filter((answer) => answer === 'opa_overloaded')).toHaveLength(20);
      expect(evaluator.counts()).toMatchObject({ waiting: 0, overloaded: 20 });
      await evaluator.close();
    });

    test('a policy that cannot be loaded denies everything', async () => {
      const options = { limits: { ...DEFAULT_OPA_LIMITS, deadlineMs: 5_000 }, workerModule: WORKER };
      const evaluator = new OpaEvaluator({ kind: 'wasm', bytes: new Uint8Array(8), data: '{}' }, options);
      expect(await ask(evaluator, { do: 'allow' })).toBe('opa_unavailable');
      expect(await ask(evaluator, { do: 'allow' })).toBe('opa_unavailable');
      await evaluator.close();
    });

    test('what waits when it is closed is denied', async () => {
      const evaluator = evaluatorOf({});
      const waiting = ask(evaluator, { do: 'allow' });
      await evaluator.close();
      expect(await waiting).toBe('opa_unavailable');
      expect(await ask(evaluator, { do: 'allow' })).toBe('opa_unavailable');
    });
  });
});

function bundle(bundles: ReadonlyMap<string, Bundle>, target: string): Bundle {
  const found = bundles.get(target);
  if (found === undefined) throw new Error(`Cannot find the bundle of kind ${target}`);
  return found;
}
