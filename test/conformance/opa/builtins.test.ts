/** Builtins one by one: OPA, a module that it built, and a plan that we run. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { readBundle } from '#authz/opa/bundle/bundle.ts';
import { toJson } from '#authz/opa/json.ts';
import { DEFAULT_BUNDLE_LIMITS, DEFAULT_OPA_LIMITS } from '#authz/opa/limits.ts';
import { loadProgram } from '#authz/opa/load.ts';
import { peer } from '#test/support/peers.ts';

import { EXPRESSIONS } from './builtins.cases.ts';
import { opaBuild, opaExec } from './opa.ts';

describe.skipIf(peer('opa') === null)('builtins', () => {
  const root = mkdtempSync(join(tmpdir(), 'postern-builtins-'));
  const input = { zero: 0, null: null, one: 1 };
  const results = new Map<string, Readonly<Record<string, unknown>>>();

  beforeAll(() => {
    const folder = join(root, 'bundle');
    mkdirSync(folder);
    const rules = EXPRESSIONS.map((expression, index) => `out["${index}"] := v if v := ${expression}`);
    writeFileSync(join(folder, 'p.rego'), `package p\n\n${rules.join('\n\n')}\n`);
    const [real] = opaExec(folder, 'p/out', [input], root);
    results.set('opa', valueOf(real));
    for (const target of ['wasm', 'plan'] as const) {
      const archive = opaBuild(folder, target, ['p/out']);
      const program = loadProgram(
        readBundle(archive, { limits: DEFAULT_BUNDLE_LIMITS, verification: 'unsigned', nowSeconds: 0 }),
        DEFAULT_OPA_LIMITS,
      );
      const outcome = program.evaluate('p/out', JSON.stringify(input), 0n);
      const value: unknown = outcome.ok ? JSON.parse(toJson(outcome.value)) : outcome.code;
      results.set(target, valueOf({ value }));
    }
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  test.each(EXPRESSIONS.map((expression, index) => ({ expression, index: String(index) })))(
    '$expression',
    ({ expression, index }) => {
      const wanted = results.get('opa')?.[index];
      expect(results.get('plan')?.[index]).toEqual(wanted);
      // What OPA compiles into a module is its own affair.
      if (!OPA_DIFFERS_FROM_ITSELF.has(expression)) expect(results.get('wasm')?.[index]).toEqual(wanted);
    },
  );
});

function valueOf(verdict: unknown): Readonly<Record<string, unknown>> {
  if (
    typeof verdict === 'object' &&
    verdict !== null &&
    'value' in verdict &&
    typeof verdict.value === 'object' &&
    verdict.value !== null
  ) {
    return Object.fromEntries(Object.entries(verdict.value));
  }
  throw new Error(`Cannot read the answer: found ${JSON.stringify(verdict)}`);
}

const OPA_DIFFERS_FROM_ITSELF: ReadonlySet<string> = new Set([
  'indexof("abc", "")',
  'concat(", ", {"b", "a"})',
  'glob.match("{a", [], "a")',
  'json.marshal({"b": [1, {2}], "a": "x"})',
]);
