/**
 * The corpus: every policy built by the real OPA as a module and as a plan, and each asked about the same inputs as OPA itself.
 * `POSTERN_OPA_INPUTS` sets how many inputs a policy is given (200 unless told; 40 in CI), `POSTERN_SEED` which.
 */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { seededRandom } from '#authz/engine/samples.ts';
import { readBundle } from '#authz/opa/bundle/bundle.ts';
import { DEFAULT_BUNDLE_LIMITS, DEFAULT_OPA_LIMITS } from '#authz/opa/limits.ts';
import { loadProgram } from '#authz/opa/load.ts';
import type { OpaProgram } from '#authz/opa/program.ts';
import { toJson } from '#authz/opa/json.ts';
import { peer } from '#test/support/peers.ts';

import { Draw, INPUTS } from './inputs.cases.ts';
import { layOut, opaBuild, opaExec, policyNames } from './opa.ts';
import type { Verdict } from './opa.ts';

const COUNT = Number(process.env['POSTERN_OPA_INPUTS'] ?? (process.env['CI'] === undefined ? 200 : 40));
const SEED = Number(process.env['POSTERN_SEED'] ?? Date.now() % 1_000_000_000);

describe.skipIf(peer('opa') === null)(`the corpus of policies, seed ${SEED}`, () => {
  const root = mkdtempSync(join(tmpdir(), 'postern-opa-'));
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwks = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'ES256' }] });
  const extra = { jwt_es256: { jwks, subjects: ['ann', 'bob'] } };
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  test('has at least 40 policies, each with inputs', () => {
    expect(policyNames().length).toBeGreaterThanOrEqual(40);
    expect(policyNames().filter((name) => INPUTS[name] === undefined)).toEqual([]);
  });

  test.each(policyNames())('%s: module and plan answer as OPA does', { timeout: 60_000 }, (name) => {
    const draw = new Draw(seededRandom(SEED), privateKey);
    const inputs = Array.from({ length: COUNT }, () => INPUTS[name]?.(draw));
    const folder = layOut(name, root, name === 'jwt_es256' ? extra.jwt_es256 : {});
    const wanted = opaExec(folder, 'policy/allow', inputs, join(root, name));
    // A policy that always says the same shows little.
    if (COUNT >= 200) expect(new Set(wanted.map((verdict) => JSON.stringify(verdict))).size).toBeGreaterThan(1);
    for (const target of ['wasm', 'plan'] as const) {
      const program = load(opaBuild(folder, target, ['policy/allow']));
      expect(program.kind).toBe(target);
      const differences = inputs.flatMap((input, index) => {
        const [got, want] = [ask(program, input), wanted[index]];
        return isSame(got, want) ? [] : [{ target, input, got, want }];
      });
      expect(differences.slice(0, 3)).toEqual([]);
    }
  });
});

function load(archive: Buffer): OpaProgram {
  const bundle = readBundle(archive, { limits: DEFAULT_BUNDLE_LIMITS, verification: 'unsigned', nowSeconds: 0 });
  return loadProgram(bundle, DEFAULT_OPA_LIMITS);
}

function ask(program: OpaProgram, input: unknown): Verdict | { readonly denial: string } {
  const outcome = program.evaluate('policy/allow', JSON.stringify(input), BigInt(Date.now()) * 1_000_000n);
  if (outcome.ok) return { value: JSON.parse(toJson(outcome.value)) };
  if (outcome.code === 'opa_undefined') return 'undefined';
  return outcome.code === 'opa_conflict' ? 'error' : { denial: `${outcome.code}: ${outcome.message}` };
}

/** Numbers may differ in what no double can tell. */
function isSame(left: unknown, right: unknown): boolean {
  if (typeof left === 'number' && typeof right === 'number') {
    return left === right || Math.abs(left - right) <= 1e-15 * Math.max(Math.abs(left), Math.abs(right));
  }
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return left === right;
  const [ours, theirs] = [Object.entries(left), Object.entries(right)];
  // Both are objects, of which members are read by names that they have.
  const other = right as Readonly<Record<string, unknown>>;
  return (
    Array.isArray(left) === Array.isArray(right) &&
    ours.length === theirs.length &&
    ours.every(([key, value]) => Object.hasOwn(other, key) && isSame(value, other[key]))
  );
}
